/**
 * The growing end of the log: chains entries, and replaces a suffix that lost its election. Only entries above the
 * checkpoint can ever be replaced, so only their hashes are kept in memory.
 */
import type { Entry } from '../machine/index.js'
import type { VolumeBatch } from '../ports/index.js'
import type { Writer } from './bytes.js'
import { writeEntry } from './entries.js'
import { KIND, seqKey } from './keys.js'
import type { Marker } from './marker.js'
import { ROW_HEAD_BYTES, sealRow } from './rows.js'
import type { Terms } from './terms.js'

interface Link {
  readonly index: number
  readonly hash: Uint8Array
}

/** What opening found of the log. */
export interface FoundLog {
  /** Hashes of the entries from the checkpoint on. */
  readonly links: readonly Link[]
  readonly terms: Terms
}

interface Found {
  readonly live: number
  readonly marker: Marker
  readonly log: FoundLog
}

export class LogTail {
  readonly #live: number
  readonly #marker: Marker
  /** From the synced checkpoint on, in order, without a gap. The last one is the log's end. */
  #links: Link[]
  readonly #terms: Terms
  #durable: number
  /** The last entry that was not replaced since the flush in flight began: those behind it are not the ones that it wrote. */
  #unchanged = Number.POSITIVE_INFINITY

  constructor({ live, marker, log: { links, terms } }: Found) {
    this.#live = live
    this.#marker = marker
    this.#links = [...links]
    this.#terms = terms
    this.#durable = marker.log.last
  }

  /** The last entry that can be read back. */
  get durable(): number {
    return Math.min(this.#durable, this.#marker.log.last)
  }

  /** Of an entry of the log, or of the one in front of it. */
  termOf(index: number): number {
    return this.#terms.at(index)
  }

  /** Chains and writes entries. Throws RangeError where they do not continue the log; nothing is staged then. */
  stage(entries: readonly Entry[], batch: VolumeBatch, writer: Writer): void {
    const { log } = this.#marker
    const first = entries[0]!.index
    if (first > log.last + 1) throw new RangeError(`entry ${first} does not follow ${log.last}`)
    this.#expectOrder(entries)
    if (first <= log.last) this.#cut(first, batch)
    for (const entry of entries) {
      const key = seqKey(this.#live, KIND.entry, entry.index)
      const from = writer.length
      writer.reserve(ROW_HEAD_BYTES)
      writer.length += ROW_HEAD_BYTES
      const hash = writeEntry(writer, entry, log.lastHash)
      const value = writer.view(from)
      sealRow(key, value)
      batch.put(key, value)
      log.last = entry.index
      log.lastTerm = entry.term
      log.lastTimeMs = entry.timeMs
      log.lastHash = hash
      this.#terms.add(entry.index, entry.term)
      this.#links.push({ index: entry.index, hash })
    }
  }

  #expectOrder(entries: readonly Entry[]): void {
    let index: number = entries[0]!.index
    let term = this.#terms.at(index - 1)
    for (const entry of entries) {
      if (entry.index !== index) throw new RangeError(`entry ${entry.index} does not follow ${index - 1}`)
      if (entry.term < term) throw new RangeError(`entry ${index} is of term ${entry.term}, after one of term ${term}`)
      term = entry.term
      index += 1
    }
  }

  /** Takes the entries from `first` on away. */
  #cut(first: number, batch: VolumeBatch): void {
    const { log } = this.#marker
    const kept = this.#links.findIndex((link) => link.index === first - 1)
    if (kept < 0) throw new RangeError(`entry ${first} can no longer be replaced`)
    for (let index = first; index <= log.last; index += 1) batch.del(seqKey(this.#live, KIND.entry, index))
    this.#links = this.#links.slice(0, kept + 1)
    this.#terms.cut(first)
    log.last = first - 1
    log.lastHash = this.#links[kept]!.hash
    this.#durable = Math.min(this.#durable, first - 1)
    this.#unchanged = Math.min(this.#unchanged, first - 1)
  }

  /** Entries below `first` are taken away. */
  trim(first: number): void {
    const { log } = this.#marker
    log.baseTerm = this.#terms.at(first - 1)
    log.first = first
    this.#terms.trim(first)
  }

  /** A batch with all that was staged so far starts. */
  flushing(): void {
    this.#unchanged = Number.POSITIVE_INFINITY
  }

  /** A batch is durable in which the log ended at `last` and the checkpoint stood at `checkpoint`. */
  flushed(last: number, checkpoint: number): void {
    this.#durable = Math.min(last, this.#unchanged)
    const kept = this.#links.findIndex((link) => link.index >= checkpoint)
    if (kept > 0) this.#links = this.#links.slice(kept)
  }
}
