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

  end(): readonly AuditEvent[] {
    return this.#events
  }
}
