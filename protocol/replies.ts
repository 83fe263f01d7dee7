/**
 * Replies as the machine makes them and the session's wire carries them: a code and an array of fields.
 * `[id, attempt, code, fields]` on the wire. The fields of each kind of reply stand here and nowhere else.
 * `remainingMs` is always of the stamp of the attempt that is answered, never of an earlier one.
 */
import type { ClusterMs, FencingToken, WaiterId } from './brands.js'
import type { LossReason } from './errors.js'
import type { WhenUnavailable } from './quota.js'

/** acquire and renew, code OK. ttlMs and remainingMs in milliseconds. `holder` is the grant's. */
export type GrantedFields = readonly [
  token: FencingToken,
  ttlMs: number,
  remainingMs: number,
  replayed: boolean,
  holder: string,
]
/** acquire, code OFFERED. */
export type OfferedFields = readonly [token: FencingToken, claimWithinMs: number, ttlMs: number, replayed: boolean]
/** acquire, code QUEUED: the final answer follows under the same id. */
export type QueuedFields = readonly [waiter: WaiterId]
/** release, code OK. */
export type ReleasedFields = readonly [replayed: boolean]
/** transfer, code OK: the offer was made. */
export type TransferredFields = readonly [replayed: boolean]
/** revoke, code OK: the grant that was ended. */
export type RevokedFields = readonly [token: FencingToken, replayed: boolean]
/** Code LEASE_HELD. During a lock-delay `holder` is the last one and remainingMs lasts until the delay is over. */
export type HeldFields = readonly [holder: string, remainingMs: number, meta: string | null, replayed: boolean]
/** Code LEASE_LOST. */
export type LostFields = readonly [token: FencingToken, reason: LossReason]
/** Every other error code. `detail` is a sentence for people; retryAfterMs 0 where there is no hint. */
export type ErrorFields = readonly [detail: string, retryAfterMs: number]
/** time, code OK. */
export type TimeFields = readonly [clusterMs: ClusterMs]

/** One lease as readers see it. `state`: offered ones have no owner yet, delayed ones have none any more. */
export type LeaseView = readonly [
  name: string,
  holder: string,
  token: FencingToken,
  ttlMs: number,
  remainingMs: number,
  state: 'held' | 'offered' | 'delayed',
  waiters: number,
  meta: string | null,
]
/** get, code OK. */
export type GetFields = readonly [lease: LeaseView]
/** list, code OK; next is the last name of the page, or null where the listing ends. */
export type ListFields = readonly [leases: readonly LeaseView[], next: string | null]
/** history, code OK. Events as chainedFields has them; next is a cursor, or null at the end of what is there now. */
export type HistoryFields = readonly [events: readonly (readonly unknown[])[], next: string | null]
/** watch, code OK: pushes follow under the request's id. The cursor is where it begins: what happened after it is pushed. */
export type WatchFields = readonly [cursor: string]
/** quotaSet and quotaDelete, code OK. `version`: of the specification that stands, or that was deleted. */
export type QuotaChangedFields = readonly [version: number, replayed: boolean]
/**
 * take, code OK. `taken`: tokens that were taken, which is the cost unless it was a take up to a number. `remaining` and `resetMs` (until
 * the bucket is full again) are as good as the member knows. `how`: by which right it was admitted.
 */
export type TakenFields = readonly [taken: number, remaining: number, limit: number, resetMs: number, how: TakenHow]
/** `exact`: from tokens. `key`: by a keyed bucket, or below what deserves one. `shadow`: it would have been denied. `unavailable`: nobody could say. */
export type TakenHow = 'exact' | 'key' | 'shadow' | 'unavailable'
/** Code QUOTA_EXCEEDED. */
export type ExceededFields = readonly [
  detail: string,
  retryAfterMs: number,
  remaining: number,
  limit: number,
  resetMs: number,
]
/**
 * draw, code OK: what the client has of this quota from this member. `granted` is cumulative since the tab was opened; all of it
 * may be spent for `validMs` from before the request was sent, less drift. `retryAfterMs`: more is not to be had before.
 */
export type DrawnFields = readonly [
  tab: number,
  granted: number,
  validMs: number,
  retryAfterMs: number,
  limit: number,
  shadow: boolean,
  whenUnavailable: WhenUnavailable,
]
/** One quota as readers see it: its specification as quotaFields has it. */
export type QuotaRow = readonly [
  name: string,
  version: number,
  available: number,
  outstanding: number,
  spec: readonly (string | number | boolean | null)[],
]
/** quotaGet, code OK. */
export type QuotaGetFields = readonly [quota: QuotaRow]
/** quotaList, code OK; next is the last name of the page, or null where the listing ends. */
export type QuotaListFields = readonly [quotas: readonly QuotaRow[], next: string | null]
/** quotaTop, code OK: the keys that take most, with the most by which each rate may be too high, per second. */
export type QuotaTopFields = readonly [
  keys: readonly (readonly [key: string, ratePerS: number, errorPerS: number])[],
  totalPerS: number,
]
/** unwatch, code OK, also when there was no such watch. */
export type UnwatchedFields = readonly []

export interface Reply {
  /** OK, OFFERED, QUEUED, or the wire number of an error. */
  readonly code: number
  readonly fields: readonly unknown[]
}
