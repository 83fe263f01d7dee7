/**
 * Who asks for most lately: weighted Space-Saving (Metwally, Agrawal and El Abbadi, 2005) with forward decay, over the keys of all quotas. Whoever is
 * not counted takes over the counter of the least, and what it held: so nobody who weighs more than a share of 1 / counters is ever
 * missing, however many others come by. weight <= counted <= weight + all / counters.
 */
import { utf8Bytes } from '@leasehold/protocol'
import { Decay } from './decay.js'
import { Heap, type Ranked } from './heap.js'

interface Counter extends Ranked {
  group: TalkerGroup
  key: string
}

/** The keys of one quota. */
export interface TalkerGroup {
  readonly name: string
  readonly counters: Map<string, Counter>
  /** Of all its keys, counted or not; as weights are. */
  total: number
}

/** A Misra-Gries summary of one member: rate <= what a key has <= rate + error, and a key that is not in it has at most the error. Tokens a second. */
export interface Summary {
  readonly errorPerS: number
  /** Heaviest first. */
  readonly rows: readonly (readonly [quota: string, key: string, ratePerS: number])[]
  readonly totals: readonly (readonly [quota: string, ratePerS: number])[]
}

export class Talkers {
  readonly #counters: number
  readonly #decay: Decay
  readonly #beganMs: number
  readonly #heap = new Heap<Counter>()
  readonly #groups = new Map<string, TalkerGroup>()

  constructor(counters: number, halfLifeMs: number, nowMs: number) {
    this.#counters = counters
    this.#decay = new Decay(halfLifeMs, nowMs)
    this.#beganMs = nowMs
  }

  group(name: string): TalkerGroup {
    const known = this.#groups.get(name)
    if (known !== undefined) return known
    const group = { name, counters: new Map<string, Counter>(), total: 0 }
    this.#groups.set(name, group)
    return group
  }

  /** A quota that is no more. Its counters are the first that others take. */
  forget(name: string): void {
    const group = this.#groups.get(name)
    if (group === undefined) return
    this.#groups.delete(name)
    for (const counter of group.counters.values()) this.#heap.remove(counter)
  }

  add(group: TalkerGroup, key: string, tokens: number, nowMs: number): void {
    const stale = this.#decay.rebase(nowMs)
    if (stale > 1) this.#divide(stale)
    const weight = tokens * this.#decay.factorAt(nowMs)
    group.total += weight
    const known = group.counters.get(key)
    if (known !== undefined) {
      known.rank += weight
      this.#heap.moved(known)
    } else if (this.#heap.size < this.#counters) {
      const counter = { group, key, rank: weight, at: 0 }
      group.counters.set(key, counter)
      this.#heap.add(counter)
    } else {
      const counter = this.#heap.least!
      counter.group.counters.delete(counter.key)
      group.counters.set(key, counter)
      counter.group = group
      counter.key = key
      counter.rank += weight
      this.#heap.moved(counter)
    }
  }

  /** The heaviest of all quotas: at most so many, and with so many bytes of names and keys. */
  summary(most: number, bytesMax: number, nowMs: number): Summary {
    const perS = this.#perSecond(nowMs)
    const all = this.#heap.all.toSorted((one, other) => other.rank - one.rank)
    const shown: Counter[] = []
    const groups = new Set<TalkerGroup>()
    let bytes = 0
    for (const counter of all) {
      const { group, key } = counter
      bytes += ROW_BYTES + utf8Bytes(key) + (groups.has(group) ? 0 : ROW_BYTES + utf8Bytes(group.name))
      if (shown.length === most || bytes > bytesMax) break
      shown.push(counter)
      groups.add(group)
    }
    // Of whoever is not shown: the first of them, or one who has no counter at all.
    const beyond = all[shown.length]?.rank ?? (all.length < this.#counters ? 0 : (this.#heap.least?.rank ?? 0))
    const rows = shown.map(({ group, key, rank }) => [group.name, key, (rank - beyond) * perS] as const)
    const totals = [...groups].map(({ name, total }) => [name, total * perS] as const)
    return { errorPerS: beyond * perS, rows, totals }
  }

  /** What a stored weight comes to, a second: over the time that it has gathered in, where that is less than it remembers. */
  #perSecond(nowMs: number): number {
    const { meanMs } = this.#decay
    const agedMs = Math.max(1_000, nowMs - this.#beganMs)
    return 1_000 / (this.#decay.factorAt(nowMs) * meanMs * (1 - Math.exp(-agedMs / meanMs)))
  }

  #divide(by: number): void {
    for (const counter of this.#heap.all) counter.rank /= by
    for (const group of this.#groups.values()) group.total /= by
  }
}

/** Of a row, beside its texts. */
const ROW_BYTES = 24

export interface Talker {
  readonly key: string
  readonly ratePerS: number
  readonly errorPerS: number
}

/** Summaries of several members as one, for one quota: rates and errors add up (Agarwal and others, 2012). Heaviest first. */
export function mergeTalkers(summaries: readonly Summary[], quota: string, most: number) {
  const sums = new Map<string, number>()
  let errorPerS = 0
  let totalPerS = 0
  for (const { errorPerS: error, rows, totals } of summaries) {
    errorPerS += error
    for (const [name, key, ratePerS] of rows) if (name === quota) sums.set(key, (sums.get(key) ?? 0) + ratePerS)
    for (const [name, ratePerS] of totals) if (name === quota) totalPerS += ratePerS
  }
  const sorted = [...sums].sort(([one, a], [other, b]) => b - a || (one < other ? -1 : 1)).slice(0, most)
  const keys = sorted.map(([key, ratePerS]): Talker => ({ key, ratePerS: ratePerS + errorPerS, errorPerS }))
  return { keys, totalPerS }
}
