/**
 * Whether the cluster works, as the world itself knows it: from processes, disks and links, never from what members say of each
 * other. (Of itself a leader may say that its data is damaged, and hand over for a while: believed where its disk is damaged.) Two counts of true time come of it, for the claims about cluster time (pace.ts) and about dead holders (dues.ts): how long
 * there was a leader who could do its work, and how long nobody can have done it.
 *
 * It looks now and then, so that it costs next to nothing, and whenever an entry is stamped; a stretch between two looks counts where both find the same.
 */
import type { Configuration, PeerId } from '@leasehold/protocol'
import { NETWORK_DEFAULTS, type VirtualNetwork } from '../support/virtualnetwork.js'
import { RATE_ERROR } from './clocks.js'
import type { Member } from './member.js'
import type { Reigns } from './reigns.js'
import type { Scheduler } from './scheduler.js'

export const LOOK_EVERY_MS = 20
/** After a fault is over: slow writes and held-up messages come to their end, a link is found again, its peer has answered. */
const SETTLE_MS = 1_000
/**
 * So long a leader may go on for a quorum that is there no more: an answer is on its way (600 ms at most), and is fresh for ten ticks of
 * 30 ms, each up to 12 ms late.
 */
const GOES_ON_MS = (600 + 10 * (30 + 12) + 60) / (1 - RATE_ERROR)
/** What a leader that wakes up from a pause may make of it at most: two ticks. */
const WAKES_WITH_MS = 60 / (1 - RATE_ERROR)
const NEVER = Number.POSITIVE_INFINITY

/** Counted from the birth of the world, in true time. */
export interface Times {
  /** In which a leader worked, with a quorum that it could reach, and had something to time. */
  wellMs: number
  /** In which nobody can have moved time on: nobody who leads was running, or no quorum was, less what it takes to notice. */
  stillMs: number
}

export interface HealthParts {
  /** Kept up by this. */
  readonly times: Times
  readonly scheduler: Scheduler
  readonly members: readonly Member[]
  readonly network: VirtualNetwork
  readonly reigns: Reigns
  /** Whether anything has an end to come: else nobody moves time on. */
  readonly timed: () => boolean
}

export class Health {
  readonly #parts: HealthParts
  #lookedMs = 0
  #well: unknown = null
  /** As they were at the last look: how many leaders there had been, and how often each process had gone on. */
  #changes = 0
  readonly #wakes: (number | undefined)[] = []
  #leaderlessMs = NEVER
  #quorumlessMs = NEVER
  #configuration: Configuration | null = null
  /** When what is named here was last found at fault: a member's process, or the way between two. */
  readonly #faultyMs = new Map<unknown, number>()

  constructor(parts: HealthParts) {
    this.#parts = parts
  }

  /** Something was begun that keeps a leader from its work for a while though nothing fails now: it hands over, or members change. */
  disturbed(): void {
    this.#faultyMs.set(this, this.#parts.scheduler.nowMs)
  }

  look(): void {
    const { scheduler, reigns } = this.#parts
    const { nowMs } = scheduler
    const sinceMs = nowMs - this.#lookedMs
    this.#lookedMs = nowMs
    if (this.#configuration !== reigns.configurations[0]) this.disturbed()
    this.#configuration = reigns.configurations[0]!
    const well = this.#workingReign()
    if (well !== null && well === this.#well) this.#parts.times.wellMs += sinceMs
    this.#well = well
    this.#lookForLeader(nowMs, sinceMs)
  }

  #lookForLeader(nowMs: number, sinceMs: number): void {
    const { members, reigns, times } = this.#parts
    if (this.#stirred()) this.#leaderlessMs = this.#quorumlessMs = NEVER
    this.#leaderlessMs = this.#leader !== null ? NEVER : Math.min(this.#leaderlessMs, nowMs)
    const up = (peer: PeerId) => members.some((one) => one.peer === peer && running(one))
    const quorum = reigns.configurations.some((one) => quorate(one, up))
    this.#quorumlessMs = quorum ? NEVER : Math.min(this.#quorumlessMs, nowMs)
    const stillFromMs = Math.min(this.#leaderlessMs + WAKES_WITH_MS, this.#quorumlessMs + GOES_ON_MS)
    times.stillMs += Math.max(0, Math.min(sinceMs, nowMs - stillFromMs))
  }

  /** Somebody leads, or has gone on, perhaps for less than the time between two looks. */
  #stirred(): boolean {
    const { members, reigns } = this.#parts
    let stirred = this.#changes !== reigns.changes
    this.#changes = reigns.changes
    for (let i = 0; i < members.length; i++) {
      const wakes = members[i]!.process?.wakes
      if (this.#wakes[i] !== wakes) stirred = true
      this.#wakes[i] = wakes
    }
    return stirred
  }

  /** Of the highest term that ever had one; null while it does not run, or leads no more. */
  get #leader(): Member | null {
    const { members, reigns } = this.#parts
    const leader = members.find(({ peer }) => peer === reigns.leader)
    return leader?.log?.leading && running(leader) ? leader : null
  }

  /** What is the same as long as the same leader goes on working in the same term; null where none can. */
  #workingReign(): unknown {
    const { members, network, timed } = this.#parts
    const { usual, most } = network.settings.delayMs
    const held = usual > NETWORK_DEFAULTS.delayMs.usual || most > NETWORK_DEFAULTS.delayMs.most
    if (held) this.disturbed()
    const leader = this.#leader
    const fit = members.filter((member) => this.#settled(member.process ?? member, works(member)))
    if (leader === null || !fit.includes(leader) || !this.#settled(this, true)) return null
    if (!timed()) return null
    const reached = new Set<PeerId>([leader.peer])
    for (const other of members) {
      if (other === leader) continue
      const linked = this.#settled(`${leader.peer} ${other.peer}`, network.joined(leader.peer, other.peer))
      if (linked && fit.includes(other)) reached.add(other.peer)
    }
    return quorate(this.#configuration!, (peer) => reached.has(peer)) ? leader.log : null
  }

  /** Whether it is well now and has been for a while. */
  #settled(what: unknown, well: boolean): boolean {
    const { nowMs } = this.#parts.scheduler
    if (!well || !this.#faultyMs.has(what)) this.#faultyMs.set(what, well && nowMs === 0 ? -SETTLE_MS : nowMs)
    return well && nowMs - this.#faultyMs.get(what)! >= SETTLE_MS
  }
}

const running = ({ process }: Member): boolean => process !== null && !process.paused

function works(member: Member): boolean {
  const { host, disk } = member
  return host !== null && running(member) && !disk.slow && !disk.full && !disk.hanging
}

function quorate({ voters, outgoing }: Configuration, has: (peer: PeerId) => boolean): boolean {
  const most = (peers: readonly PeerId[]) => peers.filter(has).length > peers.length / 2
  return most(voters) && (outgoing.length === 0 || most(outgoing))
}
