/**
 * A decayed count-min sketch with conservative update (Cormode and Muthukrishnan, 2005; Estan and Varghese, 2002): how much was taken under a
 * key lately, in fixed memory for any number of keys. Must never say less than it was. It says more than e / width of all that was taken with a
 * probability of e^-depth at most.
 */
import { Decay } from './decay.js'

export class CountMin {
  readonly #width: number
  readonly #cells: Float64Array
  readonly #rows: Int32Array
  readonly #decay: Decay

  /** `width`: a power of two. */
  constructor(width: number, depth: number, halfLifeMs: number, nowMs: number) {
    this.#width = width
    this.#cells = new Float64Array(width * depth)
    this.#rows = new Int32Array(depth)
    this.#decay = new Decay(halfLifeMs, nowMs)
  }

  /** One for each one a millisecond comes to this. */
  get meanMs(): number {
    return this.#decay.meanMs
  }

  estimate(high: number, low: number, nowMs: number): number {
    return this.#least(high, low) / this.#decay.factorAt(nowMs)
  }

  add(high: number, low: number, weight: number, nowMs: number): void {
    const stale = this.#decay.rebase(nowMs)
    const cells = this.#cells
    if (stale > 1) for (let at = 0; at < cells.length; at++) cells[at]! /= stale
    const raised = this.#least(high, low) + weight * this.#decay.factorAt(nowMs)
    for (const at of this.#rows) if (cells[at]! < raised) cells[at] = raised
  }

  /** Leaves in `rows` where the key stands: two hashes give as many as are needed (Kirsch and Mitzenmacher, 2006). */
  #least(high: number, low: number): number {
    const rows = this.#rows
    const mask = this.#width - 1
    const step = high | 1
    let least = Number.POSITIVE_INFINITY
    for (let row = 0, hash = low; row < rows.length; row++, hash = (hash + step) | 0) {
      const at = row * this.#width + (hash & mask)
      rows[row] = at
      const cell = this.#cells[at]!
      if (cell < least) least = cell
    }
    return least
  }
}
