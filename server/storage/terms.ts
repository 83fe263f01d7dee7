/**
 * Which term the entries of the log are of, from the one in front of the first on: for each term where it begins. A log has few
 * terms, so this stands in memory, and nobody reads an entry to learn its term.
 */

export interface TermStart {
  readonly term: number
  /** Its first entry that is known. */
  readonly from: number
}

export class Terms {
  #starts: TermStart[]

  /** The log is empty, and goes on after entry `base`, which is of `term`. */
  constructor(base: number, term: number) {
    this.#starts = [{ term, from: base }]
  }

  get all(): readonly TermStart[] {
    return this.#starts
  }

  /** The next entry. */
  add(index: number, term: number): void {
    const last = this.#starts.at(-1)!.term
    if (term < last) throw new RangeError(`entry ${index} is of term ${term}, and the one in front of it of ${last}`)
    if (term > last) this.#starts.push({ term, from: index })
  }

  /** Of an entry between the base and the end. */
  at(index: number): number {
    const found = this.#starts.findLast(({ from }) => from <= index)
    if (found === undefined) throw new RangeError(`the term of entry ${index} is no longer known`)
    return found.term
  }

  /** Entries from `first` on are replaced. */
  cut(first: number): void {
    while (this.#starts.length > 1 && this.#starts.at(-1)!.from >= first) this.#starts.pop()
  }

  /** Entries below `first` are gone, but for the term of the one in front of it. */
  trim(first: number): void {
    const base = first - 1
    const kept = this.#starts.findLastIndex(({ from }) => from <= base)
    if (kept < 0) return
    this.#starts = [{ term: this.#starts[kept]!.term, from: base }, ...this.#starts.slice(kept + 1)]
  }
}
