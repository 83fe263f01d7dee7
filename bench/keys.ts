/**
 * What became of takes under keys, on the driver's one clock: who was below half of the limit all the time, and was denied all the same; and how much
 * the keys that ask for more than their limit were admitted.
 */
import type { Bandwidth } from '@leasehold/protocol'

/** Of a key that is watched one by one. */
export interface Watched {
  asked: number
  admitted: number
}

export class Keys {
  readonly #half: { readonly tokenMs: number; readonly depthMs: number }
  /** For each key: when a bucket of half the burst and half the rate would be full again, since the start. */
  readonly #fullMs: Float64Array
  /** It asked for more than half of the limit once. */
  readonly #above: Uint8Array
  readonly #seen: Uint8Array
  /** Those with the lowest numbers. */
  watched: Watched[]
  distinct = 0
  above = 0
  /** Denied, and never above half. */
  wronged = 0

  constructor(keys: number, watched: number, { tokens, perMs, burst }: Bandwidth) {
    const tokenMs = (2 * perMs) / tokens
    this.#half = { tokenMs, depthMs: (burst / 2) * tokenMs }
    this.#fullMs = new Float64Array(keys)
    this.#above = new Uint8Array(keys)
    this.#seen = new Uint8Array(keys)
    this.watched = Keys.#fresh(watched)
  }

  static #fresh(count: number): Watched[] {
    return Array.from({ length: count }, () => ({ asked: 0, admitted: 0 }))
  }

  /** Counts of the watched ones begin anew. */
  watchAgain(): void {
    this.watched = Keys.#fresh(this.watched.length)
  }

  /** One token is asked for under this key. */
  ask(key: number, sinceMs: number): void {
    if (this.#seen[key] === 0) {
      this.#seen[key] = 1
      this.distinct++
    }
    const watched = this.watched[key]
    if (watched !== undefined) watched.asked++
    const { tokenMs, depthMs } = this.#half
    const fullMs = Math.max(sinceMs, this.#fullMs[key]!) + tokenMs
    this.#fullMs[key] = fullMs
    if (fullMs - sinceMs <= depthMs || this.#above[key] === 1) return
    this.#above[key] = 1
    this.above++
  }

  admitted(key: number): void {
    const watched = this.watched[key]
    if (watched !== undefined) watched.admitted++
  }

  denied(key: number): void {
    if (this.#above[key] === 0) this.wronged++
  }
}

/** A key's number by its share of all: the k-th is asked for 1 / k as often as the first (Zipf, exponent 1), up to `keys`. */
export function zipf(keys: number, random: number): number {
  return Math.min(keys, Math.floor((keys + 1) ** random)) - 1
}
