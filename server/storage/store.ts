/**
 * The seam of storage/: one writer, one synced batch in flight, and everything that opening verified.
 * Whoever stages something calls flush(); whatever was staged until the flush starts travels in it, atomically.
 */
import type { AuditEvent, AuditSeq, ChainedEvent, ClusterMs, LogIndex, Term } from '@leasehold/protocol'
import type { Entry, StoredTable } from '../machine/index.js'
import type { StorageRefusal } from './refusal.js'
import type { SnapshotHead } from './snapshothead.js'

export interface Identity {
  readonly clusterId: string
  readonly memberId: string
  readonly directoryId: string
  /** Format of the records in this directory. */
  readonly format: number
}

export interface HardState {
  readonly term: Term
  /** Any string: replication names peers as `member@directory`. */
  readonly votedFor: string | null
}

/** What opening found and verified. */
export interface Recovered {
  readonly identity: Identity
  readonly hardState: HardState
  /** The tables given to openStore hold the state as of this index; replay what follows. */
  readonly checkpointIndex: LogIndex
  readonly firstIndex: LogIndex
  readonly lastIndex: LogIndex
  readonly lastTimeMs: ClusterMs
  /** For each term with entries in [firstIndex - 1, lastIndex]: its first index there, in order. Entry 0 has term 0. */
  readonly terms: readonly { readonly term: Term; readonly from: LogIndex }[]
  /**
   * The newest batch that was found. It only grows as long as a directory lives: whoever knows of a later one has seen this
   * directory come back older than it was, and what it promised since is gone.
   */
  readonly flushes: number
  /** Damage that takes nothing away that is needed, for people. */
  readonly notices: readonly string[]
}

export interface Store {
  /** As of opening, or of the last snapshot that was installed. */
  readonly recovered: Recovered
  /** The newest durable batch. */
  readonly flushes: number
  /**
   * Entries in [from, to], verified, in order, in chunks, as they stand when the first chunk is asked for: writes may go on, and what they trim
   * or replace is still handed out. So whoever reads above the commit index compares terms. Rejects with NotInLog where some are
   * trimmed, or not durable yet.
   */
  entries(from: LogIndex, to: LogIndex): AsyncIterable<readonly Entry[]>

  /** Stages new entries; an index at or below the last one replaces that suffix. */
  stageEntries(entries: readonly Entry[]): void
  stageHardState(state: HardState): void
  /**
   * Chains the events (in order) and stages them as one segment. Those that a replay brings forth again must be handed over,
   * too: they are compared with what is stored (StorageRefusal where they differ) and not staged again. Returns the new ones with
   * their hashes.
   */
  stageEvents(events: readonly AuditEvent[]): readonly ChainedEvent[]
  /**
   * Takes the changes of all tables, as the state stands after `applied`, and stages them. Throws StorageRefusal where `applied` is
   * beyond what opening found, and the replay has brought forth fewer events than are stored.
   */
  stageCheckpoint(applied: LogIndex, timeMs: ClusterMs): void
  /**
   * Forgets entries below `first`; refused above the last synced checkpoint. What follows an open snapshot is kept for its
   * receiver: returns where the log begins from now on.
   */
  stageTrimLog(first: LogIndex): LogIndex
  stageTrimAudit(through: AuditSeq): void
  /** True while something is staged that no flush has taken yet. */
  readonly staged: boolean
  readonly flushing: boolean
  /**
   * Starts writing what is staged as one synced batch, and calls `done` once it is durable. Never while another is in
   * flight. A failure calls `fatal` (given at opening) and never `done`: the process must end.
   */
  flush(done: () => void): void

  /** Events after `after` in order, at most `limit`, of one name, of a prefix, or all. Includes staged ones. Throws AUDIT_CORRUPT. */
  readEvents(query: EventQuery): Promise<EventPage>
  /** Bytes of audit kept (about), the cluster time of its oldest event (or of one not much before it), and the seqs that it spans (first > last where it is empty). */
  readonly audit: {
    readonly first: AuditSeq
    readonly last: AuditSeq
    readonly bytes: number
    readonly oldestMs: ClusterMs
  }
  /**
   * The state of the last synced checkpoint, with the audit up to there, for a member that lags too far or for a backup. It is a consistent
   * view, while writes go on. Entries after its index are kept until it is closed. Rejects where the directory is damaged.
   */
  snapshot(): Promise<OutgoingSnapshot>
  /** Begins to receive one; an earlier one that was not installed is given up. */
  receiveSnapshot(): IncomingSnapshot
  /**
   * Others have shown that this directory came back older than it was: every later opening refuses it with BEHIND, and what was found, in
   * one sentence. Resolves to that refusal once the directory is marked. Rejects where the disk does.
   */
  disown(found: string): Promise<StorageRefusal>
  /** Bytes that may still be written. */
  freeBytes(): Promise<number>
  /** Waits for the flush in flight, then gives up the directory. Safe to call twice. */
  close(): Promise<void>
}

export interface OutgoingSnapshot {
  readonly head: SnapshotHead
  /**
   * All of it, once, read as it is asked for: chunks of at most CHUNK_BYTES_MAX bytes, each checked by itself; the last one proves that
   * none is missing. Rejects where a row here is damaged. Closes at its end, or when the loop over it is left.
   */
  chunks(): AsyncIterable<Uint8Array>
  /** Safe to call twice. */
  close(): Promise<void>
}

/**
 * A snapshot being received. What is wrong with it (BAD_COPY, or of another version) gives it up, and the old state stands; what is wrong
 * with the disk goes to `fatal`, as with every write.
 */
export interface IncomingSnapshot {
  /** Null before the first chunk was taken. */
  readonly head: SnapshotHead | null
  /** The last chunk was taken, and all of it is durable beside the live rows. */
  readonly complete: boolean
  /** The next chunk. Resolves once there is room for another; wait for it, or keep a small window. */
  add(chunk: Uint8Array): Promise<void>
  /**
   * Verifies what was written as opening does, loads it into `tables` (those of a fresh machine), and makes it the directory's state with one
   * synced batch. The log is empty then, and goes on after the snapshot's index; term and vote stay. The store goes on with it: tables
   * that were given before are no longer looked at. Flushes may go on meanwhile, for votes; but entries, events and rows that are
   * staged or flushed before the end of this call go with the old state: apply and acknowledge none. Returns what opening would.
   */
  install(tables: readonly StoredTable[]): Promise<Recovered>
  /** Gives it up. Safe to call at any time. */
  abort(): Promise<void>
}

/** Entries that were asked for and cannot be read: below `first` they are trimmed for good, above `last` not durable yet. */
export class NotInLog extends RangeError {
  override readonly name = 'NotInLog'
  readonly first: number
  readonly last: number

  constructor(from: number, to: number, first: number, last: number) {
    super(`entries ${from} to ${to} are not within ${first} to ${last}`)
    this.first = first
    this.last = last
  }
}

export interface EventQuery {
  readonly after: AuditSeq
  readonly limit: number
  readonly name?: string
  readonly prefix?: string
}

export interface EventPage {
  readonly events: readonly ChainedEvent[]
  /** Where the next page starts (pass as `after`), or null at the end of what is there now. A page may be short, even empty, and yet have a next. */
  readonly next: AuditSeq | null
}

export interface StoreOptions {
  readonly tables: readonly StoredTable[]
  readonly fatal: (error: Error) => void
  /** Of a new directory; an existing one must agree with memberId. */
  readonly memberId: string
}
