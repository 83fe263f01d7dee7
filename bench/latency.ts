/** Latencies in an HDR histogram (three significant figures). It never averages away a tail: only percentiles leave it. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { BENCH } from './limits.js'

const NS_PER_MS = 1e6
const NS_MAX = BENCH.latencyMsMax * NS_PER_MS

/** All in milliseconds, but the count. */
export interface Percentiles {
  readonly count: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

export class Latency {
  readonly #histogram: RecordableHistogram = createHistogram({ lowest: 1, highest: NS_MAX, figures: 3 })

  /** Counts below a nanosecond as one, and above the histogram's end as its end. */
  record(ms: number): void {
    const ns = Math.round(ms * NS_PER_MS)
    this.#histogram.record(ns < 1 ? 1 : ns > NS_MAX ? NS_MAX : ns)
  }

  get count(): number {
    return this.#histogram.count
  }

  /** Zeros where nothing was recorded. */
  percentiles(): Percentiles {
    const at = (percent: number) => (this.count === 0 ? 0 : this.#histogram.percentile(percent) / NS_PER_MS)
    return { count: this.count, p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: at(100) }
  }
}

/** The middle one; of an even count the mean of the two in the middle. NaN for nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length >> 1
  const upper = sorted[half]
  const lower = sorted[sorted.length % 2 === 1 ? half : half - 1]
  return upper === undefined || lower === undefined ? Number.NaN : (lower + upper) / 2
}
