/**
 * Remembers which rows of one table changed since storage last asked. It costs a renewal nothing but a comparison once
 * its row is known to have changed, and never holds more than the live changed rows and the removed rows that are on
 * disk. A key is never handed over twice in one take.
 */
import type { Saved } from './entry.js'

export interface Row extends Saved {
  /** Position among the changed rows of its table; -1 while unchanged. Changes alone writes it. */
  change: number
}

/** What a table hands to storage. */
export interface Change<R> {
  readonly key: string
  readonly row: R
  readonly removed: boolean
}

export class Changes<R extends Row> {
  readonly #keyOf: (row: R) => string
  #changed: R[] = []
  /** Rows that are on disk and no longer in the table. */
  #removed = new Map<string, R>()
  /** Changed rows that are on disk in an older version. */
  #stored = 0

  constructor(keyOf: (row: R) => string) {
    this.#keyOf = keyOf
  }

  get count(): number {
    return this.#changed.length + this.#removed.size
  }

  /** Of them, those that are on disk. */
  get storedCount(): number {
    return this.#stored + this.#removed.size
  }

  touch(row: R): void {
    if (row.change >= 0) return
    if (row.saved !== 0) this.#stored++
    row.change = this.#changed.length
    this.#changed.push(row)
  }

  /** A row joins the table. What its key has on disk from a row before it becomes this row's to replace. */
  insert(row: R): void {
    if (this.#removed.size > 0) {
      const key = this.#keyOf(row)
      const before = this.#removed.get(key)
      if (before !== undefined) {
        row.saved = before.saved
        this.#removed.delete(key)
      }
    }
    this.touch(row)
  }

  /** A row leaves the table. One that was never on disk is forgotten on the spot. */
  remove(row: R): void {
    if (row.change >= 0) {
      const last = this.#changed.pop()!
      if (last !== row) {
        this.#changed[row.change] = last
        last.change = row.change
      }
      row.change = -1
      if (row.saved !== 0) this.#stored--
    }
    if (row.saved !== 0) this.#removed.set(this.#keyOf(row), row)
  }

  take(): readonly Change<R>[] {
    const taken: Change<R>[] = []
    for (const row of this.#changed) {
      row.change = -1
      taken.push({ key: this.#keyOf(row), row, removed: false })
    }
    for (const [key, row] of this.#removed) taken.push({ key, row, removed: true })
    this.#changed = []
    this.#stored = 0
    this.#removed.clear()
    return taken
  }
}
