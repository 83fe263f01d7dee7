/**
 * How long the audit is kept: by cluster time and by bytes, whichever is less. Trimming is itself a command, so that
 * every member forgets the same events. Each step is bounded; while more is due the next check goes on.
 */
import { type AuditSeq, auditSeq } from '@leasehold/protocol'
import type { Store } from '../storage/index.js'
import { REPLICA_LIMITS } from './limits.js'

export interface RetentionOptions {
  /** Events older than this, in cluster time, go. */
  readonly auditAgeMs?: number
  /** Bytes of audit above this go, the oldest first. */
  readonly auditBytes?: number
}

type AuditStore = Pick<Store, 'audit' | 'readEvents'>

export class Retention {
  readonly #store: AuditStore
  readonly #ageMs: number
  readonly #bytesMax: number
  #checking = false

  constructor(store: AuditStore, options: RetentionOptions = {}) {
    this.#store = store
    this.#ageMs = options.auditAgeMs ?? REPLICA_LIMITS.auditAgeMs
    this.#bytesMax = options.auditBytes ?? REPLICA_LIMITS.auditBytes
  }

  /**
   * The last event that is past its time, or null. One check at a time. Throws what reading throws (AUDIT_CORRUPT), except while there is
   * too much of it: what cannot be dated any more must not fill the disk.
   */
  async due(clusterMs: number): Promise<AuditSeq | null> {
    if (this.#checking) return null
    this.#checking = true
    try {
      const { first, last, oldestMs } = this.#store.audit
      if (first > last) return null
      const bySize = this.#pastBytes()
      const cutoffMs = clusterMs - this.#ageMs
      const byAge = oldestMs < cutoffMs ? await this.#pastAge(first, last, cutoffMs, bySize) : 0
      const through = Math.min(Math.max(bySize, byAge), first + REPLICA_LIMITS.auditTrimEventsMax - 1)
      return through >= first ? auditSeq(through) : null
    } finally {
      this.#checking = false
    }
  }

  /** Rows are of about one size: the surplus is counted in rows of the average one. */
  #pastBytes(): number {
    const { first, last, bytes } = this.#store.audit
    if (bytes <= this.#bytesMax) return 0
    return Math.min(last, first + Math.ceil((bytes - this.#bytesMax) / (bytes / (last - first + 1))) - 1)
  }

  /** The last event before the cutoff; cluster times of events never go back, so halving finds it. */
  async #pastAge(first: AuditSeq, last: AuditSeq, cutoffMs: number, bySize: number): Promise<number> {
    let past = first - 1
    let young = Math.min(last, first + REPLICA_LIMITS.auditTrimEventsMax) + 1
    while (young - past > 1) {
      const middle = Math.floor((past + young) / 2)
      const page = await this.#store.readEvents({ after: auditSeq(middle - 1), limit: 1 }).catch((error) => {
        if (bySize > 0) return null
        throw error
      })
      if (page === null) return past
      const event = page.events[0]
      if (event !== undefined && event.clusterMs < cutoffMs) past = middle
      else young = middle
    }
    return past
  }
}
