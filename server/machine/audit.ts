/** Emits the audit's events in the order of the changes. Hashing them is storage's work. */
import type { AuditCause, AuditEvent, AuditType, LossReason } from '@leasehold/protocol'
import { auditSeq, fencingToken } from '@leasehold/protocol'
import type { Entry } from './entry.js'
import type { Lease } from './lease.js'
import type { MetaTable } from './meta.js'

export class Audit {
  readonly #meta: MetaTable
  #entry: Entry | null = null
  #events: AuditEvent[] = []

  constructor(meta: MetaTable) {
    this.#meta = meta
  }

  begin(entry: Entry): void {
    this.#entry = entry
    this.#events = []
  }

  /** The row as it was before an end, or as it is after a grant or an offer. */
  emit(
    type: AuditType,
    lease: Lease,
    reason: LossReason | null,
    cause: AuditCause,
    principal: string,
    vacant: boolean,
  ): void {
    const entry = this.#entry!
    this.#events.push({
      seq: auditSeq(++this.#meta.row.auditLast),
      type,
      name: lease.name,
      holder: lease.holder,
      token: fencingToken(lease.token),
      reason,
      cause,
      principal,
      wallMs: entry.wallMs,
      clusterMs: entry.timeMs,
      member: entry.member,
      term: entry.term,
      renewals: lease.renewals,
      vacant,
    })
  }

  /** A quota's specification was set, or deleted. */
  emitQuota(type: 'quotaSet' | 'quotaDeleted', name: string, version: number, principal: string): void {
    const { wallMs, timeMs: clusterMs, member, term } = this.#entry!
    const seq = auditSeq(++this.#meta.row.auditLast)
    const token = fencingToken(version)
    const which = { seq, type, name, holder: '', token, reason: null, cause: 'quota' as const, principal }
    this.#events.push({ ...which, wallMs, clusterMs, member, term, renewals: 0, vacant: false })
  }

  end(): readonly AuditEvent[] {
    return this.#events
  }
}
