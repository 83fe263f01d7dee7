/**
 * Entries that the core has no longer in memory, read from the store for it: for a follower that lags, and at a start for this
 * member itself. What is no longer there is said so, and never guessed.
 */
import type { Fetch, PeerId } from '../raft/index.js'
import type { Store } from '../storage/index.js'
import { carried, type ReplicaEntry } from './logentry.js'

export interface FetchingOptions {
  readonly store: Pick<Store, 'entries'>
  readonly self: PeerId
  fetched(to: PeerId, entries: readonly ReplicaEntry[]): void
  failed(to: PeerId): void
  /** The own store could not be read for a follower. False where this member goes on all the same. */
  broken(error: unknown): boolean
  fatal(error: Error): void
}

export class Fetching {
  readonly #options: FetchingOptions
  #closed = false

  constructor(options: FetchingOptions) {
    this.#options = options
  }

  start(fetches: readonly Fetch[]): void {
    for (const fetch of fetches) void this.#run(fetch)
  }

  close(): void {
    this.#closed = true
  }

  async #run(fetch: Fetch): Promise<void> {
    const { self, fetched, failed, broken, fatal } = this.#options
    let entries: ReplicaEntry[]
    try {
      entries = await this.#read(fetch)
    } catch (error) {
      if (this.#closed) return
      if (fetch.to === self) fatal(error instanceof Error ? error : new Error(String(error)))
      // Where the entries cannot be had, the state can.
      else if (error instanceof RangeError || !broken(error)) failed(fetch.to)
      return
    }
    if (this.#closed) return
    if (entries.length > 0) fetched(fetch.to, entries)
    else if (fetch.to === self) fatal(new Error('the log ends before its last index'))
    else failed(fetch.to)
  }

  async #read({ from, through, bytesMax }: Fetch): Promise<ReplicaEntry[]> {
    const entries: ReplicaEntry[] = []
    let bytes = 0
    for await (const chunk of this.#options.store.entries(from, through)) {
      for (const stored of chunk) {
        const entry = carried(stored)
        entries.push(entry)
        bytes += entry.bytes
        if (bytes >= bytesMax) return entries
      }
    }
    return entries
  }
}
