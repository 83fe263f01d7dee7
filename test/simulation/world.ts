/**
 * One simulated world, decided by its seed: members and clients live in it while faults rage; then everything heals, every request must
 * come to its end, and all members must be the same.
 */
import { auditSeq, type ChainedEvent, type PeerId, peerIdOf } from '@leasehold/protocol'
import { VirtualNetwork } from '../support/virtualnetwork.js'
import { type Breach, Claims } from './claim.js'
import { Client, type ClientWorld } from './client.js'
import { type Answers, Connection, type ConnectionParts, read } from './connection.js'
import { Dice } from './dice.js'
import { digestOf } from './digest.js'
import { Dues } from './dues.js'
import type { Durable } from './durable.js'
import type { FaultKind, Injected } from './faultkinds.js'
import { Health, LOOK_EVERY_MS, type Times } from './health.js'
import { ClientHistory, judged } from './history.js'
import { Holders } from './holders.js'
import { Ledger } from './ledger.js'
import { live, NAMES } from './lives.js'
import { Member } from './member.js'
import { Nemesis } from './nemesis.js'
import { type Plan, planOf } from './plan.js'
import { Reigns } from './reigns.js'
import { Scheduler } from './scheduler.js'
import { Takers } from './takers.js'
import { Trace } from './trace.js'

/** A healed world serves again within this. */
const RECOVERY_MS_MAX = 5_000
/** Whatever clients have under way when all is well comes to its end within this: waits, leases, lock-delays included. */
const FINISH_MS_MAX = 40_000
/** Leases that nobody renews end within this: the longest ttl and lock-delay, a hold, a beat, and clocks that go slow. */
const EXPIRY_MS_MAX = 6_000 + 1_500 + 1_000 + 500
const QUIET_MS = 600
/** For each name; few need a tenth of it. What takes more is left open here, counted, and can be judged with more patience. */
const HISTORY_STEPS_MAX = 200_000
const READ_EVERY_MS = 60
/** Of the worlds: in so many somebody takes from quotas. */
const QUOTAS_SHARE = 0.3
/** A world goes on until so much was asked for. */
export const OPERATIONS_MIN = 500

export interface Outcome {
  readonly seed: number
  readonly breach: Breach | null
  readonly hash: string
  readonly simulatedMs: number
  readonly steps: number
  readonly operations: number
  readonly answered: number
  readonly executed: number
  readonly entries: number
  /** Tokens that quotas have admitted, of all their kinds together. */
  readonly admitted: number
  /** The same of buckets by key. */
  readonly admittedByKey: number
  readonly beliefs: number
  readonly leaders: number
  readonly injected: Injected
  readonly lastEvents: readonly string[]
  /** Names of which the histories of clients were judged by themselves, and those of them that got no verdict within its steps. */
  readonly names: number
  readonly untold: number
  /** What the clients saw, as lines for the checker of histories; empty where it was not asked for. */
  readonly history: string
}

export interface WorldOptions {
  /** Sizes of clusters to choose from. */
  readonly sizes: readonly number[]
  /** Whether the outcome is to tell what the clients saw. */
  readonly history?: boolean
}

class World implements ClientWorld {
  readonly scheduler = new Scheduler()
  readonly trace = new Trace()
  readonly claims = new Claims(this.scheduler, this.trace)
  readonly history = new ClientHistory(this.scheduler)
  readonly holders = new Holders(this.scheduler, this.claims)
  readonly plan: Plan
  readonly ledger: Ledger
  readonly members: Member[] = []
  readonly clients: Client[] = []
  readonly nemesis: Nemesis
  readonly reigns: Reigns
  readonly times: Times
  finishing = false
  asked = 0
  answered = 0
  readonly #dice: Dice
  readonly #health: Health
  readonly #dues: Dues
  readonly #takers: Takers | null
  readonly #connections = new Set<Connection>()
  readonly #cuts = new Set<{ client: number; member: string; direction: 'both' | 'there' | 'back' }>()

  constructor(seed: number, { sizes }: WorldOptions) {
    this.#dice = new Dice(seed)
    this.plan = planOf(this.#dice.fork(), sizes)
    const durables = new Map<PeerId, Durable>()
    const founders = Array.from({ length: this.plan.members }, (_, i) => peerIdOf(`n${i + 1}`, `d1-n${i + 1}`))
    const times = { wellMs: 0, stillMs: 0 }
    this.times = times
    this.reigns = new Reigns(this.scheduler, this.claims, durables, founders, () => this.#timesNow())
    const { scheduler, trace, claims, holders, plan, reigns } = this
    const { limits } = plan
    this.ledger = new Ledger({ claims, scheduler, trace, holders, limits }, (entry, by) => reigns.committed(entry, by))
    const { ledger } = this
    const network = this.#newNetwork()
    for (let i = 1; i <= plan.members; i++) {
      const count = (kind: FaultKind) => this.nemesis.count(kind)
      const leads = (member: Member) => this.nemesis.leads(member)
      const resigns = () => this.#health.disturbed()
      const hooks = { count, leads, resigns }
      const parts = { scheduler, trace, claims, ledger, reigns, plan, limits, network, durables, ...hooks }
      const member = new Member(`n${i}`, parts, this.#dice.fork(), (ended) => this.#ended(ended))
      this.members.push(member)
    }
    for (let i = 0; i < plan.clients; i++) this.clients.push(new Client(i, this, this.#dice.fork()))
    const { members } = this
    const timed = () => ledger.model.timed
    this.#health = new Health({ times, scheduler, members, network, reigns, timed })
    this.#dues = new Dues({ claims, ledger, reigns, times, sweepPerEntryMax: limits.sweepPerEntryMax })
    const disturbed = () => this.#health.disturbed()
    // Of its own, so that the worlds without quotas are what they were.
    const chances = new Dice(~seed)
    this.#takers = chances.chance(QUOTAS_SHARE) ? new Takers(this, chances.fork()) : null
    const paths = {
      breakOne: () => this.#breakOne(),
      cut: (client: number, member: string, direction: 'both' | 'there' | 'back') =>
        this.#cut(client, member, direction),
    }
    this.nemesis = new Nemesis({ members, scheduler, trace, plan, paths, network, disturbed }, this.#dice.fork())
  }

  /** Between members. */
  #newNetwork(): VirtualNetwork {
    const { scheduler } = this
    const after = (delayMs: number, task: () => void) => {
      const one = scheduler.after(delayMs, task)
      return () => {
        one.task = null
      }
    }
    const dice = this.#dice.fork()
    return new VirtualNetwork({ clock: { monotonicMs: () => scheduler.nowMs, after }, random: () => dice.next() })
  }

  get admitted(): number {
    return this.#takers?.admitted ?? 0
  }

  get admittedByKey(): number {
    return this.#takers?.admittedByKey ?? 0
  }

  operation(what: 'asked' | 'answered' | 'abandoned'): void {
    if (what === 'asked') this.asked++
    if (what === 'answered') this.answered++
  }

  connect(client: Client, except: string | null): Connection | null {
    return this.#reach(client.number, client, except)
  }

  /** For somebody who takes from quotas. */
  reach(number: number): Connection | null {
    return this.#reach(number, { answer() {}, view() {}, broken() {} }, null)
  }

  #reach(number: number, answers: Answers, except: string | null): Connection | null {
    const serving = this.members.flatMap(({ host }) => (host === null || host.process.paused ? [] : [host]))
    const others = serving.filter((host) => host.name !== except)
    const host = this.#dice.pick(others.length > 0 ? others : serving)
    if (host === undefined) return null
    const { scheduler, ledger, claims, trace } = this
    const parts: ConnectionParts = {
      scheduler,
      dice: this.#dice,
      ledger,
      claims,
      trace,
      passes: (direction) => this.#passes(number, host.name, direction),
    }
    const connection = new Connection(host, answers, parts)
    this.#connections.add(connection)
    return connection
  }

  #passes(client: number, member: string, direction: 'there' | 'back'): boolean {
    for (const cut of this.#cuts) {
      if (
        cut.client === client &&
        cut.member === member &&
        cut.direction !== (direction === 'there' ? 'back' : 'there')
      )
        return false
    }
    return true
  }

  #cut(client: number, member: string, direction: 'both' | 'there' | 'back'): () => void {
    const cut = { client, member, direction }
    this.#cuts.add(cut)
    return () => void this.#cuts.delete(cut)
  }

  #breakOne(): boolean {
    const open = this.#open()
    if (open.length === 0) return false
    this.#dice.pick(open).close()
    return true
  }

  #open(): Connection[] {
    for (const one of this.#connections) if (!one.open) this.#connections.delete(one)
    return [...this.#connections]
  }

  #ended(member: Member): void {
    for (const connection of this.#open()) if (connection.host.name === member.name) connection.close()
    this.nemesis.ended(member)
  }

  /** All of it, from birth to the last comparison. */
  async story(): Promise<void> {
    const peers = this.members.map(({ peer }) => peer)
    for (const member of this.members) await member.form(peers)
    for (const member of this.members) member.start()
    const lives: Promise<void>[] = []
    for (const client of this.clients)
      for (let i = 0; i < this.plan.livesPerClient; i++) lives.push(live(client, this.clients.length))
    this.#takers?.begin(this.clients)
    void this.#watch()
    this.#look()
    const { faultyMs } = this.plan
    // Worlds in which hardly anything works last longer.
    const enough = () =>
      this.scheduler.nowMs > faultyMs && (this.asked > OPERATIONS_MIN || this.scheduler.nowMs > 4 * faultyMs)
    await this.nemesis.rage(enough)
    this.trace.note(this.scheduler.nowMs, 'heal')
    this.nemesis.heal()
    await this.#within(RECOVERY_MS_MAX, 'a healed cluster serves', () =>
      this.members.every(({ host }) => host !== null),
    )
    this.finishing = true
    let finished = 0
    for (const one of lives) one.then(() => finished++)
    await this.#within(FINISH_MS_MAX, 'every request comes to its end', () => finished === lives.length)
    await this.#within(
      EXPIRY_MS_MAX,
      'what nobody renews ends',
      () => !this.members.some((one) => !one.outsider && one.machine?.timed),
    )
    await this.scheduler.sleep(QUIET_MS)
    await this.#compare()
  }

  /** Somebody who asks every member again and again, also one that does not know yet that it leads no more. */
  async #watch(): Promise<void> {
    while (!this.finishing) {
      await this.scheduler.sleep(this.#dice.between(0, 2 * READ_EVERY_MS))
      const { host } = this.#dice.pick(this.members)
      const { ackedIndex } = this.ledger
      if (host === null) continue
      host.process.after(0, () => read(host, this.#dice.pick(NAMES), ackedIndex, this, () => {}))
    }
  }

  /** How the cluster is, and what is due by now. */
  /** As of this moment: entries are held against what is counted, and one that is 20 ms old would let cluster time seem to run. */
  #timesNow(): Readonly<Times> {
    this.#health.look()
    return this.times
  }

  #look(): void {
    this.#health.look()
    this.#dues.look()
    this.scheduler.after(LOOK_EVERY_MS, () => this.#look())
  }

  async #within(ms: number, claim: string, holds: () => boolean): Promise<void> {
    const untilMs = this.scheduler.nowMs + ms
    while (!holds() && this.scheduler.nowMs < untilMs) await this.scheduler.sleep(20)
    this.claims.hold(holds(), () => `not within ${ms} ms: ${claim}${this.#state()}`)
  }

  /** For people: where each member stands. */
  #state(): string {
    return this.members.map((member) => `\n  ${stateOf(member)}`).join('')
  }

  /** Everybody stands at the end of the ledger, with one state and one audit. */
  async #compare(): Promise<void> {
    const { claims, ledger } = this
    const digests = new Set<string>()
    const audits = new Set<string>()
    for (const { name, host, machine, outsider } of this.members) {
      if (outsider) continue
      if (host === null || machine === null) return claims.broken(`${name} is not there in the end`)
      const { appliedIndex } = host.replica.status
      claims.hold(appliedIndex === ledger.last, () => `${name} ends at entry ${appliedIndex} of ${ledger.last}`)
      digests.add(digestOf(machine.tables))
      const events: ChainedEvent[] = []
      for (let after: number | null = 0; after !== null; ) {
        const page = await host.replica.readEvents({ after: auditSeq(after), limit: 1_000 })
        events.push(...page.events)
        after = page.next
      }
      claims.hold(events.length === ledger.model.audit.last, () => `${name} has ${events.length} events`)
      audits.add(JSON.stringify(events))
    }
    claims.hold(digests.size === 1, 'the states of the members differ in the end')
    claims.hold(audits.size === 1, 'the audits of the members differ in the end')
  }
}

function stateOf({ name, host, process, refusal, log, disk }: Member): string {
  if (process === null) return `${name} is down: ${refusal ?? 'killed'}`
  if (host === null || log === null) return `${name} starts`
  const { term, role, leader, commitIndex, lastIndex, peers } = log.status
  const { ready, inFlight, status } = host.replica
  const matches = peers.map(({ peer, match, active }) => `${peer} ${match} ${active}`).join(', ')
  const disks = disk.hanging ? ', its disk hangs' : ''
  return `${name} ${ready ? 'ready' : 'not ready'}, ${role} of ${leader} in ${term}, applied ${status.appliedIndex}, committed ${commitIndex}, last ${lastIndex}, ${inFlight} in flight, peers: ${matches}${disks}`
}

/** Plays one seed to its end, or to the first claim that breaks. */
export async function play(seed: number, options: WorldOptions): Promise<Outcome> {
  const world = new World(seed, options)
  const { scheduler, trace, claims, ledger, holders } = world
  let over = false
  world.story().then(
    () => (over = true),
    (error: unknown) => claims.broken(`the story ends: ${error instanceof Error ? error.stack : String(error)}`),
  )
  await scheduler.run(
    () => over || claims.breach !== null,
    (order) => {
      trace.mix(order)
      trace.mix(scheduler.nowMs)
    },
  )
  if (!over) claims.broken('nothing happens any more')
  const history = world.history.lines()
  // A world that broke is not judged by what was seen of it up to there.
  const { unorderable, names, untold } =
    claims.breach === null ? judged(history, HISTORY_STEPS_MAX) : { unorderable: null, names: 0, untold: 0 }
  claims.hold(unorderable === null, () => `what clients saw fits in no order:\n  ${unorderable}`)
  return {
    seed,
    breach: claims.breach,
    hash: trace.hash,
    simulatedMs: scheduler.nowMs,
    steps: scheduler.steps,
    operations: world.asked,
    answered: world.answered,
    executed: ledger.executed,
    entries: ledger.last,
    admitted: world.admitted,
    admittedByKey: world.admittedByKey,
    beliefs: holders.beliefs,
    leaders: world.reigns.changes,
    injected: world.nemesis.injected,
    lastEvents: trace.last(),
    names,
    untold,
    history: options.history ? history : '',
  }
}
