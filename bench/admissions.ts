/**
 * Judges admissions on one clock that stands outside: over no window may more have been admitted than burst + rate x length. All windows at
 * once: they hold exactly where a bucket that starts full, and flows at the written rate, never runs short. What is in doubt is
 * never counted as admitted, so the judge errs towards silence, by less than a millionth of the burst.
 */
import type { Bandwidth } from '@leasehold/protocol'

const SLACK = 1e-6

/** How much was admitted too much, of which bandwidth. */
export interface Overdraft {
  readonly bandwidth: Bandwidth
  readonly tokens: number
  readonly atMs: number
}

export class Admissions {
  readonly #buckets: { readonly bandwidth: Bandwidth; level: number; atMs: number; least: number }[]
  admitted = 0

  constructor(bandwidths: readonly Bandwidth[], fromMs: number) {
    this.#buckets = bandwidths.map((bandwidth) => ({
      bandwidth,
      level: bandwidth.burst,
      atMs: fromMs,
      least: bandwidth.burst,
    }))
  }

  /** In the order of time. Null where it was within the bound. */
  admit(tokens: number, atMs: number): Overdraft | null {
    this.admitted += tokens
    let worst: Overdraft | null = null
    for (const bucket of this.#buckets) {
      const { bandwidth } = bucket
      if (atMs < bucket.atMs) throw new Error(`${atMs} comes before ${bucket.atMs}`)
      const flown = ((atMs - bucket.atMs) * bandwidth.tokens) / bandwidth.perMs
      bucket.level = Math.min(bandwidth.burst, bucket.level + flown) - tokens
      bucket.atMs = atMs
      bucket.least = Math.min(bucket.least, bucket.level)
      const over = -bucket.level - SLACK * bandwidth.burst
      if (over > 0 && (worst === null || over > worst.tokens)) worst = { bandwidth, tokens: over, atMs }
    }
    return worst
  }

  /** How near to the bound it ever came: what was left of the burst at the worst moment, of the tightest bandwidth, in tokens. */
  get least(): number {
    return Math.min(...this.#buckets.map(({ least }) => least))
  }
}
