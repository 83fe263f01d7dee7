/**
 * How much of the log below a checkpoint is kept for members that lag: bounded in entries and bytes. Entries of an
 * earlier process count for nothing in bytes, since their sizes are not known; the count bounds them.
 */
import { type LogIndex, logIndex } from '@leasehold/protocol'
import { REPLICA_LIMITS } from './limits.js'

export class LogTail {
  readonly #entriesMax: number
  readonly #bytesMax: number
  /** Bytes of all entries up to and including an index, by index modulo the length. */
  readonly #totals: Float64Array
  #total = 0
  #first: number
  #last: number

  constructor(
    firstIndex: LogIndex,
    lastIndex: LogIndex,
    entriesMax: number = REPLICA_LIMITS.tailEntries,
    bytesMax: number = REPLICA_LIMITS.tailBytes,
  ) {
    this.#entriesMax = entriesMax
    this.#bytesMax = bytesMax
    this.#totals = new Float64Array(entriesMax + 2)
    this.#first = Math.max(firstIndex, lastIndex - entriesMax + 1)
    this.#last = lastIndex
  }

  /** Entries come in order. */
  add(index: LogIndex, bytes: number): void {
    this.#last = index
    this.#total += bytes
    this.#totals[index % this.#totals.length] = this.#total
    while (this.#last - this.#first + 1 > this.#entriesMax || this.#kept() > this.#bytesMax) this.#first++
  }

  /** Entries up to here, and below the checkpoint, may go. */
  trimmable(checkpoint: LogIndex): LogIndex {
    return logIndex(Math.min(this.#first - 1, checkpoint))
  }

  #kept(): number {
    return this.#first > this.#last ? 0 : this.#total - this.#totals[(this.#first - 1) % this.#totals.length]!
  }
}
