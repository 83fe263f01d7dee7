/**
 * One member of a simulated world: the real machine, store, log and replica over its own disk and clocks, wired as a server is.
 * Its hardware outlives its processes; a process ends at any effect, and another one is started over what is left.
 */
import { memberOf, type PeerId, peerIdOf } from '@leasehold/protocol'
import { foundingEntry, type MachineLimits } from '@leasehold/server/machine'
import { silent, type Telemetry, type Transport } from '@leasehold/server/ports'
import { createQuotas } from '@leasehold/server/quota'
import { createReplica, type LogFollower, RaftLog, type Replica, type ReplicatedLog } from '@leasehold/server/replica'
import { formDirectory, openStore, StorageRefusal, type Store } from '@leasehold/server/storage'
import type { VirtualNetwork } from '../support/virtualnetwork.js'
import type { Claims } from './claim.js'
import { Oscillator, ProcessClock } from './clocks.js'
import type { Host } from './connection.js'
import { Dice } from './dice.js'
import { SimulatedDisk } from './disk.js'
import { Durable, tampered } from './durable.js'
import type { FaultKind } from './faultkinds.js'
import { type Ledger, WatchedMachine } from './ledger.js'
import type { Plan } from './plan.js'
import { Process } from './process.js'
import type { Reigns } from './reigns.js'
import type { Scheduler } from './scheduler.js'
import type { Trace } from './trace.js'

export const addressOf = (peer: PeerId): string => `${memberOf(peer)}:1`

const addressesOf = (peers: readonly PeerId[]) => Object.fromEntries(peers.map((peer) => [peer, addressOf(peer)]))

const founding = (peers: readonly PeerId[]) =>
  foundingEntry({ voters: peers, outgoing: [], learners: [], addresses: addressesOf(peers) })

/** What a member logs when it cannot read what others need of it. */
const OWN_DAMAGE = 'own data damaged'

export interface MemberParts {
  readonly scheduler: Scheduler
  readonly trace: Trace
  readonly claims: Claims
  readonly ledger: Ledger
  readonly reigns: Reigns
  readonly plan: Plan
  readonly limits: MachineLimits
  readonly network: VirtualNetwork
  readonly count: (kind: FaultKind) => void
  /** Told of who leads from now on, before it has done anything as a leader. */
  readonly leads: (member: Member) => void
  /** It found its own data damaged, and tries to hand its office over for a while. */
  readonly resigns: (member: Member) => void
  /** Of every directory that there ever was. */
  readonly durables: Map<PeerId, Durable>
}

export class Member {
  readonly name: string
  /** Changes with its directory. */
  peer: PeerId
  readonly disk: SimulatedDisk
  durable = new Durable()
  readonly oscillator: Oscillator
  process: Process | null = null
  store: Store | null = null
  machine: WatchedMachine | null = null
  log: ReplicatedLog | null = null
  /** As clients see it; null while it does not serve. */
  host: Host | null = null
  /** Takes back the damage that was done to its disk; null where none was. */
  repair: (() => void) | null = null
  /** What is missing on its disk was acknowledged: it must not start over it. */
  mustRefuse = false
  /** Flushes of its store when it was opened. */
  #flushesBefore = 0
  /** Says why it does not start. */
  refusal: string | null = null
  #directories = 1
  #introduced: Readonly<Record<PeerId, string>> = {}
  readonly #parts: MemberParts
  readonly #dice: Dice
  /** Of its quotas: apart, so that worlds without quotas are what they were. */
  readonly #chances: Dice
  readonly #ended: (member: Member) => void

  /** `ended` is told whenever a process has ended, or has refused to start. */
  constructor(name: string, parts: MemberParts, dice: Dice, ended: (member: Member) => void) {
    this.name = name
    this.peer = peerIdOf(name, this.#directoryId)
    this.#parts = parts
    this.#dice = dice
    this.#chances = new Dice(name.charCodeAt(1))
    this.#ended = ended
    parts.durables.set(this.peer, this.durable)
    this.disk = new SimulatedDisk(this.durable, dice.fork())
    this.oscillator = new Oscillator(parts.scheduler, dice.fork())
  }

  get #directoryId(): string {
    return `d${this.#directories}-${this.name}`
  }

  /** Its directory begins with the entry that forms the cluster, the same in every member. */
  async form(peers: readonly PeerId[]): Promise<void> {
    this.#introduced = addressesOf(peers)
    await formDirectory(this.disk.memory, this.#identity, founding(peers))
    this.durable.formed()
  }

  /** Its disk is lost. The new directory is nobody that the cluster knows, until a change of the configuration admits it. */
  async wipe(others: readonly PeerId[]): Promise<void> {
    this.crash('its disk is lost')
    this.mend()
    this.#directories++
    this.peer = peerIdOf(this.name, this.#directoryId)
    this.#introduced = addressesOf(others)
    this.durable = new Durable()
    this.#parts.durables.set(this.peer, this.durable)
    this.disk.wipe(this.durable)
    await formDirectory(this.disk.memory, this.#identity)
  }

  get #identity() {
    return { clusterId: 'cluster', memberId: this.name, directoryId: this.#directoryId }
  }

  /** By what is committed, its directory does not vote. */
  get outsider(): boolean {
    return !this.#parts.reigns.votes(this.peer)
  }

  /**
   * Its side file is level with its volume: until this process has flushed for the first time, what the crash before took
   * from the side file is missing there, and a tail that vanishes then can be noticed by nobody.
   */
  get witnessed(): boolean {
    return this.store !== null && this.store.flushes > this.#flushesBefore
  }

  get alive(): boolean {
    return this.process !== null
  }

  start(): void {
    if (this.process !== null) return
    this.#note('start')
    const process = new Process(this.#parts.scheduler, () => this.crash('within'))
    this.process = process
    this.refusal = null
    this.disk.attach(process)
    this.#run(process).catch((error: unknown) => this.#failed(process, error))
  }

  /** What was done to its disk is undone. */
  mend(): void {
    this.repair?.()
    this.repair = null
    this.mustRefuse = false
  }

  /** Its process stands still: nothing gets through to it, and it notices nothing. */
  pause(): void {
    this.process?.pause()
    this.#parts.network.freeze(this.name)
  }
  resume(): void {
    this.#parts.network.thaw(this.name)
    this.process?.resume()
  }

  /** Ends the process at once. `allKept`: of what was not synced, everything survives this time. */
  crash(how: string, allKept = false): void {
    const { process } = this
    if (process === null) return
    this.#note('crash', how)
    process.end()
    this.#parts.network.thaw(this.name)
    this.process = null
    this.host = null
    this.store = null
    this.machine = null
    this.log = null
    this.#parts.network.crash(this.name)
    this.disk.crash(this.#parts.count, allKept)
    this.#ended(this)
  }

  async #run(process: Process): Promise<void> {
    const { scheduler, plan, limits, ledger } = this.#parts
    const clock = new ProcessClock(process, this.oscillator, scheduler, this.#dice.fork())
    const fatal = (error: Error): void => {
      if (process.alive) this.crash(`fatal: ${error.message}`)
    }
    const freshMachine = () =>
      new WatchedMachine(this.name, ledger, limits, (applying) => {
        if (process.alive) this.machine = applying
        return process.alive
      })
    const machine = freshMachine()
    const opened = await openStore(this.disk.memory.mount(), { tables: machine.tables, fatal, memberId: this.name })
    if (!process.alive) return
    this.#parts.claims.hold(!this.mustRefuse, `${this.name} starts over a disk that has lost what it had promised`)
    const store = this.durable.watch(opened, {
      staged: (entries) => this.#parts.reigns.staged(this.name, entries),
      installed: (last) => {
        this.#note('installed', String(last))
        this.#parts.count('snapshot installed')
        this.durable.installed(last, (index) => ledger.line(index)!.entry.term)
      },
    })
    this.store = store
    this.#flushesBefore = store.flushes
    this.machine = machine
    const own = { store, clock, random: this.#dice.fork(), telemetry: this.#telemetry, fatal }
    const introduced = this.#introduced
    const log = this.#watch(new RaftLog({ ...own, introduced, limits: plan.raft, transport: this.#transport(process) }))
    this.log = log
    const parts = { ...own, log, machine, freshMachine, memberId: this.name }
    const replica: Replica = await createReplica({ ...plan.replica, ...parts })
    if (!process.alive) return
    this.#note('serves')
    const desk = createQuotas({ replica, clock, random: this.#chances.fork(), telemetry: silent })
    this.host = { name: this.name, process, replica, desk, monotonicMs: () => clock.monotonicMs() }
  }

  /** Each message is an effect, too. Null where there is nobody to talk to. */
  #transport(process: Process): Transport | null {
    const { network, plan } = this.#parts
    if (plan.members === 1) return null
    const transport = network.transport(this.peer)
    return tampered<Transport>(transport, {
      send: (to, channel, bytes) => process.effect() && transport.send(to, channel, bytes),
    })
  }

  /** Shows who leads and who stamps what to the book of reigns. */
  readonly #telemetry: Telemetry = {
    ...silent,
    log: (_level, event) => {
      // Nobody is believed whose disk nothing was done to.
      if (event !== OWN_DAMAGE || this.repair === null) return
      this.#note('resigns')
      this.#parts.resigns(this)
    },
  }

  #watch(log: ReplicatedLog): ReplicatedLog {
    const { reigns } = this.#parts
    return tampered<ReplicatedLog>(log, {
      start: (follower) => log.start(this.#watchFollower(follower)),
      append: (drafts) => {
        const reign = log.status.term
        const first = log.append(drafts)
        for (const [at, { timeMs }] of drafts.entries()) reigns.stamped(this.peer, reign, first + at, timeMs)
        return first
      },
    })
  }

  #watchFollower(follower: LogFollower): LogFollower {
    const { reigns } = this.#parts
    return tampered<LogFollower>(follower, {
      lead: (reign, baseMs) => {
        this.#note('leads', String(reign))
        reigns.leads(this.peer, reign)
        this.#parts.leads(this)
        follower.lead(reign, baseMs)
      },
    })
  }

  #failed(process: Process, error: unknown): void {
    if (!process.alive) return
    const why = error instanceof Error ? error.message : String(error)
    const refused = error instanceof StorageRefusal
    const sound = this.repair === null && !this.disk.full
    this.#parts.claims.hold(!(refused && sound), `${this.name} refuses a sound disk: ${why}`)
    if (refused) this.refusal = why
    this.crash(`does not start: ${why}`)
  }

  #note(what: string, ...words: string[]): void {
    this.#parts.trace.note(this.#parts.scheduler.nowMs, what, this.name, ...words)
  }
}
