/**
 * The term of every entry of the log, without the entries: terms only grow along a log, so a run per term says it all. So
 * a leader can compare logs with a follower, and answer for entries that are no longer in memory.
 */
import { type LogIndex, logIndex, type Term, term } from '@leasehold/protocol'

export interface TermRun {
  readonly term: Term
  /** Its first entry. */
  readonly from: LogIndex
}

export class Terms {
  /** Terms and first entries both grow strictly. The first run holds the base; never empty. */
  readonly #runs: TermRun[]
  #base: LogIndex

  /** `base` is the index in front of the log: the last entry that was trimmed, or 0. */
  constructor(base: LogIndex, runs: readonly TermRun[]) {
    this.#base = base
    this.#runs = runs.map((run) => ({ term: run.term, from: logIndex(Math.max(run.from, base)) }))
    if (this.#runs[0]?.from !== base) {
      if (base !== 0) throw new Error(`nobody says the term of entry ${base}, in front of the log`)
      this.#runs.unshift({ term: term(0), from: base })
    }
    for (let i = 1; i < this.#runs.length; i++) {
      const [a, b] = [this.#runs[i - 1]!, this.#runs[i]!]
      if (a.term >= b.term || a.from >= b.from) throw new Error('terms grow along a log')
    }
  }

  get base(): LogIndex {
    return this.#base
  }

  get last(): Term {
    return this.#runs[this.#runs.length - 1]!.term
  }

  /** For an index from base to the end of the log (of which this knows nothing). */
  at(index: LogIndex): Term {
    return this.#runs[this.#find(index)]!.term
  }

  /** The entry that follows the last one. */
  add(index: LogIndex, of: Term): void {
    if (of !== this.last) this.#runs.push({ term: of, from: index })
  }

  /** Entries from here on are gone. */
  cut(from: LogIndex): void {
    while (this.#runs.length > 1 && this.#runs[this.#runs.length - 1]!.from >= from) this.#runs.pop()
  }

  /** Entries up to here are gone; the term of the last one of them stays known. */
  trim(base: LogIndex): void {
    const keep = this.#find(base)
    this.#runs.splice(0, keep)
    this.#runs[0] = { term: this.#runs[0]!.term, from: base }
    this.#base = base
  }

  /** The last entry at or before `index` whose term is at most `of`; below the base where there is none. */
  lastAtMost(index: LogIndex, of: Term): LogIndex {
    for (let i = this.#find(index), end = index as number; i >= 0; i--) {
      const run = this.#runs[i]!
      if (run.term <= of) return logIndex(end)
      end = run.from - 1
    }
    return logIndex(this.#base - 1)
  }

  #find(index: LogIndex): number {
    if (index < this.#base) throw new Error(`the log says nothing of entry ${index}`)
    // Nearly always asked about the newest terms.
    let i = this.#runs.length - 1
    while (this.#runs[i]!.from > index) i--
    return i
  }
}
