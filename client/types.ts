/** The shapes of the library's surface. Durations are milliseconds, or texts such as '250ms', '10s', '1.5m', '2h'. */
import type { ChainedEvent, Duration } from '@leasehold/protocol'

export interface ClientOptions {
  /** The members' addresses, such as 'http://127.0.0.1:7420': one at least, 16 at most. */
  readonly endpoints: readonly string[]
  /** Who the client is: the principal of its requests, in the audit and for the bounds. By default the machine's name. */
  readonly name?: string
  /**
   * Under which name leases are held, unless an acquire says otherwise. By default the client's name and eight random
   * digits, so that two processes of one service can be told apart; set it where others shall `transfer` to it.
   */
  readonly holder?: string
  /** Sent with the greeting. */
  readonly credential?: string
  /** Taken off every grant for clocks that run at different rates: 0.015 (the default) or more. */
  readonly drift?: number
  /** How long a request may take that does not wait, all its attempts together. 10 s by default. */
  readonly timeout?: Duration
}

/** Everything that waits can be told to stop: it then throws ABORTED. */
export interface WaitOptions {
  readonly signal?: AbortSignal
  /** Instead of the client's timeout. */
  readonly timeout?: Duration
}

export interface TryAcquireOptions extends WaitOptions {
  /** How long the grant lasts after each renewal. 10 s by default; 100 ms to 1 day. */
  readonly ttl?: Duration
  /** Instead of the client's holder name. */
  readonly holder?: string
  /** After an unclean end (expired, revoked) nobody may have the name for this long. */
  readonly lockDelay?: Duration
  /** Up to 1 KiB that travels with the grant: an address, say. */
  readonly meta?: string
}

export interface AcquireOptions extends TryAcquireOptions {
  /** How long to wait in the queue where somebody else has it. 0 by default; 1 hour at most. */
  readonly wait?: Duration
  /** -1000 to 1000; higher ones are served first. 0 by default. */
  readonly priority?: number
}

export interface HandoverOptions extends WaitOptions {
  /** How long to wait for the work in flight. 10 s by default. */
  readonly drain?: Duration
  /** Hand over to the one who waits under this holder name, instead of releasing to whoever is next. */
  readonly to?: string
}

/** What a leader's work wants next: to be called again, or to step down. */
export type LeadVerdict = 'again' | 'stop'

/** A lease as readers see it. */
export interface LeaseInfo {
  readonly name: string
  readonly holder: string
  readonly token: number
  readonly ttlMs: number
  /** As of the answer; less the answer's age where it comes from the cache. */
  readonly remainingMs: number
  /** `offered`: nobody has it yet. `delayed`: nobody may have it yet. */
  readonly state: 'held' | 'offered' | 'delayed'
  readonly waiters: number
  readonly meta: string | null
}

export interface GetOptions extends WaitOptions {
  /** An answer that is no older may come from this process. 0 by default: always ask. */
  readonly maxAge?: Duration
  /** Where the cluster cannot be asked, an answer older than maxAge by no more than this will do. 0 by default. */
  readonly maxStale?: Duration
}

export interface ListOptions extends WaitOptions {
  readonly prefix?: string
  /** The last name of the page before. */
  readonly after?: string
  /** Leases a page: 1 to 1000, 100 by default. */
  readonly limit?: number
}

export interface LeasePage {
  readonly leases: readonly LeaseInfo[]
  /** Where the next page starts (pass as `after`), or null at the end. */
  readonly next: string | null
}

export interface WatchOptions {
  readonly prefix?: string
  /** The cursor of the last event that was seen. Without it, the watch begins now. */
  readonly after?: string
  readonly signal?: AbortSignal
}

/** A change of a lease, and the cursor to go on from. */
export interface LeaseEvent extends ChainedEvent {
  readonly cursor: string
}

export interface HistoryOptions extends WaitOptions {
  /** Only of this lease. */
  readonly name?: string
  /** Only of leases whose name begins so. */
  readonly prefix?: string
  readonly after?: string
  /** Events a page: 1 to 1000, 100 by default. */
  readonly limit?: number
}

export interface HistoryPage {
  readonly events: readonly ChainedEvent[]
  /** Where the next page starts (pass as `after`), or null at the end of what is there now. A page may be short, even empty. */
  readonly next: string | null
}
