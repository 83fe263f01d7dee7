/**
 * Cluster time as the machine keeps it, and the one predicate for the end of a grant.
 *
 * The horizon equals time, except that the first entry of a term holds it still for a second, so that holders can
 * reconnect to a new leader before anything ends; unless a hold began within the last 10 s, so that a row of
 * elections cannot keep a dead holder's lease alive. Leases, offers and delays end on the horizon; waits, records and
 * retention run on time.
 */
import type { ClusterMs } from '@leasehold/protocol'
import type { Entry } from './entry.js'
import type { MachineLimits } from './limits.js'
import type { MetaTable } from './meta.js'

export class Time {
  readonly #meta: MetaTable
  readonly #limits: MachineLimits

  constructor(meta: MetaTable, limits: MachineLimits) {
    this.#meta = meta
    this.#limits = limits
  }

  get nowMs(): ClusterMs {
    return this.#meta.row.timeMs as ClusterMs
  }
  get horizonMs(): ClusterMs {
    return this.#meta.row.horizonMs as ClusterMs
  }

  /** Of a lease, an offer or a delay; for readers and commands alike, swept or not. */
  ended(endMs: number): boolean {
    return endMs <= this.#meta.row.horizonMs
  }

  /** Takes on an entry's stamp. Throws where the entry cannot follow what was applied last. */
  advance(entry: Entry): void {
    const meta = this.#meta.row
    if (entry.index <= meta.index) throw new RangeError(`entry ${entry.index} comes after entry ${meta.index}`)
    if (entry.term < meta.term) throw new RangeError(`entry ${entry.index}: its term ${entry.term} goes back`)
    if (entry.timeMs < meta.timeMs) throw new RangeError(`entry ${entry.index}: its time ${entry.timeMs} goes back`)
    const heldLately = meta.holdBeganMs >= 0 && entry.timeMs - meta.holdBeganMs < this.#limits.holdEveryMs
    if (entry.term > meta.term && !heldLately) meta.holdBeganMs = entry.timeMs
    meta.term = entry.term
    meta.index = entry.index
    meta.timeMs = entry.timeMs
    const held = meta.holdBeganMs >= 0 && entry.timeMs - meta.holdBeganMs < this.#limits.holdMs
    if (!held) meta.horizonMs = entry.timeMs
    this.#meta.changed()
  }
}
