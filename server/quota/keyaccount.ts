/** What this member knows of one key that has a bucket where the cluster is led: tokens of it that it was granted, and until when there are none. */
import type { QuotaView } from '@leasehold/protocol'
import type { KeyedQuota } from './keyedquota.js'
import { QUOTA_LIMITS as L } from './limits.js'
import type { Purse } from './purse.js'
import type { KeyShare } from './softbuckets.js'

export class KeyAccount implements Purse {
  readonly how = 'key'
  readonly of: KeyedQuota
  readonly key: string
  /** Of the key: where it stands in the sketch, and how members name it. */
  readonly high: number
  readonly low: number
  readonly hash: number
  readonly openedMs: number
  askedMs: number
  free = 0
  /** Not used, and to be told with the next ask. */
  back = 0
  waiting = 0
  exhaustedUntilMs = 0
  /** In the bucket, as of the last answer. */
  #left = 0
  #heldUntilMs = 0

  constructor(of: KeyedQuota, key: string, at: { high: number; low: number; whole: number }, nowMs: number) {
    this.of = of
    this.key = key
    this.high = at.high
    this.low = at.low
    this.hash = at.whole
    this.openedMs = this.askedMs = nowMs
  }

  get name(): string {
    return this.of.name
  }
  get view(): QuotaView {
    return this.of.view
  }
  get remaining(): number {
    return this.free + this.#left
  }

  freeAt(nowMs: number): number {
    if (this.free > 0 && nowMs >= this.#heldUntilMs) {
      this.back += this.free
      this.free = 0
    }
    return this.free
  }

  spend(tokens: number, nowMs: number): void {
    if (tokens > this.free) throw new Error(`quota ${this.name}: ${tokens} spent of ${this.free} under a key`)
    this.free -= tokens
    this.of.sketch.add(this.high, this.low, tokens, nowMs)
  }

  /** Without a bucket it took so much lately, and not less. */
  takenAt(nowMs: number): number {
    return this.of.sketch.estimate(this.high, this.low, nowMs)
  }

  /** An answer of whoever leads. `pauseMs`: it is not asked again before, where it has nothing. */
  took({ granted, retryAfterMs, remaining }: KeyShare, pauseMs: number, nowMs: number): void {
    this.freeAt(nowMs)
    this.free += granted
    this.#left = remaining
    this.#heldUntilMs = nowMs + L.keyHeldMs
    this.exhaustedUntilMs = retryAfterMs > 0 ? nowMs + Math.max(retryAfterMs, pauseMs) : 0
  }
}
