/** Tokens that this member has and may spend: of a quota, or of one key of it. */
import type { QuotaView } from '@leasehold/protocol'

export interface Purse {
  /** Of the quota. */
  readonly name: string
  readonly view: QuotaView
  /** By which right a request is admitted from it. */
  readonly how: 'exact' | 'key'
  readonly free: number
  /** Tokens that are left, as far as is known here. */
  readonly remaining: number
  /** Nothing is to be had before. */
  readonly exhaustedUntilMs: number
  /** Requests that wait for tokens of it. */
  waiting: number
  /** Tokens that may be spent now. */
  freeAt(nowMs: number): number
  /** So many are free. */
  spend(tokens: number, nowMs: number): void
}
