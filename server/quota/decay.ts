/**
 * Forward decay (Cormode, Shkapenyuk, Srivastava and Xu, 2009): what comes later weighs more, and nothing that is stored has to change as time
 * goes by. A stored weight divided by the factor of now is the decayed one: sum of w * 2^-(age / half-life), in whole milliseconds of age.
 */
export class Decay {
  /** A weight of one, decaying, adds up to this for each one a millisecond. */
  readonly meanMs: number
  #landmarkMs: number
  #nowMs: number
  #factor = 1

  constructor(halfLifeMs: number, nowMs: number) {
    this.meanMs = halfLifeMs / Math.LN2
    this.#landmarkMs = this.#nowMs = Math.floor(nowMs)
  }

  /** What one weighs that comes now. */
  factorAt(nowMs: number): number {
    const wholeMs = Math.floor(nowMs)
    if (wholeMs !== this.#nowMs) {
      this.#nowMs = wholeMs
      this.#factor = Math.exp((wholeMs - this.#landmarkMs) / this.meanMs)
    }
    return this.#factor
  }

  /** Weights become too large for the small ones: everything that is stored is to be divided by what this returns. 1: nothing is due. */
  rebase(nowMs: number): number {
    const factor = this.factorAt(nowMs)
    if (factor < FACTOR_MAX) return 1
    this.#landmarkMs = this.#nowMs
    this.#factor = 1
    return factor
  }
}

/** Far from where a number can still hold a one beside the largest sums. */
const FACTOR_MAX = 1e9
