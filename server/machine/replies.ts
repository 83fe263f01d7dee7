/** Replies of the machine, each made in one place. Remaining times are of the stamp that is being answered. */
import {
  ERRORS,
  type ErrorCode,
  type ErrorFields,
  fencingToken,
  type GrantedFields,
  type HeldFields,
  type LossReason,
  type LostFields,
  OFFERED,
  type OfferedFields,
  OK,
  QUEUED,
  type QueuedFields,
  type ReleasedFields,
  type Reply,
  type RevokedFields,
  type TransferredFields,
  waiterId,
} from '@leasehold/protocol'
import type { Lease } from './lease.js'

/** During a hold of the horizon an end may lie behind the stamp. */
export const remainingMs = (endMs: number, nowMs: number) => Math.max(0, endMs - nowMs)

export const DONE: Reply = { code: OK, fields: [] }

export function granted(lease: Lease, nowMs: number, replayed: boolean): Reply {
  const left = remainingMs(lease.endMs, nowMs)
  const fields: GrantedFields = [fencingToken(lease.token), lease.ttlMs, left, replayed, lease.holder]
  return { code: OK, fields }
}

export function offered(lease: Lease, nowMs: number, replayed: boolean): Reply {
  const fields: OfferedFields = [fencingToken(lease.token), remainingMs(lease.endMs, nowMs), lease.ttlMs, replayed]
  return { code: OFFERED, fields }
}

export function queued(id: number): Reply {
  const fields: QueuedFields = [waiterId(id)]
  return { code: QUEUED, fields }
}

export function heldBy(holder: string, endMs: number, meta: string | null, nowMs: number, replayed: boolean): Reply {
  const fields: HeldFields = [holder, remainingMs(endMs, nowMs), meta, replayed]
  return { code: ERRORS.LEASE_HELD.wire, fields }
}

export function lost(token: number, reason: LossReason): Reply {
  const fields: LostFields = [fencingToken(token), reason]
  return { code: ERRORS.LEASE_LOST.wire, fields }
}

/** Of a release or a transfer. */
export function passedOn(replayed: boolean): Reply {
  const fields: ReleasedFields & TransferredFields = [replayed]
  return { code: OK, fields }
}

export function revoked(token: number, replayed: boolean): Reply {
  const fields: RevokedFields = [fencingToken(token), replayed]
  return { code: OK, fields }
}

export function refused(code: ErrorCode, detail: string): Reply {
  const fields: ErrorFields = [detail, 0]
  return { code: ERRORS[code].wire, fields }
}
