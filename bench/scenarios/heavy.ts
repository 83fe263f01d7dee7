/**
 * The sketches behind buckets by key, alone and in one thread: whether those who ask for most are found, and how wrong their rates are against
 * what is said of them; how many keys a sketch takes for more than they are; memory, and updates a second. Over Zipf's streams, and over one that
 * is made to hide somebody.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { CountMin, KeyHash, mergeTalkers, QUOTA_LIMITS, type Summary, Talkers } from '@leasehold/server/quota'
import { zipf } from '../keys.js'
import { median } from '../latency.js'
import type { Figure } from '../report.js'
import type { Bench, Scenario } from '../scenario.js'

/** A full collection, so that what is held can be told from what is garbage. */
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const KEYS = 10_000_000
const UPDATES = 6_000_000
const MEMBERS = 3
/** Of the stream, which is as if it came in so fast. */
const PER_S = 100_000
/** The limit of each key: 100 a second. */
const BURST = 100
const HALF_LIFE_MS = 1_024
const TOP = 100
const ROUNDS = 5

/** Keys of one request each, but for one that is asked for often enough that it may not be missed. */
const HIDDEN = 1_000_000_000
const HIDDEN_EVERY = 4_000

interface Stream {
  readonly name: string
  key(n: number): number
}

/** Decayed counts, exactly. */
class Exact {
  readonly #weights = new Map<number, number>()
  #scale = 1
  readonly #decay: number
  total = 0

  constructor(halfLifeMs: number) {
    this.#decay = 2 ** (1_000 / PER_S / halfLifeMs)
  }

  add(key: number): void {
    this.#scale *= this.#decay
    this.#weights.set(key, (this.#weights.get(key) ?? 0) + this.#scale)
    this.total += this.#scale
    if (this.#scale < 1e100) return
    for (const [one, weight] of this.#weights) this.#weights.set(one, weight / this.#scale)
    this.total /= this.#scale
    this.#scale = 1
  }

  of(key: number): number {
    return (this.#weights.get(key) ?? 0) / this.#scale
  }
  get all(): number {
    return this.total / this.#scale
  }
  *heaviest(most: number): Generator<readonly [key: number, weight: number], void> {
    const sorted = [...this.#weights].sort(([, a], [, b]) => b - a)
    for (const [key, weight] of sorted.slice(0, most)) yield [key, weight / this.#scale]
  }
  *entries(): Generator<readonly [key: number, weight: number], void> {
    for (const [key, weight] of this.#weights) yield [key, weight / this.#scale]
  }
}

function talkersOver(bench: Bench, stream: Stream, updates: number): Figure[] {
  const members = Array.from(
    { length: MEMBERS },
    () => new Talkers(QUOTA_LIMITS.talkers, QUOTA_LIMITS.talkersHalfLifeMs, 0),
  )
  const exact = new Exact(QUOTA_LIMITS.talkersHalfLifeMs)
  let nowMs = 0
  for (let n = 0; n < updates; n++) {
    nowMs = (n * 1_000) / PER_S
    const key = stream.key(n)
    const talkers = members[n % MEMBERS]!
    talkers.add(talkers.group('q'), `customer-${key}`, 1, nowMs)
    exact.add(key)
  }
  const meanS = QUOTA_LIMITS.talkersHalfLifeMs / Math.LN2 / 1_000
  const perS = 1 / (meanS * (1 - Math.exp(-Math.max(1, nowMs / 1_000) / meanS)))
  const { talkersToldMax, keyBytesMax } = QUOTA_LIMITS
  // As one member sees them: its own, and what the others tell.
  const summaries: Summary[] = members.map((one, at) =>
    at === 0
      ? one.summary(QUOTA_LIMITS.talkers, Number.POSITIVE_INFINITY, nowMs)
      : one.summary(talkersToldMax, keyBytesMax, nowMs),
  )
  const { keys } = mergeTalkers(summaries, 'q', TOP)
  const found = new Set(keys.map(({ key }) => key))
  const errorPerS = keys[0]?.errorPerS ?? 0
  // Only who is heavier than what may be missed has to be found; with fewer than the top there is nobody else to be told from.
  const truly = [...exact.heaviest(TOP)].filter(([, weight]) => weight * perS > errorPerS)
  const recall = truly.filter(([key]) => found.has(`customer-${key}`)).length / Math.max(1, truly.length)
  const least = [...exact.heaviest(TOP)].at(-1)?.[1] ?? 0
  let right = 0
  let worst = 0
  let outside = 0
  for (const { key, ratePerS, errorPerS: error } of keys) {
    const rate = exact.of(Number(key.slice('customer-'.length))) * perS
    if (rate >= least * perS * (1 - 1e-9)) right++
    // A millisecond is what time is counted in.
    if (rate > ratePerS * 1.001 || rate < (ratePerS - error) * 0.999) outside++
    worst = Math.max(worst, Math.abs(ratePerS - rate))
  }
  const bound = (exact.all * perS) / QUOTA_LIMITS.talkers
  bench.note(
    `${stream.name}: ${updates} requests, as if ${PER_S} a second over ${MEMBERS} members. Of the ${TOP} heaviest, ${truly.length} ask for more than the error that is told.`,
  )
  return [
    judged(`${stream.name}: recall of those above the error`, recall, 'at least', 1),
    { name: `${stream.name}: precision of the first ${TOP}`, value: right / keys.length, unit: 'x' },
    judged(`${stream.name}: rates outside what is told`, outside, 'at most', 0),
    { name: `${stream.name}: worst error / (all / counters)`, value: worst / bound, unit: 'x' },
    { name: `${stream.name}: error that is told / (all / counters)`, value: errorPerS / bound, unit: 'x' },
  ]
}

function judged(name: string, value: number, sense: 'at most' | 'at least', times: number): Figure {
  return { name, value, unit: '', target: { sense, times, of: 'absolute' } }
}

/** How many light keys a sketch takes for such as deserve a bucket, and whether it ever says too little. */
function sketchOver(bench: Bench, stream: Stream, updates: number): Figure[] {
  const sketch = new CountMin(QUOTA_LIMITS.sketchWidth, QUOTA_LIMITS.sketchDepth, HALF_LIFE_MS, 0)
  const exact = new Exact(HALF_LIFE_MS)
  const hash = new KeyHash()
  for (let n = 0; n < updates; n++) {
    const key = stream.key(n)
    const { high, low } = hash.of(`customer-${key}`, 1)
    sketch.add(high, low, 1, (n * 1_000) / PER_S)
    exact.add(key)
  }
  const nowMs = (updates * 1_000) / PER_S
  const theta = BURST / (2 * MEMBERS)
  let [light, promoted, under, worst] = [0, 0, 0, 0]
  for (const [key, weight] of exact.entries()) {
    const { high, low } = hash.of(`customer-${key}`, 1)
    const said = sketch.estimate(high, low, nowMs)
    if (said < weight * 0.998 - 1e-6) under++
    worst = Math.max(worst, said - weight)
    if (weight > theta) continue
    light++
    if (said > theta) promoted++
  }
  bench.note(
    `${stream.name}, a sketch with a half-life of ${HALF_LIFE_MS} ms: ${promoted} of ${light} keys below theta = ${theta.toFixed(1)} are taken for more.`,
  )
  return [
    judged(`${stream.name}: keys of which the sketch says too little`, under, 'at most', 0),
    { name: `${stream.name}: light keys that get a bucket all the same`, value: promoted / light, unit: 'x' },
    { name: `${stream.name}: worst error of the sketch, in tokens`, value: worst, unit: '' },
  ]
}

/** Updates a second of both together, as a member makes them for each request; and what they hold. */
function speed(keys: number, updates: number): Figure[] {
  const rates: number[] = []
  const all = Array.from({ length: updates }, () => `customer-${zipf(keys, Math.random())}`)
  collect()
  const before = process.memoryUsage()
  let held = 0
  for (let round = 0; round < ROUNDS; round++) {
    const sketch = new CountMin(QUOTA_LIMITS.sketchWidth, QUOTA_LIMITS.sketchDepth, HALF_LIFE_MS, 0)
    const talkers = new Talkers(QUOTA_LIMITS.talkers, QUOTA_LIMITS.talkersHalfLifeMs, 0)
    const group = talkers.group('q')
    const hash = new KeyHash()
    const startMs = performance.now()
    for (const [n, key] of all.entries()) {
      const nowMs = (n * 1_000) / PER_S
      talkers.add(group, key, 1, nowMs)
      const { high, low } = hash.of(key, 1)
      if (sketch.estimate(high, low, nowMs) < BURST) sketch.add(high, low, 1, nowMs)
    }
    rates.push((updates * 1_000) / (performance.now() - startMs))
    collect()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    held = Math.max(held, heapUsed + arrayBuffers - before.heapUsed - before.arrayBuffers)
    // Still in use.
    talkers.summary(1, 1_000, 0)
    sketch.estimate(0, 0, 0)
  }
  return [
    { name: 'updates of sketch and talkers together', value: median(rates), unit: '/s' },
    { name: 'memory of both', value: held / 1e6, unit: 'MB' },
  ]
}

export const heavy: Scenario = {
  name: 'heavy',
  about: 'the sketches alone: who asks for most, how wrong, how much memory, how fast',
  repeats: 1,
  apart: true,
  async run(bench) {
    const keys = Math.max(1_000, Math.round(KEYS / bench.shrink))
    const updates = Math.max(50_000, Math.round(UPDATES / bench.shrink))
    const flat: Stream = { name: 'Zipf 1.0', key: () => zipf(keys, Math.random()) }
    // Steeper: the same ranks, drawn from the square root on.
    const steep: Stream = { name: 'Zipf, steep', key: () => Math.floor(zipf(keys, Math.random()) ** 0.5) }
    // Every key once, and again only after all the others; somebody is to be hidden among them.
    const flood: Stream = { name: 'a flood', key: (n) => (n % HIDDEN_EVERY === 0 ? HIDDEN : n) }
    return [
      ...[flat, steep, flood].flatMap((stream) => talkersOver(bench, stream, updates)),
      ...[flat, flood].flatMap((stream) => sketchOver(bench, stream, updates)),
      ...speed(keys, Math.min(updates, 1_000_000)),
    ]
  },
}
