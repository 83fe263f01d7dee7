/** A queued acquire: what was asked for, and until when it waits. */
import type { Row } from './changes.js'
import type { Due } from './due.js'
import type { RequestRecord } from './record.js'
import type { Codec } from './table.js'

export interface Waiter extends Row, Due {
  /** Its place in the order of arrival. */
  readonly id: number
  readonly name: string
  readonly holder: string
  readonly principal: string
  readonly meta: string | null
  readonly ttlMs: number
  readonly lockDelayMs: number
  readonly priority: number
  /** When the wait is over: fixed by the first attempt. On cluster time, as is endMs. */
  readonly deadlineMs: number
  /** Whose client waits. */
  member: string
  /** Since when its connection is lost; -1 while it is not. endMs is the deadline, or when a lost one is given up. */
  lostMs: number
  /**
   * The record of the request that waits; null where it came without a token. Not stored: the record names the waiter.
   */
  record: RequestRecord | null
}

export const waiterCodec: Codec<Waiter> = {
  name: 'waiters',
  keyOf: (waiter) => String(waiter.id),
  encode: (w) => [
    w.name,
    w.holder,
    w.principal,
    w.meta,
    w.ttlMs,
    w.lockDelayMs,
    w.priority,
    w.deadlineMs,
    w.member,
    w.lostMs,
    w.endMs,
  ],
  decode: (key, fields) => ({
    saved: 0,
    change: -1,
    slot: 0,
    placedMs: 0,
    record: null,
    id: Number(key),
    name: fields.text(),
    holder: fields.text(),
    principal: fields.text(),
    meta: fields.textOrNull(),
    ttlMs: fields.int(),
    lockDelayMs: fields.int(),
    priority: fields.int(),
    deadlineMs: fields.int(),
    member: fields.text(),
    lostMs: fields.int(),
    endMs: fields.int(),
  }),
}
