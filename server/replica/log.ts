/**
 * The seam between consensus and everything above it. Entries come to the follower in order, once committed, exactly once per
 * process; a leader appends drafts, several in one go, each one batch of one member under the stamp of its close.
 */
import type { ClusterMs, Command, Configuration, LogIndex, PeerId, Run, Term, WallMs } from '@leasehold/protocol'
import type { StoredTable } from '../machine/index.js'
import type { Role } from '../raft/index.js'
import type { Recovered } from '../storage/index.js'
import type { Forward } from './forwards.js'
import type { ReplicaEntry } from './logentry.js'

/** An entry to be: what the log adds is its term and its index. */
export interface Draft {
  readonly timeMs: ClusterMs
  readonly wallMs: WallMs
  /** The member whose batch it is, its run, and its number there (0 and 0: not counted). */
  readonly member: string
  readonly run: Run
  readonly batch: number
  readonly commands: readonly Command[]
  /** The commands as encodeCommands gives them, where at hand. */
  readonly body?: Uint8Array | undefined
}

export interface LogFollower {
  /** As of what was applied; null before any. */
  readonly configuration: Configuration | null
  /** In use as of what was applied: links to who does not know it end. */
  readonly format: number
  /** A committed entry. */
  apply(entry: ReplicaEntry): void
  /**
   * This member leads from now on; `baseMs` is the time of the last entry of its log, uncommitted ones included. It must append
   * at once: a leader's first entry is what commits all before it.
   */
  lead(term: Term, baseMs: ClusterMs): void
  /** This member follows that leader, or nobody. */
  follow(term: Term, leader: PeerId | null): void
  /** There is room: the next batch may close, so that the disk works while this one is applied; after it, where this one is small. */
  room(): void
  /** A flush is about to start: what else is due may be staged, and travels in it. */
  flushing(): void
  /** A flush has come to its end: what was staged before it is durable. */
  flushed(): void
  /** A message about batches came from this peer. */
  forwarded(from: PeerId, message: Forward): void
  /** Everything is applied up to here, and to be written down with the next flush. */
  checkpoint(): void
  /** A snapshot is about to replace the state: tables for it to be loaded into. Nothing is applied until it is there. */
  replacement(): readonly StoredTable[]
  /** It is there; null: it is not, and all goes on as before. */
  installed(recovered: Recovered | null): void
  /** The link to this peer came up, went down, or has room again. What was sent over one that went down may be lost. */
  linked(peer: PeerId, change: 'up' | 'down' | 'room'): void
}

/** One peer of the configuration, as this member knows it. */
export interface PeerStatus {
  readonly peer: PeerId
  readonly address: string
  readonly voter: boolean
  /** How much of the log it has, and whether it was heard lately: leaders know; else null. */
  readonly match: LogIndex | null
  readonly active: boolean | null
}

export interface LogStatus {
  readonly term: Term
  readonly role: Role
  /** The member id of the leader. */
  readonly leader: string | null
  readonly commitIndex: LogIndex
  /** Of the log as it is kept: lastIndex + 1 where it is empty. */
  readonly firstIndex: LogIndex
  readonly lastIndex: LogIndex
  readonly peers: readonly PeerStatus[]
}

export interface ReplicatedLog {
  readonly status: LogStatus
  /** This member leads, and its follower knows. */
  readonly leading: boolean
  /** Of a leader: a quorum has answered lately. Cluster time is gathered only while it is true. */
  readonly quorumFresh: boolean
  /** Of a leader: a change of the configuration may be appended now. */
  readonly mayReconfigure: boolean
  /** Joins the cluster; resolves once it takes part, whether or not there is a leader. */
  start(follower: LogFollower): Promise<void>
  /** At every tick, except while the disk hangs: who cannot write must lose its office. */
  tick(): void
  /** True while a leader's next batch may close: nothing waits for a flush, and not too much waits for its commit. */
  readonly ready: boolean
  /**
   * Of a leader: appends these in order, under stamps taken now. Returns the index of the first. Each comes as apply once it is
   * committed, or never. Never from within the call itself.
   */
  append(drafts: readonly Draft[]): LogIndex
  /** Writes down what is staged, also where no entry asks for it. */
  flush(): void
  /** About batches, to a member. False, with nothing sent, where there is no link or no room. */
  send(to: PeerId, message: Forward): boolean
  /** Resolves once all that was committed before the call is applied here. NO_QUORUM where nobody can tell, in bounded time. */
  readBarrier(): Promise<void>
  /** Entries up to here are no longer needed for recovery. */
  trim(through: LogIndex): void
  /** Hands leadership to this peer, or to whoever of those that are able (left out: all) has most of the log. False where that cannot be. */
  transferLeadership(to: PeerId | null, able?: (peer: PeerId) => boolean): boolean
  close(): Promise<void>
}
