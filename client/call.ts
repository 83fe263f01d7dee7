/**
 * One request, through all its attempts: when each was sent, which of them may have been executed, and who wants to know.
 * Never counts an answer from a later moment than before its own attempt was sent.
 */
import type { ErrorCode, Op } from '@leasehold/protocol'
import { Due } from './deadline.js'
import type { Executed, LeaseholdError } from './errors.js'
import type { Mark } from './validity.js'

export const STATE = {
  /** Not handed in yet, or ended. */
  idle: 0,
  /** Wants to be sent with the next frame. */
  ready: 1,
  /** An attempt is under way. */
  sent: 2,
  /** The cluster has queued it: the answer may take as long as the wait. */
  queued: 3,
  /** Waits for its next attempt. */
  backoff: 4,
  /** Its connection is gone: it is sent again once there is another. */
  stranded: 5,
} as const
export type State = (typeof STATE)[keyof typeof STATE]

/** The moments of this many attempts are kept one by one; an older one counts from the first. */
const MARKS_MAX = 8

/** What the table of calls does for a call whose moment has come. */
export interface CallTable {
  due(call: Call, nowMs: number): void
}

/** A reply that says: not now. */
export interface Refusal {
  readonly code: ErrorCode
  readonly detail: string
  readonly retryAfterMs: number
}

export abstract class Call extends Due {
  abstract readonly op: Op
  /** Names the request on the wire. 0: not handed in. */
  id = 0
  /** Attempts sent so far. */
  attempt = 0
  state: State = STATE.idle
  /** On the monotonic clock. The call fails when it is still unanswered then. */
  deadlineMs = 0
  /** When the attempt under way was sent. */
  sentMs = 0
  /** Attempts that were sent and neither answered nor refused: each may have been, or may yet be, executed. */
  open = 0
  /** An attempt has stood in a queue, so the request has been executed, whatever became of its place. */
  queued = false
  /** Renewals retry on a budget of their own, and wait where others fail at once. */
  readonly renewal: boolean = false
  /** Needs the cluster time before it can be sent (it carries a request token). */
  readonly timed: boolean = false
  /** Whether the process stays alive for its answer. */
  holds = true
  /** The last refusal, for the error if there is no better answer. */
  refusal: Refusal | null = null
  table: CallTable | null = null
  #first: Mark | null = null
  readonly #marks: (Mark | undefined)[] = []

  /** The body of the attempt that is about to be sent. */
  abstract fields(): readonly unknown[]
  /** OK, OFFERED, or the wire number of an error that is the request's outcome. `mark`: before the answered attempt was sent. */
  abstract answered(code: number, fields: readonly unknown[], mark: Mark): void
  /** There will be no answer. */
  abstract failed(error: LeaseholdError): void
  /** The cluster has queued it; says how long its answer may take from now on. */
  queuedForMs(): number {
    return 0
  }

  /** Whether the cluster may have executed this request, as far as anybody here knows. */
  get executed(): Executed {
    return this.open > 0 || this.queued ? 'unknown' : 'no'
  }

  override due(nowMs: number): void {
    this.table?.due(this, nowMs)
  }

  /** The next attempt is about to be sent; `mark` was taken before. */
  begin(mark: Mark, nowMs: number): void {
    this.attempt++
    this.open++
    this.sentMs = nowMs
    if (this.attempt === 1) this.#first = mark
    else this.#marks[this.attempt % MARKS_MAX] = mark
  }

  /** The moment before this attempt was sent, or an earlier one; null for an attempt that never was. */
  markOf(attempt: number): Mark | null {
    if (attempt < 1 || attempt > this.attempt) return null
    if (attempt === 1 || attempt <= this.attempt - MARKS_MAX) return this.#first
    return this.#marks[attempt % MARKS_MAX] ?? this.#first
  }
}
