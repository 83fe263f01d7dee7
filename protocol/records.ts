/**
 * Commands and events as the log and the audit hold them: MessagePack arrays, op first. What is read back was checked
 * by storage (CRC, chain), yet a shape that this version does not know throws and never guesses.
 *
 *   acquire    [1, principal, name, holder, ttlMs, waitMs, priority, lockDelayMs, meta, scope, key, lowest, knownMs]
 *   renew      [2, principal, name, token]         release [3, principal, name, token]
 *   transfer   [4, principal, name, token, to]     revoke  [5, principal, name, scope, key, lowest, knownMs]
 *   cancelWait [6, principal, scope, key]
 *   quotaSet   [7, principal, name, then the specification (quota.ts), scope, key, lowest, knownMs]
 *   quotaDelete [8, principal, name, scope, key, lowest, knownMs]
 *   beat       [64]              sweep [65]        admitRun [66, member, nonce, url, peerUrl, formatMax]
 *   waiterLost [67, waiter]      trimAudit [68, through]        raiseTokens [69, floor]
 *   configure  [70, then peer, address, roles of each peer (peers.ts)]
 *   allocate   [71, then draws (allocaterecords.ts)]
 *
 * A command without a request token ends before `scope`, and an admitRun of a process that knows the first format alone before `formatMax`.
 */

import { allocateFields, allocateOfFields } from './allocaterecords.js'
import { auditSeq, clusterMs, fencingToken, waiterId } from './brands.js'
import { checkArray, checkCount, checkInteger, checkNatural, checkText } from './checks.js'
import type { Acquire, Command, QuotaDelete, QuotaSet, RequestToken, Revoke } from './commands.js'
import { ProtocolError } from './fault.js'
import { LIMITS } from './limits.js'
import { INTERNAL_OP, OP } from './ops.js'
import { pack, unpack } from './pack.js'
import { configurationFields, configurationOfFields, memberFields, memberOfFields } from './peers.js'
import { quotaFields, quotaOfFields } from './quota.js'
import { describe } from './text.js'

/** A batch, its commands, and no array within. The items are bounded by the bytes that are there. */
const BATCH_BOUNDS = { depthMax: 2, itemsMax: Number.MAX_SAFE_INTEGER }

/** One batch of commands, one byte string. */
export function encodeCommands(commands: readonly Command[]): Uint8Array {
  const batch = new Array<readonly unknown[]>(commands.length)
  for (let i = 0; i < commands.length; i++) batch[i] = commandFields(commands[i]!)
  return pack(batch)
}

/** Throws ProtocolError for what is no batch of this version. */
export function decodeCommands(bytes: Uint8Array): Command[] {
  const batch = unpack(bytes, 0, bytes.length, BATCH_BOUNDS)
  const commands = new Array<Command>(batch.length)
  for (let i = 0; i < batch.length; i++) commands[i] = commandOfFields(checkArray(batch[i], 'command'))
  return commands
}

function commandFields(c: Command): readonly unknown[] {
  switch (c.op) {
    case OP.acquire:
      return acquireFields(c)
    case OP.renew:
    case OP.release:
      return [c.op, c.principal, c.name, c.token]
    case OP.transfer:
      return [c.op, c.principal, c.name, c.token, c.to]
    case OP.revoke:
    case OP.quotaDelete:
      return namedFields(c)
    case OP.quotaSet:
      return quotaSetFields(c)
    case OP.cancelWait:
      return [c.op, c.principal, c.scope, c.key]
    case INTERNAL_OP.beat:
    case INTERNAL_OP.sweep:
      return [c.op]
    case INTERNAL_OP.admitRun:
      return [c.op, ...memberFields(c)]
    case INTERNAL_OP.waiterLost:
      return [c.op, c.waiter]
    case INTERNAL_OP.trimAudit:
      return [c.op, c.through]
    case INTERNAL_OP.raiseTokens:
      return [c.op, c.floor]
    case INTERNAL_OP.configure:
      return [c.op, ...configurationFields(c.configuration)]
    case INTERNAL_OP.allocate:
      return allocateFields(c)
  }
}

function acquireFields(c: Acquire): readonly unknown[] {
  const r = c.request
  if (r === null) return [c.op, c.principal, c.name, c.holder, c.ttlMs, c.waitMs, c.priority, c.lockDelayMs, c.meta]
  return [
    c.op,
    c.principal,
    c.name,
    c.holder,
    c.ttlMs,
    c.waitMs,
    c.priority,
    c.lockDelayMs,
    c.meta,
    r.scope,
    r.key,
    r.lowest,
    r.knownMs,
  ]
}

function namedFields(c: Revoke | QuotaDelete): readonly unknown[] {
  return [c.op, c.principal, c.name, ...requestFields(c.request)]
}

function quotaSetFields(c: QuotaSet): readonly unknown[] {
  return [c.op, c.principal, c.name, ...quotaFields(c.spec), ...requestFields(c.request)]
}

function requestFields(r: RequestToken | null): readonly unknown[] {
  return r === null ? [] : [r.scope, r.key, r.lowest, r.knownMs]
}

function commandOfFields(f: readonly unknown[]): Command {
  const op = f[0]
  switch (op) {
    case OP.acquire:
      return {
        op,
        principal: checkText(f[1], 'principal'),
        name: checkText(f[2], 'name'),
        holder: checkText(f[3], 'holder'),
        ttlMs: checkNatural(f[4], 'ttlMs'),
        waitMs: checkNatural(f[5], 'waitMs'),
        priority: checkInteger(f[6], 'priority', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
        lockDelayMs: checkNatural(f[7], 'lockDelayMs'),
        meta: f[8] === null ? null : checkText(f[8], 'meta'),
        request: requestAt(f, 9, 'acquire'),
      }
    case OP.renew:
    case OP.release:
      checkCount(f, 4, 'renew or release')
      return { op, principal: checkText(f[1], 'principal'), name: checkText(f[2], 'name'), token: tokenOf(f[3]) }
    case OP.transfer:
      checkCount(f, 5, 'transfer')
      return {
        op,
        principal: checkText(f[1], 'principal'),
        name: checkText(f[2], 'name'),
        token: tokenOf(f[3]),
        to: checkText(f[4], 'to'),
      }
    case OP.revoke:
    case OP.quotaDelete:
      return {
        op,
        principal: checkText(f[1], 'principal'),
        name: checkText(f[2], 'name'),
        request: requestAt(f, 3, 'revoke or quotaDelete'),
      }
    case OP.quotaSet: {
      const { spec, end } = quotaOfFields(f, 3)
      const request = requestAt(f, end, 'quotaSet')
      return { op, principal: checkText(f[1], 'principal'), name: checkText(f[2], 'name'), spec, request }
    }
    case OP.cancelWait:
      checkCount(f, 4, 'cancelWait')
      return { op, principal: checkText(f[1], 'principal'), scope: checkText(f[2], 'scope'), key: keyOf(f[3]) }
    default:
      return internalOfFields(f)
  }
}

function internalOfFields(f: readonly unknown[]): Command {
  const op = f[0]
  switch (op) {
    case INTERNAL_OP.beat:
    case INTERNAL_OP.sweep:
      checkCount(f, 1, 'beat or sweep')
      return { op }
    case INTERNAL_OP.admitRun:
      checkCount(f, f.length === 6 ? 6 : 5, 'admitRun')
      return { op, ...memberOfFields(f, 1) }
    case INTERNAL_OP.waiterLost:
      checkCount(f, 2, 'waiterLost')
      return { op, waiter: waiterId(checkNatural(f[1], 'waiter')) }
    case INTERNAL_OP.trimAudit:
      checkCount(f, 2, 'trimAudit')
      return { op, through: auditSeq(checkNatural(f[1], 'through')) }
    case INTERNAL_OP.raiseTokens:
      checkCount(f, 2, 'raiseTokens')
      return { op, floor: tokenOf(f[1]) }
    case INTERNAL_OP.configure:
      return { op, configuration: configurationOfFields(f, 1) }
    case INTERNAL_OP.allocate:
      return allocateOfFields(f)
    default:
      throw new ProtocolError(
        'INVALID_ARGUMENT',
        `command has an operation that this version does not know: ${describe(op)}`,
      )
  }
}

/** The request token that begins at `at`, or null where the command ends there. */
function requestAt(f: readonly unknown[], at: number, what: string): RequestToken | null {
  if (f.length === at) return null
  checkCount(f, at + 4, what)
  return {
    scope: checkText(f[at], 'scope'),
    key: keyOf(f[at + 1]),
    lowest: checkNatural(f[at + 2], 'lowest'),
    knownMs: clusterMs(checkNatural(f[at + 3], 'knownMs')),
  }
}

function tokenOf(value: unknown) {
  return fencingToken(checkInteger(value, 'token', 1, LIMITS.tokenMax))
}
function keyOf(value: unknown): number | string {
  return typeof value === 'string' ? value : checkNatural(value, 'key')
}
