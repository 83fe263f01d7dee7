/**
 * The seam between consensus and everything above it. One batch is under way at a time: the next append waits for the
 * outcome of the last. Entries come to the follower in order, once committed, exactly once per process.
 */
import type { ClusterMs, Command, LogIndex, Term } from '@leasehold/protocol'
import type { Entry } from '../machine/index.js'

export interface LogFollower {
  /** A committed entry. */
  apply(entry: Entry): void
  /** This member leads from now on; `baseMs` is the time of the last entry of its log. */
  lead(term: Term, baseMs: ClusterMs): void
  /** This member no longer leads. */
  follow(term: Term, leader: string | null): void
  /** The append under way has its outcome; the next one may come. */
  settled(index: LogIndex, committed: boolean): void
}

export interface LogStatus {
  readonly term: Term
  readonly leader: string | null
  readonly commitIndex: LogIndex
  readonly lastIndex: LogIndex
}

export interface ReplicatedLog {
  readonly status: LogStatus
  /** Replays what is committed, then becomes live. */
  start(follower: LogFollower): Promise<void>
  /** True while an append may be made: this member leads, and none is under way. */
  readonly ready: boolean
  /**
   * Appends one batch under this stamp (taken now: nothing joins a batch after its stamp). Its outcome comes as settled
   * (within which the next append may be made, so that the disk works while this one is applied) and then, if
   * committed, as apply. Never from within the call itself.
   */
  append(batch: { timeMs: ClusterMs; wallMs: number; commands: readonly Command[] }): LogIndex
  /** Resolves once all that was committed before the call is applied here, and this member was still the leader then. */
  readBarrier(): Promise<void>
  /** Entries up to here are no longer needed for recovery. */
  trim(through: LogIndex): void
  close(): Promise<void>
}
