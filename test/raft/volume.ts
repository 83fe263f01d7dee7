/** A disk of the random worlds: what was synced, and nothing else. */
import { type LogIndex, logIndex, type Term, term } from '@leasehold/protocol'
import type { Configuration, HardState, RaftStart, Write } from '@leasehold/server/raft'
import type { Item } from './cluster.js'

export interface SnapshotOf {
  readonly index: LogIndex
  readonly term: Term
  readonly configuration: Configuration
}

export class Volume {
  hardState: HardState = { term: term(1), votedFor: null }
  /** In front of the first entry. */
  #base: { index: LogIndex; term: Term } = { index: logIndex(0), term: term(0) }
  #entries: Item[] = []
  /** What a checkpoint holds; behind what was applied at times. */
  checkpoint: SnapshotOf = {
    index: logIndex(0),
    term: term(0),
    configuration: { voters: [], outgoing: [], learners: [] },
  }

  get firstIndex(): LogIndex {
    return logIndex(this.#base.index + 1)
  }
  get lastIndex(): LogIndex {
    return logIndex(this.#base.index + this.#entries.length)
  }

  at(index: number): Item | undefined {
    return this.#entries[index - this.#base.index - 1]
  }
  termAt(index: number): Term | undefined {
    return index === this.#base.index ? this.#base.term : this.at(index)?.term
  }
  holds(index: number, of: number): boolean {
    return index <= this.#base.index || this.at(index)?.term === of
  }
  range(from: number, through: number): Item[] {
    return this.#entries.slice(from - this.#base.index - 1, through - this.#base.index)
  }

  write(write: Write<Item>): void {
    if (write.hardState !== null) this.hardState = write.hardState
    if (write.entries.length === 0) return
    const { index } = write.entries[0]!
    if (index > this.lastIndex + 1 || index <= this.#base.index) throw new Error(`a hole in front of entry ${index}`)
    this.#entries.length = index - this.#base.index - 1
    this.#entries.push(...write.entries)
  }

  trim(first: LogIndex): void {
    const of = this.termAt(first - 1)!
    this.#entries = this.#entries.slice(first - this.firstIndex)
    this.#base = { index: logIndex(first - 1), term: of }
  }

  install(snapshot: SnapshotOf): void {
    this.#entries = []
    this.#base = { index: snapshot.index, term: snapshot.term }
    this.checkpoint = snapshot
  }

  /** All of it, as of now. */
  copy(): Volume {
    const copy = new Volume()
    copy.hardState = this.hardState
    copy.#base = this.#base
    copy.#entries = [...this.#entries]
    copy.checkpoint = this.checkpoint
    return copy
  }

  start(id: string, random: () => number): RaftStart {
    const terms = [{ term: this.#base.term, from: this.#base.index }]
    for (const entry of this.#entries) {
      if (entry.term !== terms.at(-1)!.term) terms.push({ term: entry.term, from: entry.index })
    }
    const after = this.#entries.filter((entry) => entry.reconfigures && entry.index > this.checkpoint.index)
    return {
      id,
      hardState: this.hardState,
      configuration: this.checkpoint.configuration,
      firstIndex: this.firstIndex,
      lastIndex: this.lastIndex,
      terms,
      applied: this.checkpoint.index,
      commit: this.checkpoint.index,
      reconfigurations: after.map(({ index }) => index),
      random,
    }
  }
}
