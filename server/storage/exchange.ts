/**
 * The snapshots that a store hands over and receives, one at a time of the latter, and the rows beside the live ones: what a switch or a
 * crash has left of them goes in the background.
 */
import type { Volume } from '../ports/index.js'
import { clearPrefix, otherLive } from './clearing.js'
import type { IdentityRecord } from './identity.js'
import { Incoming } from './incoming.js'
import type { LiveRows } from './liverows.js'
import { Outgoing } from './outgoing.js'
import type { IncomingSnapshot, OutgoingSnapshot, Recovered } from './store.js'

/** What it needs of its store. */
export interface Exchanging {
  readonly volume: Volume
  readonly identity: IdentityRecord
  readonly live: () => number
  /** The checkpoint that is synced. */
  readonly appliedIndex: () => number
  readonly switchTo: (rows: LiveRows) => Promise<Recovered>
  readonly fatal: (error: Error) => void
}

export class Exchange {
  readonly #store: Exchanging
  readonly #outgoing = new Set<Outgoing>()
  #incoming: Incoming | null = null
  #clearing: Promise<void> = Promise.resolve()
  #closed = false

  constructor(store: Exchanging) {
    this.#store = store
    this.#clear()
  }

  /** Entries from here on are still needed by who receives. */
  get neededFrom(): number {
    let needed = Number.POSITIVE_INFINITY
    for (const { head } of this.#outgoing) needed = Math.min(needed, head.index + 1)
    return needed
  }

  async send(): Promise<OutgoingSnapshot> {
    const { volume, identity } = this.#store
    const snapshot: Outgoing = await Outgoing.open(volume.view(), identity, () => this.#outgoing.delete(snapshot))
    this.#outgoing.add(snapshot)
    return snapshot
  }

  receive(): IncomingSnapshot {
    const { clusterId } = this.#store.identity
    const before = Promise.all([this.#incoming?.abort(), this.#clearing])
    const over = (): void => {
      if (this.#incoming === incoming) this.#incoming = null
      this.#clear()
    }
    const incoming = new Incoming({ ...this.#store, clusterId, over }, otherLive(this.#store.live()), before)
    this.#incoming = incoming
    return incoming
  }

  /** Takes away what stands beside the live rows and is not being received. */
  #clear(): void {
    const stopped = () => this.#closed || this.#incoming !== null
    const clear = () => clearPrefix(this.#store.volume, otherLive(this.#store.live()), stopped)
    this.#clearing = this.#clearing.then(clear).catch((error: Error) => {
      if (!this.#closed) this.#store.fatal(error)
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#incoming?.abort()
    await this.#clearing
    for (const snapshot of this.#outgoing) await snapshot.close()
  }
}
