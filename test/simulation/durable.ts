/**
 * What has reached each member's disk, as the disk itself knows it: entries by index, votes by term. A store is watched from the
 * outside, and what it staged counts from the moment at which its batch is synced; what it says of itself counts for nothing.
 */
import type { Entry } from '@leasehold/server/machine'
import type { HardState, IncomingSnapshot, Store } from '@leasehold/server/storage'

export interface Staged {
  readonly entries: Entry[]
  hardState: HardState | null
}

interface Watching {
  /** Entries as they are handed over. */
  readonly staged: (entries: readonly Entry[]) => void
  /** A snapshot was installed that ends here. */
  readonly installed: (last: number) => void
}

/** One directory. */
export class Durable {
  /** Terms of entries, by index. */
  readonly #terms: number[] = []
  /** Whom it has voted for, by term. */
  readonly #votes = new Map<number, string | null>()
  term = 0
  #staged: Staged = { entries: [], hardState: null }
  #flight: Staged | null = null

  has(index: number, term: number): boolean {
    return this.#terms[index] === term
  }
  /** Of two logs, that with the later term at its end is ahead, then the longer one: who is behind gets no vote (Raft 5.4.1). */
  isAheadOf(other: Durable): boolean {
    const [own, its] = [this.#terms.length, other.#terms.length]
    const ownTerm = this.#terms[own - 1] ?? 0
    const itsTerm = other.#terms[its - 1] ?? 0
    return ownTerm > itsTerm || (ownTerm === itsTerm && own > its)
  }
  votedFor(term: number): string | null {
    return this.#votes.get(term) ?? null
  }

  /** The batch in flight is on the disk. */
  synced(): void {
    const flight = this.#flight
    this.#flight = null
    if (flight === null) return
    for (const { index, term } of flight.entries) {
      this.#terms.length = Math.min(this.#terms.length, index)
      this.#terms[index] = term
    }
    if (flight.hardState === null) return
    this.term = flight.hardState.term
    if (flight.hardState.votedFor !== null) this.#votes.set(this.term, flight.hardState.votedFor)
  }

  /** The process is gone; what was not synced never will be. */
  crashed(): void {
    this.#staged = { entries: [], hardState: null }
    this.#flight = null
  }

  /** The directory was formed: the first entry is there. */
  formed(): void {
    this.#terms[1] = 1
  }

  /** A snapshot has taken the place of everything up to here, and of what stood after it. */
  installed(last: number, termOf: (index: number) => number): void {
    this.#terms.length = 0
    for (let index = 1; index <= last; index++) this.#terms[index] = termOf(index)
  }

  /** The same store, with its writes noted. */
  watch(store: Store, { staged, installed }: Watching): Store {
    const watched: Partial<Store> = {
      receiveSnapshot: () => {
        const incoming = store.receiveSnapshot()
        return tampered<IncomingSnapshot>(incoming, {
          install: async (tables) => {
            const recovered = await incoming.install(tables)
            installed(recovered.lastIndex)
            return recovered
          },
        })
      },
      stageEntries: (entries) => {
        staged(entries)
        this.#staged.entries.push(...entries)
        store.stageEntries(entries)
      },
      stageHardState: (state) => {
        this.#staged.hardState = state
        store.stageHardState(state)
      },
      flush: (done) => {
        this.#flight = this.#staged
        this.#staged = { entries: [], hardState: null }
        store.flush(done)
      },
    }
    return tampered(store, watched)
  }
}

/** The same object, some of its members replaced. Made once, as properties: it stands in the way of every call. */
export function tampered<T extends object>(of: T, parts: Partial<T>): T {
  const own: Record<PropertyKey, unknown> = Object.create(null)
  for (let from: object = of; from !== Object.prototype; from = Object.getPrototypeOf(from))
    for (const key of Reflect.ownKeys(from)) {
      if (key in own || key === 'constructor') continue
      const { value, get: getter }: PropertyDescriptor = Reflect.getOwnPropertyDescriptor(from, key)!
      if (typeof value === 'function') own[key] = value.bind(of)
      else if (getter !== undefined)
        Object.defineProperty(own, key, { get: getter.bind(of), configurable: true, enumerable: true })
      else Object.defineProperty(own, key, { get: () => Reflect.get(of, key), configurable: true, enumerable: true })
    }
  for (const key of Reflect.ownKeys(parts))
    Object.defineProperty(own, key, { ...Reflect.getOwnPropertyDescriptor(parts, key), configurable: true })
  return own as T
}
