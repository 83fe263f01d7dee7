/**
 * Injects faults, one after the other and on top of each other, as the seed decides; counts each kind when it has its effect; and
 * takes them all back in the end.
 */
import { type PeerId, ProtocolError } from '@leasehold/protocol'
import type { Replica } from '@leasehold/server/replica'
import type { VirtualNetwork } from '../support/virtualnetwork.js'
import { BadLinks } from './badlinks.js'
import { RATE_ERROR } from './clocks.js'
import type { Dice } from './dice.js'
import { BY_STRIKES, type FaultKind, type Injected } from './faultkinds.js'
import { addressOf, type Member } from './member.js'
import type { Plan } from './plan.js'
import type { Scheduler } from './scheduler.js'
import type { Trace } from './trace.js'
import { YoungLeaders } from './youngleaders.js'

/** What it may do to the paths between clients and members. */
export interface Paths {
  /** Breaks some connection; false where there is none. */
  breakOne(): boolean
  cut(client: number, member: string, direction: 'both' | 'there' | 'back'): () => void
}

const OUTAGE_MS = 700
const OUTAGE_MS_MAX = 8_000
/** Long enough for some elections. */
const LEADERS_LOST_MS = 2_000
const DOWN_MS_MAX = 6_000
const PAUSE_MS_MAX = 5_000
/** Effects of a process until it crashes in the midst of something. */
const EFFECTS_MAX = 40
/** An operator sees to a new directory so often, on average at this distance, until it votes. */
const NOTICED_MS = 3_000
const ADMIT_TRIES = 12
const ADMIT_MS = 500

export class Nemesis {
  readonly injected: Injected = new Map()
  readonly #members: readonly Member[]
  readonly #scheduler: Scheduler
  readonly #trace: Trace
  readonly #plan: Plan
  readonly #paths: Paths
  readonly #network: VirtualNetwork
  readonly #disturbed: () => void
  readonly #dice: Dice
  /** How to take back what is still going on. */
  readonly #ongoing = new Set<() => void>()
  /** Perhaps about to be removed. */
  readonly #leaving = new Set<Member>()
  /** Outsiders that an operator sees to, and new directories that have got in. */
  readonly #admitted = new Set<Member>()
  readonly #joined = new Set<PeerId>()
  readonly #badLinks: BadLinks
  readonly #youngLeaders: YoungLeaders
  #over = false

  constructor(
    parts: {
      members: readonly Member[]
      scheduler: Scheduler
      trace: Trace
      plan: Plan
      paths: Paths
      network: VirtualNetwork
      /** Told when a leader is asked for something that keeps it from its work. */
      disturbed: () => void
    },
    dice: Dice,
  ) {
    this.#members = parts.members
    this.#scheduler = parts.scheduler
    this.#trace = parts.trace
    this.#plan = parts.plan
    this.#paths = parts.paths
    this.#network = parts.network
    this.#disturbed = parts.disturbed
    this.#dice = dice
    parts.network.broken = (from) => this.#broken(from)
    this.#badLinks = new BadLinks(parts.network.settings, dice)
    const lost = (leader: Member) => this.#note('leader lost young', leader.name)
    this.#youngLeaders = new YoungLeaders(parts.members, parts.network, lost, dice.fork())
  }

  /** Faults until it is enough. */
  async rage(enough: () => boolean): Promise<void> {
    while (!enough()) {
      await this.#scheduler.sleep(this.#dice.between(0, 2 * this.#plan.pauseMs))
      if (!enough()) this.#inject(this.#dice.pick(this.#plan.faults))
    }
  }

  /** All faults off, everybody starts. */
  heal(): void {
    this.#over = true
    for (const back of this.#ongoing) back()
    this.#ongoing.clear()
    this.#network.heal()
    for (const member of this.#members) {
      member.resume()
      member.mend()
      member.start()
    }
  }

  /** A member's process has ended: another one is started after a while. */
  ended(member: Member): void {
    const downMs = this.#over ? 50 : this.#dice.tailed(800, DOWN_MS_MAX)
    this.#scheduler.after(downMs, () => {
      // What refused to start is repaired now and then; a bad block may also come back by itself.
      if (member.refusal !== null && this.#dice.chance(0.7)) {
        member.mend()
      }
      member.start()
    })
  }

  /** Told of who leads from now on. */
  leads(member: Member): void {
    this.#youngLeaders.leads(member)
  }

  #inject(kind: FaultKind): void {
    const member = this.#dice.pick(this.#members)
    const back = this.#begin(kind, member)
    if (back === null) return
    if (!BY_STRIKES.has(kind)) this.#note(kind, member.name)
    if (back === undefined) return
    this.#ongoing.add(back)
    const usualMs = kind === 'leader lost young' ? LEADERS_LOST_MS : OUTAGE_MS
    this.#scheduler.after(this.#dice.tailed(usualMs, OUTAGE_MS_MAX), () => {
      if (this.#ongoing.delete(back)) back()
    })
  }

  #note(kind: FaultKind, member: string): void {
    this.#trace.note(this.#scheduler.nowMs, 'fault', kind, member)
    this.count(kind)
  }

  count(kind: FaultKind): void {
    this.injected.set(kind, (this.injected.get(kind) ?? 0) + 1)
  }

  /** Null where it could not be; how to take it back where it lasts. */
  #begin(kind: FaultKind, member: Member): (() => void) | null | undefined {
    switch (kind) {
      case 'client link break':
        return this.#paths.breakOne() ? undefined : null
      case 'client cut off':
      case 'client cut off one way':
        return this.#cutOff(kind, member)
      case 'crash':
      case 'crash within':
      case 'crash within a flush':
        return this.#crash(kind, member)
      case 'pause':
        return this.#pause(member)
      case 'link break':
      case 'link cut':
      case 'link cut one way':
        return this.#part(kind, member, this.#dice.pick(this.#members))
      case 'member cut off':
      case 'member cut off one way':
        return this.#isolate(kind, member)
      case 'link delay':
        return this.#badLinks.delay()
      case 'link broken by a message':
        return this.#badLinks.fray()
      case 'leader lost young':
        return this.#youngLeaders.begin()
      case 'leader transfer':
        return this.#transfer()
      case 'member joins':
        return this.#join()
      case 'member removed':
        return this.#remove(member)
      case 'clock rate':
        return void member.oscillator.setRate(this.#dice.between(1 - RATE_ERROR, 1 + RATE_ERROR))
      case 'wall clock jump':
        return void member.oscillator.jump(this.#dice.between(-1, 1) * this.#dice.pick([50, 5_000, 3_600_000]))
      default:
        return this.#spoil(kind, member)
    }
  }

  #cutOff(kind: FaultKind, member: Member): () => void {
    const direction = kind === 'client cut off' ? 'both' : this.#dice.pick(['there', 'back'] as const)
    return this.#paths.cut(this.#dice.int(this.#plan.clients), member.name, direction)
  }

  #part(kind: FaultKind, a: Member, b: Member): (() => void) | null | undefined {
    if (a === b) return null
    const network = this.#network
    if (kind === 'link break') return void network.sever(a.name, b.name)
    network.block(a.name, b.name)
    if (kind === 'link cut') network.block(b.name, a.name)
    return () => {
      network.unblock(a.name, b.name)
      network.unblock(b.name, a.name)
    }
  }

  /** One member from all others; or it is only not heard, or only hears nothing. */
  #isolate(kind: FaultKind, member: Member): () => void {
    const network = this.#network
    const ways = kind === 'member cut off' ? 'both' : this.#dice.pick(['deaf', 'dumb'] as const)
    const others = this.#members.filter((other) => other !== member)
    for (const other of others) {
      if (ways !== 'deaf') network.block(member.name, other.name)
      if (ways !== 'dumb') network.block(other.name, member.name)
    }
    return () => {
      for (const other of others) {
        network.unblock(member.name, other.name)
        network.unblock(other.name, member.name)
      }
    }
  }

  #broken(from: string): void {
    this.#note('link broken by a message', from)
    this.#disturbed()
  }

  #transfer(): null | undefined {
    const leader = this.#members.find(({ log }) => log?.leading)
    this.#disturbed()
    return leader?.log?.transferLeadership(null) ? undefined : null
  }

  #crash(kind: FaultKind, member: Member): undefined | null {
    if (member.process === null) return null
    if (kind === 'crash') member.crash('killed')
    else if (kind === 'crash within') member.process.crashAfter(1 + this.#dice.int(EFFECTS_MAX))
    else {
      const { process } = member
      // At the commit itself, or a few effects later: before the side file, before the next batch, before an answer.
      member.disk.onCommit = () => process.crashAfter(1 + this.#dice.int(6))
    }
    return undefined
  }

  #pause(member: Member): null | undefined {
    const { process } = member
    if (process === null || process.paused) return null
    member.pause()
    this.#scheduler.after(this.#dice.tailed(400, PAUSE_MS_MAX), () => {
      if (member.process === process) member.resume()
    })
    return undefined
  }

  #spoil(kind: FaultKind, member: Member): (() => void) | null | undefined {
    const { disk } = member
    switch (kind) {
      case 'disk slow':
        disk.slow = true
        return () => {
          disk.slow = false
        }
      case 'disk EIO':
        if (member.process === null) return null
        disk.failing = true
        return undefined
      case 'disk ENOSPC':
        disk.full = true
        return () => {
          disk.full = false
        }
      case 'disk hang':
        if (member.process === null || disk.hanging) return null
        disk.hang()
        return () => disk.unhang()
      case 'disk wiped':
        return this.#wipe(member)
      case 'disk tail lost':
        return this.#loseTail(member)
      default:
        return this.#flip(member)
    }
  }

  /** A bit of the disk flips while the process is down, so that its next start must notice, or be none the worse. */
  #flip(member: Member): null | undefined {
    if (member.repair !== null) return null
    if (member.process !== null) member.crash('killed')
    member.repair = member.disk.flip()
    return member.repair === null ? null : undefined
  }

  /** A minority may lose all it has. */
  #wipe(member: Member): null | undefined {
    if (!this.#expendable(member)) return null
    this.#anew(member)
    return undefined
  }

  #expendable(member: Member): boolean {
    const lost = this.#members.filter((one) => one.outsider || this.#leaving.has(one)).length
    return !member.outsider && !this.#leaving.has(member) && lost + 1 <= (this.#members.length - 1) / 2
  }

  /** In most worlds somebody notices after a while. */
  #anew(member: Member): void {
    const noticed = (): void => {
      if (this.#plan.faults.includes('member joins')) this.#join()
    }
    this.#scheduler.after(this.#dice.tailed(NOTICED_MS, OUTAGE_MS_MAX), noticed)
    void member.wipe(this.#members.flatMap((other) => (other === member ? [] : [other.peer])))
  }

  /** An operator sees to an outsider until it votes in the place of its former self. */
  #join(): null {
    const member = this.#members.find((one) => one.outsider && !this.#admitted.has(one))
    if (member === undefined) return null
    this.#admitted.add(member)
    void this.#admit(member).then(() => this.#admitted.delete(member))
    return null
  }

  async #admit(member: Member): Promise<void> {
    for (let tries = 0; tries < ADMIT_TRIES && member.outsider && !this.#over; tries++) {
      this.#admitFurther(member)
      await this.#scheduler.sleep(this.#dice.between(0, 2 * ADMIT_MS))
    }
  }

  /** Another step: it learns, then it is promoted. Whether that was done may never be told: the leader may be gone by then. */
  #admitFurther(member: Member): void {
    const leader = this.#leader
    const configuration = leader?.configuration
    if (!leader || !configuration) return
    const { peer, name } = member
    const learns = configuration.learners.includes(peer)
    const address = addressOf(peer)
    const change = learns ? ({ kind: 'promote', member: name } as const) : ({ kind: 'add', peer, address } as const)
    const done = (): void => {
      if (!learns || this.#joined.has(peer)) return
      this.#joined.add(peer)
      this.#note('member joins', member.name)
    }
    this.#disturbed()
    leader.changeMembers(change).then(done, () => {})
  }

  /** A member has to go; it may come back with a new directory. */
  #remove(member: Member): null {
    const leader = this.#leader
    if (leader === undefined || leader.status.memberId === member.name || !this.#expendable(member)) return null
    const { peer } = member
    const done = (): void => {
      this.#leaving.delete(member)
      this.#note('member removed', member.name)
      if (member.peer === peer) this.#anew(member)
    }
    this.#leaving.add(member)
    this.#disturbed()
    leader.changeMembers({ kind: 'remove', member: member.name }).then(done, (error: unknown) => {
      // Where the outcome is not known it may go at any time, for all that anybody knows.
      if (error instanceof ProtocolError && error.code !== 'OUTCOME_UNKNOWN') this.#leaving.delete(member)
    })
    return null
  }

  get #leader(): Replica | undefined {
    return this.#members.find(({ host, log }) => host !== null && log?.leading)?.host?.replica
  }

  /** Batches that were synced are gone after a crash: the disk lied, and the next start must say so. */
  #loseTail(member: Member): null | undefined {
    if (member.repair !== null || !member.witnessed) return null
    // The side file must be as it was left: it is what tells.
    member.crash('killed', true)
    member.repair = member.disk.loseTail()
    member.mustRefuse = true
    return undefined
  }
}
