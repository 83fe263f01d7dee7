/**
 * The log as this peer knows it: where it ends, what of it is durable, committed, handed over, applied.
 *
 *   applied <= handed <= commit <= last,  handed <= synced < staged from <= last + 1
 *
 * It must never take back what is committed, and never take an entry for durable whose place was overwritten while it was on its way to
 * the disk.
 */
import { type LogIndex, logIndex, type Term } from '@leasehold/protocol'
import type { RaftLimits } from './limits.js'
import { Tail } from './tail.js'
import { Terms } from './terms.js'
import type { LogEntry, RaftStart } from './types.js'

const ALL = Number.POSITIVE_INFINITY

export class Log<E extends LogEntry> {
  readonly #limits: RaftLimits
  #terms: Terms
  readonly #tail: Tail<E>
  #last: LogIndex
  /** What is committed is in the log of a majority for ever. Never goes back, but for a snapshot that ends in front of it. */
  #commit: LogIndex
  /** Given to the owner to be applied. */
  #handed: LogIndex
  #applied: LogIndex
  /** Up to here the disk holds just what this log holds. Goes back only when a suffix is replaced. */
  #synced: LogIndex
  /**
   * Entries from here on wait for the next write; those between synced and here are on their way to the disk. A replaced
   * suffix moves it back, so that the write under way counts only for what is still in front of it.
   */
  #stagedFrom: LogIndex
  /** Known entries above `applied` that change the configuration, in order. */
  readonly #reconfigurations: LogIndex[]

  constructor(start: RaftStart, limits: RaftLimits) {
    const { firstIndex, lastIndex, applied, commit } = start
    const sound = firstIndex - 1 <= applied && applied <= commit && commit <= lastIndex
    if (!sound) throw new Error('a start needs first - 1 <= applied <= commit <= last')
    this.#limits = limits
    this.#terms = new Terms(logIndex(firstIndex - 1), start.terms)
    this.#last = lastIndex
    this.#tail = new Tail<E>(logIndex(lastIndex + 1))
    this.#applied = applied
    this.#handed = applied
    this.#synced = lastIndex
    this.#stagedFrom = logIndex(lastIndex + 1)
    this.#reconfigurations = [...start.reconfigurations]
    // A leader proposes the next one only after it has applied the last: so all but the newest are committed.
    this.#commit = logIndex(Math.max(commit, this.#reconfigurations.at(-2) ?? 0))
  }

  get first(): LogIndex {
    return logIndex(this.#terms.base + 1)
  }
  get last(): LogIndex {
    return this.#last
  }
  get lastTerm(): Term {
    return this.#terms.last
  }
  get commit(): LogIndex {
    return this.#commit
  }
  get applied(): LogIndex {
    return this.#applied
  }
  get handed(): LogIndex {
    return this.#handed
  }
  get synced(): LogIndex {
    return this.#synced
  }
  /** From here on entries are in memory. */
  get inMemoryFrom(): LogIndex {
    return this.#tail.first
  }
  /** Something waits to be written. */
  get staged(): boolean {
    return this.#stagedFrom <= this.#last
  }
  /** Some unapplied entry changes the configuration. */
  get reconfigures(): boolean {
    return this.#reconfigurations.length > 0
  }
  /** A committed, unapplied entry changes the configuration: the one in force is of the past. */
  get reconfigured(): boolean {
    return this.#reconfigurations.length > 0 && this.#reconfigurations[0]! <= this.#commit
  }

  /** Null where the log says nothing of this index: trimmed, or not there yet. */
  termAt(index: LogIndex): Term | null {
    return index < this.#terms.base || index > this.#last ? null : this.#terms.at(index)
  }
  /** The last entry at or before `index` whose term is at most `of`; may lie in front of the log, where nothing is known. */
  lastAtMost(index: LogIndex, of: Term): LogIndex {
    return index < this.#terms.base ? index : this.#terms.lastAtMost(index, of)
  }
  /** The term of the last entry that is known to be committed. */
  get commitTerm(): Term {
    return this.#terms.at(this.#commit)
  }

  /** Somebody knows that this entry is committed. True if it is here, and that is news. */
  isCommitNews(index: LogIndex, of: Term): boolean {
    return index > this.#commit && this.termAt(index) === of
  }

  /** A log with this end holds all that is committed, as far as this peer can tell (Raft's restriction on votes). */
  isOutdone(lastIndex: LogIndex, lastTerm: Term): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.#last)
  }

  /** Entries in [from, last] from memory; `from` is there. */
  slice(from: LogIndex, bytesMax: number, countMax: number): E[] {
    return this.#tail.slice(from, this.#last, bytesMax, countMax)
  }

  /** Of an entry in memory. */
  bytesOf(index: LogIndex): number {
    return this.#tail.at(index).bytes
  }

  /** Continues the log. The caller has checked that index and term fit. */
  append(entry: E): void {
    this.#terms.add(entry.index, entry.term)
    this.#tail.add(entry)
    this.#last = entry.index
    if (entry.reconfigures) this.#reconfigurations.push(entry.index)
  }

  /** Entries from here on contradict the leader's: they are to be replaced. */
  cut(from: LogIndex): void {
    if (from <= this.#commit) throw new Error(`entry ${from} is committed and cannot be replaced`)
    this.#terms.cut(from)
    this.#tail.cut(from)
    this.#last = logIndex(from - 1)
    if (this.#synced >= from) this.#synced = this.#last
    if (this.#stagedFrom > from) this.#stagedFrom = from
    while ((this.#reconfigurations.at(-1) ?? 0) >= from) this.#reconfigurations.pop()
  }

  commitTo(index: LogIndex): void {
    if (index > this.#last) throw new Error(`entry ${index} is not there to be committed`)
    if (index <= this.#commit) return
    this.#commit = index
    this.#evict()
  }

  /** Hands over what waits to be written; it is on its way from now on. */
  stage(): E[] {
    const out = this.staged ? this.#tail.slice(this.#stagedFrom, this.#last, ALL, ALL) : []
    this.#stagedFrom = logIndex(this.#last + 1)
    return out
  }

  /** The write is durable: all that is still in front of what is staged. */
  landed(): void {
    this.#synced = logIndex(this.#stagedFrom - 1)
    this.#evict()
  }

  /** What may be handed over next, or null where nothing may. */
  get handover(): { readonly from: LogIndex; readonly through: LogIndex } | null {
    const through = logIndex(Math.min(this.#commit, this.#synced))
    return through > this.#handed ? { from: logIndex(this.#handed + 1), through } : null
  }
  sliceTo(from: LogIndex, through: LogIndex, bytesMax: number): E[] {
    return this.#tail.slice(from, through, bytesMax, ALL)
  }
  handedOver(through: LogIndex): void {
    this.#handed = through
  }

  appliedTo(index: LogIndex): void {
    if (index < this.#applied || index > this.#handed) throw new Error(`entry ${index} was not handed over`)
    this.#applied = index
    while (this.#reconfigurations.length > 0 && this.#reconfigurations[0]! <= index) this.#reconfigurations.shift()
  }

  trim(first: LogIndex): void {
    if (first > this.#applied + 1) throw new Error(`entries below ${first} are not all applied`)
    if (first <= this.first) return
    while (this.#tail.first < first && this.#tail.count > 0) this.#tail.dropFirst()
    this.#terms.trim(logIndex(first - 1))
  }

  /**
   * The log is empty and continues after this entry, which is durable and applied. While the snapshot was installed nothing was written;
   * so what came meanwhile was not acknowledged, and comes again. Also knowledge of a later commit does.
   */
  restart(index: LogIndex, of: Term): void {
    if (index < this.#handed) throw new Error(`a snapshot of entry ${index} is older than what is applied`)
    this.#terms = new Terms(index, [{ term: of, from: index }])
    this.#tail.restart(logIndex(index + 1))
    this.#last = index
    this.#commit = index
    this.#handed = index
    this.#applied = index
    this.#synced = index
    this.#stagedFrom = logIndex(index + 1)
    this.#reconfigurations.length = 0
  }

  /** What is durable and committed may leave memory. */
  #evict(): void {
    const tail = this.#tail
    const free = Math.min(this.#commit, this.#synced)
    while (
      (tail.bytes > this.#limits.tailBytesMax || tail.count > this.#limits.tailEntriesMax) &&
      tail.count > 0 &&
      tail.first <= free
    ) {
      tail.dropFirst()
    }
  }
}
