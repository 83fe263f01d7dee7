/**
 * What the log hands to the machine, and what comes back. An entry is one batch of commands under one stamp.
 * `apply` is a function of the state and the entry alone: every member, and every replay, gets the same.
 */
import type {
  AuditEvent,
  ClusterMs,
  Command,
  FencingToken,
  LogIndex,
  LossReason,
  Reply,
  Run,
  Term,
  WaiterId,
  WallMs,
} from '@leasehold/protocol'

export interface Entry {
  readonly term: Term
  readonly index: LogIndex
  /** The leader's stamp. Never less than the previous entry's. */
  readonly timeMs: ClusterMs
  /** The leader's wall clock: for people (the audit), for nothing else. */
  readonly wallMs: WallMs
  /** The member whose clients these commands come from. */
  readonly member: string
  /** Of that member's process; 0 where the leader speaks for itself (beats). */
  readonly run: Run
  /**
   * The member's number of this batch, 1, 2, 3 ... within the run; 0: not counted. A counted batch is executed only if its run
   * is the member's current one and its number above the last one's: so it may be sent again while it is in doubt.
   */
  readonly batch: number
  readonly commands: readonly Command[]
  /** The commands as encodeCommands makes them, where they are at hand; the machine never looks at it. */
  readonly body?: Uint8Array
}

/** The final answer to an acquire that was QUEUED. Each waiter has exactly one, also where nobody listens any more. */
export interface Settled {
  readonly waiter: WaiterId
  readonly reply: Reply
}

/**
 * A grant or an offer that was ended by somebody else: whoever had it is to be told. The event's principal is who did
 * it.
 */
export interface Revocation {
  /** Whose grant it was. */
  readonly principal: string
  readonly name: string
  readonly token: FencingToken
  readonly reason: LossReason
}

/** What a draw had of one quota. */
export interface DrawOutcome {
  readonly quota: string
  /** Of the specification by which it was judged; 0: there is no such quota, and nothing was granted. */
  readonly version: number
  /** The member's tab of this quota: opened by this draw where it has the draw's seq. 0: the member has none. */
  readonly tab: number
  /** Tokens granted by this draw: all that the tab holds may be spent until its end, which this draw has moved. */
  readonly granted: number
  /** Tokens that the tab has had in all. */
  readonly drawn: number
  /** The end of the tab, and how long that is after this entry's stamp. */
  readonly endMs: ClusterMs
  readonly validMs: number
  /** Where less was granted than was wanted: when something more may be there. 0 where all was granted. */
  readonly retryAfterMs: number
  /** Whole tokens that are left to be drawn, after this entry. */
  readonly available: number
}

/** A draw that was executed by this entry; one that came again has nothing here. */
export interface Drawn {
  readonly member: string
  readonly run: Run
  readonly seq: number
  /** In the order of its wants. */
  readonly outcomes: readonly DrawOutcome[]
}

/** What a member has drawn from a quota, and what the state knows of it. */
export interface TabView {
  readonly quota: string
  readonly member: string
  readonly run: Run
  /** The seq of the draw that opened it. */
  readonly tab: number
  /** Tokens, cumulative: drawn = spent + returned + what is outstanding. */
  readonly drawn: number
  readonly spent: number
  readonly returned: number
  readonly endMs: ClusterMs
}

export interface Applied {
  /** False for a batch that came again, or too late: time moved on and the sweep ran, but no command did. */
  readonly executed: boolean
  /** One per command, in their order; none where nothing was executed. A command without an answer of its own (internal ones) has a bare OK. */
  readonly replies: readonly Reply[]
  /** Final answers to acquires that were QUEUED by this entry or an earlier one. */
  readonly settled: readonly Settled[]
  readonly revoked: readonly Revocation[]
  readonly drawn: readonly Drawn[]
  /** In order; seq continues from the last one. */
  readonly events: readonly AuditEvent[]
  /** The sweep reached its bound: append a sweep entry at once. */
  readonly moreDue: boolean
}

/**
 * Rows carry storage's mark of what of them is written down; the machine never reads it. A fresh row has 0.
 * The machine mutates rows in place and reports them through its tables' changes.
 */
export interface Saved {
  /** Storage's checksum of the version on disk; 0 where there is none. */
  saved: number
}

/** A table as storage sees it. Keys are unique within the table, at most 1 KiB of UTF-8. */
export interface StoredTable<Row extends Saved = Saved> {
  /** Short and stable: it is part of the key on disk. */
  readonly name: string
  readonly size: number
  /**
   * Rows and keys changed since the last take. A row that was removed stands under its key as the removed row itself,
   * with `removed` true.
   */
  readonly changeCount: number
  /**
   * Those of them that are on disk in an older version. The others may come and go without ever being written: a lease
   * that is released soon after.
   */
  readonly storedChangeCount: number
  /** Hands over the changes and forgets them. Order is of no meaning. */
  takeChanges(): readonly { readonly key: string; readonly row: Row; readonly removed: boolean }[]
  encode(row: Row): readonly unknown[]
  /** Puts a stored row back, while loading. Called in key order. Throws on a shape that it does not know. */
  load(key: string, fields: readonly unknown[], saved: number): void
  /** All live rows, for digests and snapshots. */
  rows(): IterableIterator<readonly [string, Row]>
}
