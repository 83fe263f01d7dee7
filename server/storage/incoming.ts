/**
 * A snapshot on its way into a directory that is in use: staged beside what is live, verified as a whole, then switched to. Until the switch
 * nothing of the old state is touched, and a crash leaves it as it was; after it the new one stands, and the old rows go.
 */
import type { StoredTable } from '../machine/index.js'
import type { Volume } from '../ports/index.js'
import { clearPrefix } from './clearing.js'
import { type LiveRows, verifyLiveRows } from './liverows.js'
import { asRefusal, Damage, StorageRefusal } from './refusal.js'
import type { SnapshotHead } from './snapshothead.js'
import { Staging } from './staging.js'
import type { IncomingSnapshot, Recovered } from './store.js'

/** What it needs of the store that it comes into. */
export interface Host {
  readonly volume: Volume
  /** Of the directory. */
  readonly clusterId: string
  /** The checkpoint's index: what is older brings nothing. */
  readonly appliedIndex: () => number
  /** Makes the rows the live ones. Rejects where that could not be made durable. */
  readonly switchTo: (rows: LiveRows) => Promise<Recovered>
  readonly fatal: (error: Error) => void
  /** It is over, one way or the other: what is staged and not live may go. */
  readonly over: () => void
}

export class Incoming implements IncomingSnapshot {
  readonly #host: Host
  readonly #live: number
  readonly #staging: Staging
  /** Everything is done one after the other. */
  #work: Promise<unknown>
  #ended = false

  /** Begins once `before` is over. */
  constructor(host: Host, live: number, before: Promise<unknown>) {
    this.#host = host
    this.#live = live
    this.#staging = new Staging(host.volume, live)
    this.#work = before.then(() => this.#try(() => clearPrefix(host.volume, live, () => this.#ended)))
    this.#work.catch(() => {})
  }

  get head(): SnapshotHead | null {
    return this.#staging.head
  }
  get complete(): boolean {
    return this.#staging.complete
  }

  add(chunk: Uint8Array): Promise<void> {
    return this.#next(async () => {
      await this.#staging.add(chunk)
      this.#expectOurs()
    })
  }

  #expectOurs(): void {
    const head = this.#staging.head!
    const { clusterId } = this.#host
    if (head.clusterId !== clusterId) {
      throw new Damage(`The snapshot is of cluster ${head.clusterId}, and this directory belongs to ${clusterId}.`)
    }
    const applied = this.#host.appliedIndex()
    if (head.index <= applied) {
      throw new Damage(`The snapshot ends at entry ${head.index}, and the state here is as of entry ${applied}.`)
    }
  }

  install(tables: readonly StoredTable[]): Promise<Recovered> {
    return this.#next(async () => {
      if (!this.#staging.complete) throw new Damage('The snapshot has not come to its end.')
      this.#expectOurs()
      // Read back and verified as opening would, while the old state still stands.
      const rows = await verifyLiveRows(this.#host.volume, this.#live, this.#staging.marker, tables)
      if (rows.notices.length > 0) throw new Damage(rows.notices[0]!)
      const recovered = await this.#host.switchTo(rows)
      this.#end()
      return recovered
    })
  }

  #next<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#work.then(() => {
      if (this.#ended) throw new StorageRefusal('BAD_COPY', 'The snapshot was given up.')
      return this.#try(work)
    })
    this.#work = next
    next.catch(() => {})
    return next
  }

  /** What is wrong with the snapshot gives it up; what is wrong with the disk ends the process. */
  async #try<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      const damaged = error instanceof Damage || (error instanceof StorageRefusal && COPY_REFUSALS.has(error.code))
      if (!damaged) {
        this.#ended = true
        this.#host.fatal(error as Error)
        throw asRefusal(error)
      }
      this.#end()
      throw error instanceof Damage ? new StorageRefusal('BAD_COPY', error.message, { cause: error }) : error
    }
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#host.over()
  }

  async abort(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    await this.#work.catch(() => {})
    this.#host.over()
  }
}

const COPY_REFUSALS: ReadonlySet<string> = new Set(['BAD_COPY', 'NEWER_VERSION', 'OLDER_VERSION'])
