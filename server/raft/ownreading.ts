/**
 * Committed entries on their way to the owner. What was on disk at the start, or has left memory, is read back first, in the
 * same way as for a follower.
 */
import { type LogIndex, logIndex } from '@leasehold/protocol'
import type { Node } from './node.js'
import type { Fetch, LogEntry } from './types.js'

export class OwnReading<E extends LogEntry> {
  readonly #node: Node<E>
  /** Read back, not handed over yet. They continue what was handed over last. */
  #entries: readonly E[] = []
  /** A read is under way. */
  #fetching = false
  /** Its answer is of a log that is no more. */
  #void = false

  constructor(node: Node<E>) {
    this.#node = node
  }

  takeCommitted(bytesMax: number): readonly E[] {
    const { log } = this.#node
    const next = log.handover
    if (next === null) return []
    const entries = this.#entries.length > 0 ? this.#read(bytesMax) : this.#inMemory(next.from, next.through, bytesMax)
    if (entries.length > 0) log.handedOver(entries[entries.length - 1]!.index)
    return entries
  }

  takeFetch(): Fetch | null {
    const { id, log, limits } = this.#node
    const next = log.handover
    if (next === null || this.#fetching || this.#entries.length > 0 || next.from >= log.inMemoryFrom) return null
    const through = Math.min(next.through, log.inMemoryFrom - 1, next.from + limits.appendEntriesMax - 1)
    this.#fetching = true
    return { to: id, from: next.from, through: logIndex(through), bytesMax: limits.appendBytesMax }
  }

  fetched(entries: readonly E[]): void {
    if (!this.#fetching) throw new Error('nothing was asked for')
    this.#fetching = false
    if (this.#void) {
      this.#void = false
      return
    }
    const { log } = this.#node
    const fits = entries.every(({ index, term }, i) => index === log.handed + 1 + i && log.termAt(index) === term)
    if (!fits || entries.length === 0) throw new Error('these are not the entries that were asked for')
    this.#entries = entries
  }

  /** The log continues after a snapshot. */
  restarted(): void {
    this.#entries = []
    this.#void = this.#fetching
  }

  #inMemory(from: LogIndex, through: LogIndex, bytesMax: number): readonly E[] {
    const { log } = this.#node
    return from < log.inMemoryFrom ? [] : log.sliceTo(from, through, bytesMax)
  }

  #read(bytesMax: number): readonly E[] {
    let bytes = 0
    let count = 0
    while (count < this.#entries.length) {
      bytes += this.#entries[count]!.bytes
      if (bytes > bytesMax && count > 0) break
      count++
    }
    const out = this.#entries.slice(0, count)
    this.#entries = this.#entries.slice(count)
    return out
  }
}
