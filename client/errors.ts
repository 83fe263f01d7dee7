/**
 * The errors of the library: one class, and two that carry more. `code` is of the one table in @leasehold/protocol.
 * Never says `executed: 'no'` unless every attempt of the request was refused, or none was sent.
 */
import { ERRORS, type ErrorCode, type LossReason, ProtocolError } from '@leasehold/protocol'
import type { Lease } from './lease.js'

/**
 * Whether the cluster executed the request. `yes`: it did, and this error is its outcome. `no`: every attempt was
 * refused or never left this process, so nothing was changed and nothing will be. `unknown`: an attempt was sent whose
 * fate is not known.
 */
export type Executed = 'yes' | 'no' | 'unknown'

export interface ErrorDetails {
  readonly executed: Executed
  /** Milliseconds after which the server would like to be asked again. */
  readonly retryAfterMs?: number | undefined
  readonly cause?: unknown
}

/** Everything that this library throws. `retryable`: the same request may succeed later without change. */
export class LeaseholdError extends Error {
  override readonly name: string = 'LeaseholdError'
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly executed: Executed
  readonly retryAfterMs?: number

  constructor(code: ErrorCode, detail: string | null, details: ErrorDetails) {
    const text = detail === null || detail === '' ? `${ERRORS[code].title}. ${ERRORS[code].help}` : detail
    super(text, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.retryable = ERRORS[code].retryable
    this.executed = details.executed
    if (details.retryAfterMs !== undefined && details.retryAfterMs > 0) this.retryAfterMs = details.retryAfterMs
  }
}

/** Somebody else has the name. During a lock-delay `holder` is the last one, and remainingMs lasts until it is over. */
export class LeaseHeldError extends LeaseholdError {
  override readonly name = 'LeaseHeldError'
  readonly holder: string
  readonly remainingMs: number
  readonly meta: string | null

  constructor(leaseName: string, holder: string, remainingMs: number, meta: string | null) {
    super('LEASE_HELD', `${leaseName} is held by ${holder} for another ${remainingMs} ms`, { executed: 'yes' })
    this.holder = holder
    this.remainingMs = remainingMs
    this.meta = meta
  }
}

/** The grant is no longer the caller's; `reason` says why. The object that threw it never comes back to life. */
export class LeaseLostError extends LeaseholdError {
  override readonly name: string = 'LeaseLostError'
  readonly reason: LossReason
  readonly token: number

  constructor(leaseName: string, token: number, reason: LossReason, executed: Executed = 'yes') {
    super('LEASE_LOST', `the grant of ${leaseName} with token ${token} has ended: ${reason}`, { executed })
    this.reason = reason
    this.token = token
  }
}

/** Thrown by Lease.transfer() where nobody waits under that name. */
export class NotTransferredError extends LeaseholdError {
  override readonly name = 'NotTransferredError'
  /** The grant, which the cluster has kept: a new object, since the one that was to be handed over has ended. */
  readonly kept: Lease

  constructor(detail: string, kept: Lease) {
    super('NO_SUCH_WAITER', detail, { executed: 'yes' })
    this.kept = kept
  }
}

/** Whatever a check of arguments threw, as an error of this library. Nothing was sent. */
export function refusedHere(error: unknown): unknown {
  if (!(error instanceof ProtocolError)) return error
  return new LeaseholdError(error.code, error.message, { executed: 'no' })
}

/** The caller's signal has fired. */
export function aborted(signal: AbortSignal, executed: Executed): LeaseholdError {
  return new LeaseholdError('ABORTED', null, { executed, cause: signal.reason })
}

/** The client was closed before the request was answered. */
export function closed(executed: Executed): LeaseholdError {
  return new LeaseholdError('CLOSED', null, { executed })
}

const DEFINITIVE: ReadonlySet<ErrorCode> = new Set([
  'LEASE_HELD',
  'LEASE_LOST',
  'LEASE_NOT_FOUND',
  'NO_SUCH_WAITER',
  'CURSOR_COMPACTED',
  'AUDIT_CORRUPT',
  'QUOTA_NOT_FOUND',
  'QUOTA_EXCEEDED',
  'QUOTA_CONFLICT',
])

/** What one reply with an error's code tells about its attempt: executed with this outcome, refused, or not known. */
export function fateOf(code: ErrorCode): Executed {
  if (DEFINITIVE.has(code)) return 'yes'
  return code === 'OUTCOME_UNKNOWN' || code === 'INTERNAL' ? 'unknown' : 'no'
}
