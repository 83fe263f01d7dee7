/** Chance in a simulated world: every decision comes from its seed, and from nothing else. */
import { SeededRandom } from '@leasehold/client/testing'

/** Spreads neighbouring seeds over all numbers (the finalizer of MurmurHash3, by Austin Appleby, public domain). */
function spread(seed: number): number {
  let h = seed | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

export class Dice extends SeededRandom {
  constructor(seed: number) {
    super(spread(seed))
  }

  /** A whole number in [0, below). */
  int(below: number): number {
    return Math.floor(this.next() * below)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(list.length)]!
  }

  /** Mostly near `usual`, seldom up to `most`: how long things take. */
  tailed(usual: number, most: number): number {
    const x = this.next()
    return x < 0.95 ? usual * (0.5 + x) : usual + (most - usual) * this.next()
  }

  /** Dice of its own for one part of the world, so that parts do not disturb each other's throws. */
  fork(): Dice {
    return new Dice(this.int(0x1_0000_0000))
  }
}
