/**
 * Bodies of requests: the MessagePack arrays behind the headers, and their check into commands and queries. The same
 * checks serve HTTP (which builds the arrays' fields by name). Every check names its field; an element too many is an
 * error, never ignored.
 *
 *   acquire    [seq, lowest, knownMs, name, holder, ttlMs, waitMs, priority, lockDelayMs, meta]
 *   renew      [name, token]            release [name, token]            transfer [name, token, to]
 *   revoke     [seq, lowest, knownMs, name]                              cancelWait [seq]
 *   get        [name]                   list [prefix, after, limit]      time []
 *   history    [name, prefix, cursor, limit]       (name, prefix and cursor may be null)
 *   quotas: quotabodies.ts
 *   watch      [prefix, cursor]  (the request's id names the watch)      unwatch [watchId]
 */
import { clusterMs, fencingToken } from './brands.js'
import {
  checkCount,
  checkInteger,
  checkLimit,
  checkLockDelayMs,
  checkMeta,
  checkNatural,
  checkPriority,
  checkToken,
  checkTtlMs,
  checkVisible,
  checkWaitMs,
} from './checks.js'
import type { ClientCommand, RequestToken } from './commands.js'
import { ProtocolError } from './fault.js'
import { LIMITS } from './limits.js'
import { checkName, checkPrefix } from './names.js'
import { OP, type Op } from './ops.js'
import { quotaOfFields } from './quota.js'

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
  switch (op) {
    case OP.acquire:
      checkCount(fields, 10, 'acquire')
      return {
        op,
        principal: sender.principal,
        name: checkName(fields[3], 'name'),
        holder: checkName(fields[4], 'holder'),
        ttlMs: checkTtlMs(fields[5]),
        waitMs: checkWaitMs(fields[6]),
        priority: checkPriority(fields[7]),
        lockDelayMs: checkLockDelayMs(fields[8]),
        meta: checkMeta(fields[9]),
        request: parseRequestToken(fields, sender),
      }
    case OP.renew:
    case OP.release:
      checkCount(fields, 2, op === OP.renew ? 'renew' : 'release')
      return { op, principal: sender.principal, name: checkName(fields[0], 'name'), token: parseToken(fields[1]) }
    case OP.transfer:
      checkCount(fields, 3, 'transfer')
      return {
        op,
        principal: sender.principal,
        name: checkName(fields[0], 'name'),
        token: parseToken(fields[1]),
        to: checkName(fields[2], 'to'),
      }
    case OP.revoke:
      checkCount(fields, 4, 'revoke')
      return {
        op,
        principal: sender.principal,
        name: checkName(fields[3], 'name'),
        request: parseRequestToken(fields, sender),
      }
    case OP.cancelWait:
      checkCount(fields, 1, 'cancelWait')
      return { op, principal: sender.principal, scope: sender.scope, key: parseSeq(fields[0], 'seq') }
    case OP.quotaSet: {
      const { spec, end } = quotaOfFields(fields, 4)
      checkCount(fields, end, 'quotaSet')
      const name = checkName(fields[3], 'name')
      return { op, principal: sender.principal, name, spec, request: parseRequestToken(fields, sender) }
    }
    case OP.quotaDelete:
      checkCount(fields, 4, 'quotaDelete')
      return {
        op,
        principal: sender.principal,
        name: checkName(fields[3], 'name'),
        request: parseRequestToken(fields, sender),
      }
    default:
      throw new ProtocolError('INVALID_ARGUMENT', `operation ${op} changes nothing`)
  }
}

function parseToken(value: unknown) {
  return fencingToken(checkToken(value))
}

/** Sequence numbers start at 1. */
function parseSeq(value: unknown, field: string): number {
  return checkInteger(value, field, 1, Number.MAX_SAFE_INTEGER)
}

function parseRequestToken(fields: readonly unknown[], sender: Sender): RequestToken {
  const key = parseSeq(fields[0], 'seq')
  const lowest = parseSeq(fields[1], 'lowest')
  // The request itself still waits for its answer, so the lowest that does cannot be above it.
  if (lowest > key) throw new ProtocolError('INVALID_ARGUMENT', `lowest must be at most seq ${key}, not ${lowest}`)
  const knownMs = clusterMs(checkNatural(fields[2], 'knownMs'))
  return { scope: sender.scope, key, lowest, knownMs }
}

/** The name. */
export function parseGet(fields: readonly unknown[]): string {
  checkCount(fields, 1, 'get')
  return checkName(fields[0], 'name')
}

export function parseList(fields: readonly unknown[]): ListQuery {
  checkCount(fields, 3, 'list')
  return {
    prefix: checkPrefix(fields[0], 'prefix'),
    after: fields[1] === null ? null : checkName(fields[1], 'after'),
    limit: checkLimit(fields[2]),
  }
}

export function parseHistory(fields: readonly unknown[]): HistoryQuery {
  checkCount(fields, 4, 'history')
  const name = fields[0] === null ? null : checkName(fields[0], 'name')
  const prefix = fields[1] === null ? null : checkPrefix(fields[1], 'prefix')
  if (name !== null && prefix !== null) throw new ProtocolError('INVALID_ARGUMENT', 'give name or prefix, not both')
  return { name, prefix, cursor: parseCursor(fields[2]), limit: checkLimit(fields[3]) }
}

export function parseWatch(fields: readonly unknown[]): WatchQuery {
  checkCount(fields, 2, 'watch')
  return { prefix: checkPrefix(fields[0], 'prefix'), cursor: parseCursor(fields[1]) }
}

/** Its size and characters alone: what it means is known where the cluster's id is. */
function parseCursor(value: unknown): string | null {
  return value === null ? null : checkVisible(value, 'cursor', LIMITS.cursorBytesMax)
}

/** The watch's id. */
export function parseUnwatch(fields: readonly unknown[]): number {
  checkCount(fields, 1, 'unwatch')
  return checkInteger(fields[0], 'watchId', 0, 0xffff_ffff)
}

/** `time` asks for nothing. */
export function parseTime(fields: readonly unknown[]): void {
  checkCount(fields, 0, 'time')
}
