/**
 * The memory of one request: which it was, and what came of it; and of one scope: which of its requests are history.
 */
import type { Row } from './changes.js'
import type { Linked } from './fifo.js'

/** Numbers are stored; never reuse one. */
export const OUTCOME = {
  /** Not yet known; never stored. */
  none: 0,
  /** Waits: `ref` is the waiter's id. Has no retention. */
  queued: 1,
  /** Granted or offered: `ref` is the token. */
  granted: 2,
  /** LEASE_HELD: by `holder` with `meta` until `ref`. */
  held: 3,
  /** A revoke that ended the grant with the token `ref`. */
  revoked: 4,
  /** A revoke of a free name. */
  notFound: 5,
  /** Cancelled before it had an outcome: never to be executed. */
  gaveUp: 6,
  /**
   * A wait whose connection stayed away for too long: a retry waits anew, until `ref`, the first attempt's deadline.
   */
  lostPlace: 7,
  /** A quota that was set or deleted: `ref` is the version. */
  quota: 8,
} as const

export interface RequestRecord extends Row, Linked<RequestRecord> {
  readonly scope: Scope
  readonly key: number | string
  /** Of the parameters; -1: the request was given up before it arrived. */
  readonly digest: number
  outcome: number
  ref: number
  holder: string | null
  meta: string | null
  /** Place in the order of outcomes, and when that was. 0 without an outcome. */
  order: number
  atMs: number
}

/** One session's, or one HTTP principal's, requests. */
export interface Scope {
  readonly principal: Principal
  readonly name: string
  readonly records: Map<number | string, RequestRecord>
  mark: Mark | null
}

/** Says that every request of its scope below `lowest` is answered. */
export interface Mark extends Row, Linked<Mark> {
  readonly scope: Scope
  lowest: number
  raisedMs: number
  /** Place in the order of raises. */
  order: number
}

/** Whoever requests are made for. Records and marks count against his bound. */
export interface Principal {
  readonly name: string
  readonly scopes: Map<string, Scope>
  count: number
}

/** Keys of requests are texts or numbers, and 7 is not '7'. Principals, scopes and keys have no spaces. */
export const recordKey = (record: RequestRecord) =>
  `${scopeKey(record.scope)} ${typeof record.key === 'number' ? '#' : '='}${record.key}`
export const markKey = (mark: Mark) => scopeKey(mark.scope)
const scopeKey = (scope: Scope) => `${scope.principal.name} ${scope.name}`
