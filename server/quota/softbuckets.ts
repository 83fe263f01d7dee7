/**
 * The exact buckets of keys, in the memory of whoever leads: never more than a bounded number, and none of them in the log. A bucket is the moment
 * at which each of its bandwidths will be full again (the generic cell rate algorithm, ITU-T I.371): refilling it is the passing of
 * time. The one that is full soonest makes way for another, since least is lost with it.
 */
import { type Bandwidth, burstOf, MICRO, type QuotaView, rateOf } from '@leasehold/protocol'
import { Heap, type Ranked } from './heap.js'

interface SoftBucket extends Ranked {
  readonly quota: string
  readonly key: string
  /** Of the specification that its moments are by. */
  version: number
  paces: readonly Pace[]
  /** For each bandwidth. */
  fullMs: Float64Array
}

/** Of one bandwidth. */
interface Pace {
  readonly perMs: number
  /** A token flows in each so many milliseconds. */
  readonly tokenMs: number
  readonly burst: number
}

/** What a member asks for under one key. */
export interface KeyAsk {
  /** Fewer are of no use. */
  readonly least: number
  readonly wanted: number
  /** Of earlier ones, not used. */
  readonly back: number
  /** What the key took lately without a bucket, as far as the member knows: not less. */
  readonly taken: number
}

/** Of the last ask. */
export interface KeyShare {
  granted: number
  /** When the least wanted is there, where it was not all granted. */
  retryAfterMs: number
  remaining: number
}

export class SoftBuckets {
  readonly #bucketsMax: number
  readonly #quotas = new Map<string, Map<string, SoftBucket>>()
  readonly #heap = new Heap<SoftBucket>()
  #paces: { quota: string; version: number; paces: readonly Pace[] } | null = null
  /** Buckets that had to make way before they were full. */
  evicted = 0

  constructor(bucketsMax: number) {
    this.#bucketsMax = bucketsMax
  }

  get count(): number {
    return this.#heap.size
  }

  has(quota: string, key: string): boolean {
    return this.#quotas.get(quota)?.has(key) === true
  }

  *keys(): Generator<readonly [quota: string, key: string], void> {
    for (const { quota, key } of this.#heap.all) yield [quota, key]
  }

  clear(): void {
    this.#quotas.clear()
    this.#heap.clear()
  }

  /** `startMax`: of what the key took before it had a bucket, so much counts at most. */
  ask(view: QuotaView, key: string, { least, wanted, back, taken }: KeyAsk, startMax: number, nowMs: number): KeyShare {
    const bucket = this.#find(view, key) ?? this.#open(view, key, Math.min(taken, startMax), nowMs)
    if (bucket.version !== view.version) change(bucket, view.version, this.#pacesOf(view), nowMs)
    if (back > 0) take(bucket, -back, nowMs)
    const available = availableAt(bucket, nowMs)
    const granted = wanted <= available ? wanted : available >= least ? available : 0
    if (granted > 0) take(bucket, granted, nowMs)
    const retryAfterMs = granted < wanted ? waitMs(bucket, least, nowMs) : 0
    return { granted, retryAfterMs, remaining: available - granted }
  }

  /** Lets go of those that are full: they are as good as new ones. */
  sweep(nowMs: number): void {
    for (;;) {
      const first = this.#soonest()
      if (first === undefined || first.rank > nowMs) return
      this.#remove(first)
    }
  }

  #find({ name }: QuotaView, key: string): SoftBucket | undefined {
    return this.#quotas.get(name)?.get(key)
  }

  #open(view: QuotaView, key: string, taken: number, nowMs: number): SoftBucket {
    if (this.#heap.size >= this.#bucketsMax) {
      const first = this.#soonest()!
      if (first.rank > nowMs) this.evicted++
      this.#remove(first)
    }
    const paces = this.#pacesOf(view)
    const fullMs = new Float64Array(paces.length).fill(nowMs)
    const bucket = { quota: view.name, key, version: view.version, paces, fullMs, rank: 0, at: 0 }
    if (taken > 0) take(bucket, taken, nowMs)
    bucket.rank = lastOf(bucket)
    const keys = this.#quotas.get(view.name)
    if (keys === undefined) this.#quotas.set(view.name, new Map([[key, bucket]]))
    else keys.set(key, bucket)
    this.#heap.add(bucket)
    return bucket
  }

  /** One for all buckets of a quota, as far as they are asked for one after the other. */
  #pacesOf({ name, version, spec }: QuotaView): readonly Pace[] {
    if (this.#paces?.quota !== name || this.#paces.version !== version) {
      this.#paces = { quota: name, version, paces: spec.bandwidths.map(paceOf) }
    }
    return this.#paces.paces
  }

  /** Ranks are those of when a bucket was opened or looked at last; a bucket that was taken from since stands further back. */
  #soonest(): SoftBucket | undefined {
    for (;;) {
      const first = this.#heap.least
      if (first === undefined) return undefined
      const actual = lastOf(first)
      if (actual <= first.rank) return first
      first.rank = actual
      this.#heap.moved(first)
    }
  }

  #remove(bucket: SoftBucket): void {
    this.#heap.remove(bucket)
    const keys = this.#quotas.get(bucket.quota)!
    keys.delete(bucket.key)
    if (keys.size === 0) this.#quotas.delete(bucket.quota)
  }
}

function paceOf(bandwidth: Bandwidth): Pace {
  const { num, den } = rateOf(bandwidth)
  return { perMs: bandwidth.perMs, tokenMs: (MICRO * den) / num, burst: bandwidth.burst }
}

function take({ paces, fullMs }: SoftBucket, tokens: number, nowMs: number): void {
  for (const [at, { tokenMs }] of paces.entries()) fullMs[at] = Math.max(nowMs, fullMs[at]!) + tokens * tokenMs
}

function availableAt({ paces, fullMs }: SoftBucket, nowMs: number): number {
  let least = Number.POSITIVE_INFINITY
  for (const [at, { tokenMs, burst }] of paces.entries()) {
    least = Math.min(least, burst - Math.max(0, fullMs[at]! - nowMs) / tokenMs)
  }
  // What rounding took off a whole token is not missing.
  return Math.max(0, Math.floor(least + 1e-6))
}

function waitMs({ paces, fullMs }: SoftBucket, tokens: number, nowMs: number): number {
  let longest = 1
  for (const [at, { tokenMs, burst }] of paces.entries()) {
    longest = Math.max(longest, fullMs[at]! - nowMs - (burst - tokens) * tokenMs)
  }
  return Math.ceil(longest)
}

function lastOf({ fullMs }: SoftBucket): number {
  return Math.max(...fullMs)
}

/** Under another specification: what was taken of it stays taken, of the bandwidth with the same time or else of the emptiest. */
function change(bucket: SoftBucket, version: number, paces: readonly Pace[], nowMs: number): void {
  const taken = bucket.paces.map(({ tokenMs }, at) => Math.max(0, bucket.fullMs[at]! - nowMs) / tokenMs)
  const most = Math.max(...taken)
  const fullMs = paces.map(({ perMs, tokenMs, burst }) => {
    const before = bucket.paces.findIndex((pace) => pace.perMs === perMs)
    return nowMs + Math.min(burst, before < 0 ? most : taken[before]!) * tokenMs
  })
  bucket.version = version
  bucket.paces = paces
  bucket.fullMs = Float64Array.from(fullMs)
}

/** Of what a key took before it had a bucket, so much counts at most: half of what it may take at once. */
export function startMaxOf({ spec }: QuotaView): number {
  return Math.floor(burstOf(spec) / 2)
}
