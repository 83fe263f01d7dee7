/**
 * Who leads, who stamps, and what a quorum has on its disks: the claims about consensus, judged from what members do and from
 * what their disks hold, never from what they say of each other.
 */
import { type Configuration, INTERNAL_OP, type PeerId } from '@leasehold/protocol'
import type { Entry } from '@leasehold/server/machine'
import type { Claims } from './claim.js'
import type { Durable } from './durable.js'
import type { Times } from './health.js'
import { type Mark, Pace } from './pace.js'
import type { Scheduler } from './scheduler.js'

/** Configurations whose quorums count: an entry may be committed under the one before. */
const CONFIGURATIONS_KEPT = 3
/** After so many entries a change of the configuration is behind everybody. */
const SETTLED_ENTRIES = 32

interface Stamp extends Mark {
  readonly timeMs: number
}

export class Reigns {
  readonly #scheduler: Scheduler
  readonly #claims: Claims
  readonly #durables: ReadonlyMap<PeerId, Durable>
  readonly #leaderOf = new Map<number, string>()
  readonly #stamps = new Map<string, Stamp>()
  /** Every entry that was ever staged anywhere, by term and index: what follows what, and its stamp. */
  readonly #staged = new Map<string, string>()
  readonly #timesNow: () => Times
  readonly #pace: Pace
  /** How many terms had a leader. */
  changes = 0
  /** Who leads the highest term that ever had a leader. */
  leader: string | null = null
  #highestTerm = 0
  #configuredAt = 0
  readonly #configurations: Configuration[]

  constructor(
    scheduler: Scheduler,
    claims: Claims,
    durables: ReadonlyMap<PeerId, Durable>,
    founders: readonly PeerId[],
    timesNow: () => Times,
  ) {
    this.#timesNow = timesNow
    this.#pace = new Pace(claims)
    this.#configurations = [{ voters: founders, outgoing: [], learners: [], addresses: {} }]
    this.#scheduler = scheduler
    this.#claims = claims
    this.#durables = durables
  }

  /** Those in force lately, the newest first. */
  get configurations(): readonly Configuration[] {
    return this.#configurations
  }

  /** By the last configuration that is committed. */
  votes(peer: PeerId): boolean {
    return this.#configurations[0]!.voters.includes(peer)
  }

  leads(member: string, term: number): void {
    const other = this.#leaderOf.get(term) ?? member
    this.#claims.hold(other === member, () => `two leaders in term ${term}: ${other} and ${member}`)
    if (!this.#leaderOf.has(term)) this.changes++
    this.#leaderOf.set(term, member)
    if (term > this.#highestTerm) {
      this.#highestTerm = term
      this.leader = member
    }
    this.#claims.hold(
      this.#quorum((durable) => durable.votedFor(term) === member),
      () => `${member} leads term ${term} without the votes of a quorum on disks`,
    )
  }

  /** By what is on the disks, nobody who lacks this entry could be elected, and so replace it (Raft 5.4.2, figure 8). */
  #final(index: number, term: number): void {
    const { voters, outgoing } = this.#configurations[0]!
    // Around a change two majorities count, one after the other.
    if (outgoing.length > 0 || index < this.#configuredAt + SETTLED_ENTRIES) return
    for (const peer of voters) {
      const log = this.#durables.get(peer)!
      if (log.has(index, term)) continue
      const electors = voters.filter((other) => !this.#durables.get(other)!.isAheadOf(log))
      this.#claims.hold(
        electors.length <= voters.length / 2,
        () => `entry ${index} of term ${term} is applied, and ${peer}, which lacks it, could be elected by ${electors}`,
      )
    }
  }

  /** Of the configuration in force, or of one just before: a leader goes by what it has applied itself. */
  #quorum(has: (durable: Durable) => boolean): boolean {
    const most = (peers: readonly PeerId[]): boolean =>
      peers.filter((peer) => has(this.#durables.get(peer)!)).length > peers.length / 2
    return this.#configurations.some(
      ({ voters, outgoing }) => most(voters) && (outgoing.length === 0 || most(outgoing)),
    )
  }

  stamped(member: string, term: number, index: number, timeMs: number): void {
    this.#claims.hold(
      this.#leaderOf.get(term) === member,
      () => `${member} stamps entry ${index} in term ${term}, which it does not lead`,
    )
    const mark = { atMs: this.#scheduler.nowMs, leaders: this.changes, ...this.#timesNow() }
    this.#stamps.set(`${term}:${index}`, { ...mark, timeMs })
  }

  /** Entries of the same term and index are the same, wherever they stand. */
  staged(member: string, entries: readonly Entry[]): void {
    for (const { term, index, timeMs, wallMs, commands } of entries) {
      const key = `${term}:${index}`
      const print = `${timeMs} ${wallMs} ${commands.length}`
      const known = this.#staged.get(key)
      if (known === undefined) this.#staged.set(key, print)
      else
        this.#claims.hold(known === print, () => `log matching: ${member} has another entry ${index} of term ${term}`)
    }
  }

  /** An entry is applied for the first time: it must be on the disks of a quorum, and its stamp must be true. */
  committed({ term, index, timeMs, commands }: Entry, by: string): void {
    for (const command of commands) {
      if (command.op !== INTERNAL_OP.configure) continue
      this.#configurations.unshift(command.configuration)
      this.#configuredAt = index
    }
    this.#configurations.length = Math.min(this.#configurations.length, CONFIGURATIONS_KEPT)
    this.#claims.hold(
      this.#quorum((durable) => durable.has(index, term)),
      () => `${by} applies entry ${index} of term ${term}, which is not on the disks of a quorum`,
    )
    this.#final(index, term)
    // The entry that forms a cluster is nobody's.
    if (index === 1) return
    const stamp = this.#stamps.get(`${term}:${index}`)
    if (stamp === undefined) {
      this.#claims.broken(`entry ${index} of term ${term} was stamped by nobody`)
      return
    }
    this.#claims.hold(stamp.timeMs === timeMs, () => `entry ${index} was stamped ${stamp.timeMs} and has ${timeMs}`)
    this.#pace.committed(index, timeMs, stamp)
  }
}
