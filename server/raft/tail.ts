/** The newest entries of the log, in memory: those that wait to be durable or committed, and as many older ones as fit. */
import { type LogIndex, logIndex } from '@leasehold/protocol'
import type { LogEntry } from './types.js'

/** Dropped places at the front are given back once there are this many, and more than half. */
const SLACK = 1_024

export class Tail<E extends LogEntry> {
  /** Entries stand from `#head` on; in front of it are places of dropped ones. */
  #entries: (E | undefined)[] = []
  #head = 0
  #first: LogIndex
  #bytes = 0

  /** `first` is the index that the first entry to come will have. */
  constructor(first: LogIndex) {
    this.#first = first
  }

  /** Of what is in memory; one past the end of the log where nothing is. */
  get first(): LogIndex {
    return this.#first
  }
  get count(): number {
    return this.#entries.length - this.#head
  }
  get bytes(): number {
    return this.#bytes
  }

  at(index: LogIndex): E {
    return this.#entries[this.#head + index - this.#first]!
  }

  add(entry: E): void {
    this.#entries.push(entry)
    this.#bytes += entry.bytes
  }

  /** Forgets the entries from `from` on. */
  cut(from: LogIndex): void {
    if (from <= this.#first) {
      this.restart(from)
      return
    }
    while (this.#first + this.count > from) this.#bytes -= this.#entries.pop()!.bytes
  }

  /** Forgets everything; `first` is the index that comes next. */
  restart(first: LogIndex): void {
    this.#entries = []
    this.#head = 0
    this.#first = first
    this.#bytes = 0
  }

  dropFirst(): void {
    this.#bytes -= this.#entries[this.#head]!.bytes
    this.#entries[this.#head++] = undefined
    this.#first = logIndex(this.#first + 1)
    if (this.#head > SLACK && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
  }

  /** Entries in [from, through], as many as fit the bounds, the first one always. `from` is in memory. */
  slice(from: LogIndex, through: LogIndex, bytesMax: number, countMax: number): E[] {
    const out: E[] = []
    let bytes = 0
    const start = this.#head + from - this.#first
    const end = this.#head + through - this.#first
    for (let i = start; i <= end && out.length < countMax; i++) {
      const entry = this.#entries[i]!
      bytes += entry.bytes
      if (bytes > bytesMax && out.length > 0) break
      out.push(entry)
    }
    return out
  }
}
