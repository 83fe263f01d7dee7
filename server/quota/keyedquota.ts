/**
 * One perKey quota on this member. What a key takes is counted in a sketch; below theta it is admitted by that alone. All members together admit
 * at most half of what the quota allows in this way, since what is counted fades no faster than a bucket fills: theta * (1 + t / mean)
 * for each of them, with theta = burst / (2 * members) and mean >= burst / rate.
 */
import { burstOf, type QuotaView, tokensPerMsOf } from '@leasehold/protocol'
import type { CountMin } from './countmin.js'
import type { KeyAccount } from './keyaccount.js'
import { QUOTA_LIMITS as L } from './limits.js'

export class KeyedQuota {
  readonly name: string
  /** Of the hashes of its keys: the same on every member. */
  readonly seed: number
  readonly sketch: CountMin
  readonly accounts = new Map<string, KeyAccount>()
  readonly burst: number
  readonly pauseMs: number
  view: QuotaView

  constructor(view: QuotaView, seed: number, sketch: CountMin) {
    this.name = view.name
    this.view = view
    this.seed = seed
    this.sketch = sketch
    this.burst = burstOf(view.spec)
    this.pauseMs = Math.min(L.keyPauseMs, this.burst / (4 * tokensPerMsOf(view.spec)))
  }

  /** What a key may have taken lately on this member without a bucket. */
  theta(members: number): number {
    return this.burst / (2 * members)
  }
}

/** In which what was taken may fade to a half; the sketch's own is this or longer. */
export function halfLifeMsOf({ spec }: QuotaView): number {
  return (Math.LN2 * burstOf(spec)) / tokensPerMsOf(spec)
}
