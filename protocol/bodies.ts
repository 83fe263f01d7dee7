/**
 * Bodies of requests: the MessagePack arrays behind the headers, and their check into commands and queries. The same
 * checks serve HTTP (which builds the arrays' fields by name). Every check names its field.
 *
 *   acquire    [seq, lowest, knownMs, name, holder, ttlMs, waitMs, priority, lockDelayMs, meta]
 *   renew      [name, token]            release [name, token]            transfer [name, token, to]
 *   revoke     [seq, lowest, knownMs, name]                              cancelWait [seq]
 *   get        [name]                   list [prefix, after, limit]      time []
 *   history    [name, prefix, cursor, limit]       (name, prefix and cursor may be null)
 *   watch      [prefix, cursor]  (the request's id names the watch)      unwatch [watchId]
 */
import type { ClientCommand } from './commands.js'
import type { Op } from './ops.js'

/** Who sends it: gives the commands their principal and the scope of their request tokens. */
export interface Sender {
  readonly principal: string
  /** `s:` and the session id in hex. */
  readonly scope: string
}

export interface ListQuery {
  readonly prefix: string
  readonly after: string | null
  readonly limit: number
}
export interface HistoryQuery {
  readonly name: string | null
  readonly prefix: string | null
  readonly cursor: string | null
  readonly limit: number
}
export interface WatchQuery {
  readonly prefix: string
  readonly cursor: string | null
}

/** A change's body as a checked command. Throws ProtocolError INVALID_ARGUMENT (TOO_LARGE for meta). */
export function parseCommand(op: Op, fields: readonly unknown[], sender: Sender): ClientCommand {
  throw new Error(`not built ${op} ${fields} ${sender}`)
}
export function parseGet(fields: readonly unknown[]): string {
  throw new Error(`not built ${fields}`)
}
export function parseList(fields: readonly unknown[]): ListQuery {
  throw new Error(`not built ${fields}`)
}
export function parseHistory(fields: readonly unknown[]): HistoryQuery {
  throw new Error(`not built ${fields}`)
}
export function parseWatch(fields: readonly unknown[]): WatchQuery {
  throw new Error(`not built ${fields}`)
}
export function parseUnwatch(fields: readonly unknown[]): number {
  throw new Error(`not built ${fields}`)
}

/** Checks of single fields, for HTTP and the library. Each returns the value or throws ProtocolError INVALID_ARGUMENT. */
export function checkTtlMs(value: unknown, field = 'ttlMs'): number {
  throw new Error(`not built ${value} ${field}`)
}
export function checkWaitMs(value: unknown, field = 'waitMs'): number {
  throw new Error(`not built ${value} ${field}`)
}
export function checkLockDelayMs(value: unknown, field = 'lockDelayMs'): number {
  throw new Error(`not built ${value} ${field}`)
}
export function checkPriority(value: unknown, field = 'priority'): number {
  throw new Error(`not built ${value} ${field}`)
}
export function checkToken(value: unknown, field = 'token'): number {
  throw new Error(`not built ${value} ${field}`)
}
/** TOO_LARGE over 1 KiB of UTF-8. */
export function checkMeta(value: unknown, field = 'meta'): string | null {
  throw new Error(`not built ${value} ${field}`)
}
export function checkLimit(value: unknown, field = 'limit'): number {
  throw new Error(`not built ${value} ${field}`)
}
/** 1 to 255 bytes of visible ASCII. */
export function checkIdempotencyKey(value: unknown, field = 'Idempotency-Key'): string {
  throw new Error(`not built ${value} ${field}`)
}
