/** What decides about keys of perKey quotas, as the desk sees it. */
import type { QuotaView } from '@leasehold/protocol'
import type { Top } from './desk.js'

export interface KeyedDecision {
  readonly admitted: boolean
  /** 0 where it was admitted. */
  readonly retryAfterMs: number
  readonly remaining: number
  /** Until the key's bucket is full again. */
  readonly resetMs: number
}

/** Decides about keys of perKey quotas. */
export interface KeyedAdmission {
  /** At once, by what this member knows. */
  admit(quota: QuotaView, key: string, cost: number): KeyedDecision
  top(quota: QuotaView, limit: number): Top
  tick(nowMs: number): void
  close(): void
}

/** Of a member that decides about no keys. */
export const noKeys: KeyedAdmission = {
  admit: () => ({ admitted: false, retryAfterMs: 1_000, remaining: 0, resetMs: 1_000 }),
  top: () => ({ keys: [], totalPerS: 0 }),
  tick() {},
  close() {},
}
