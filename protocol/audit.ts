/**
 * Audit events as bytes, and cursors into the audit. The canonical form must never change for events of this version:
 * the hash chain of every directory covers it.
 *
 *   [1, seq, type, name, holder, token, reason, cause, principal, wallMs, clusterMs, member, term, renewals, vacant]
 *
 * in MessagePack with every number and head in its shortest form, which makes the bytes the same in every language.
 */
import { auditSeq, clusterMs, fencingToken, term, wallMs } from './brands.js'
import { checkBoolean, checkCount, checkInteger, checkNatural, checkText } from './checks.js'
import type { LossReason } from './errors.js'
import type { AuditCause, AuditEvent, AuditType } from './events.js'
import { ProtocolError } from './fault.js'
import { LIMITS } from './limits.js'
import { pack, packShared } from './pack.js'
import { describe } from './text.js'

const EVENT_VERSION = 1
const EVENT_FIELDS = 15

// Record types, so that a word added to events.ts or errors.ts and not here does not compile.
const TYPES: Record<AuditType, true> = {
  granted: true,
  offered: true,
  released: true,
  expired: true,
  revoked: true,
  transferred: true,
  quotaSet: true,
  quotaDeleted: true,
}
const CAUSES: Record<AuditCause, true> = {
  acquire: true,
  claim: true,
  release: true,
  transfer: true,
  revoke: true,
  queue: true,
  ttl: true,
  unclaimed: true,
  'gave-up': true,
  quota: true,
}
const REASONS: Record<LossReason, true> = {
  expired: true,
  released: true,
  revoked: true,
  transferred: true,
  superseded: true,
  unknown: true,
  suspended: true,
  unreachable: true,
}

/** The canonical form of an event: what the audit's hash chain covers, byte for byte, in every language. */
export function eventFields(event: AuditEvent): readonly unknown[] {
  return [
    EVENT_VERSION,
    event.seq,
    event.type,
    event.name,
    event.holder,
    event.token,
    event.reason,
    event.cause,
    event.principal,
    event.wallMs,
    event.clusterMs,
    event.member,
    event.term,
    event.renewals,
    event.vacant,
  ]
}

/** Throws ProtocolError for what is no event of this version. */
export function eventFromFields(fields: readonly unknown[]): AuditEvent {
  checkCount(fields, EVENT_FIELDS, 'event')
  if (fields[0] !== EVENT_VERSION) {
    throw new ProtocolError('INVALID_ARGUMENT', `event version must be ${EVENT_VERSION}, not ${describe(fields[0])}`)
  }
  return {
    seq: auditSeq(checkNatural(fields[1], 'seq')),
    type: word(TYPES, fields[2], 'type'),
    name: checkText(fields[3], 'name'),
    holder: checkText(fields[4], 'holder'),
    token: fencingToken(checkNatural(fields[5], 'token')),
    reason: fields[6] === null ? null : word(REASONS, fields[6], 'reason'),
    cause: word(CAUSES, fields[7], 'cause'),
    principal: checkText(fields[8], 'principal'),
    wallMs: wallMs(checkInteger(fields[9], 'wallMs', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)),
    clusterMs: clusterMs(checkNatural(fields[10], 'clusterMs')),
    member: checkText(fields[11], 'member'),
    term: term(checkNatural(fields[12], 'term')),
    renewals: checkNatural(fields[13], 'renewals'),
    vacant: checkBoolean(fields[14], 'vacant'),
  }
}

/** MessagePack of eventFields. */
export function eventBytes(event: AuditEvent): Uint8Array {
  return pack(eventFields(event))
}

/** The same, without bytes of its own: valid until anything else is packed or encoded here, to be copied at once. */
export function sharedEventBytes(event: AuditEvent): Uint8Array {
  return packShared(eventFields(event))
}

function word<Word extends string>(words: Record<Word, true>, value: unknown, field: string): Word {
  if (typeof value === 'string' && Object.hasOwn(words, value)) return value as Word
  throw new ProtocolError('INVALID_ARGUMENT', `${field} must be a word of this version, not ${describe(value)}`)
}

/** `clusterId.seq`. */
export function encodeCursor(clusterId: string, seq: number): string {
  return `${clusterId}.${seq}`
}

/** The sequence number. Throws ProtocolError INVALID_ARGUMENT (no cursor at all) or CURSOR_COMPACTED (of another cluster). */
export function decodeCursor(cursor: string, clusterId: string): number {
  // The last dot parts them, whatever a cluster's id looks like.
  const parts = /^([!-~]+)\.(0|[1-9]\d{0,15})$/.exec(cursor)
  const seq = Number(parts?.[2])
  if (parts === null || cursor.length > LIMITS.cursorBytesMax || !Number.isSafeInteger(seq)) {
    throw new ProtocolError('INVALID_ARGUMENT', `cursor must be one that was given out here, not ${describe(cursor)}`)
  }
  if (parts[1] !== clusterId) throw new ProtocolError('CURSOR_COMPACTED', 'the cursor is of another cluster')
  return seq
}
