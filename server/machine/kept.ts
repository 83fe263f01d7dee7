/** What tables have in common whose rows go once they are past the retention: the row whose time comes first stands first in line. */
import { type Change, Changes, type Row } from './changes.js'
import { Fifo, type Linked } from './fifo.js'
import type { MachineLimits } from './limits.js'
import type { MetaTable } from './meta.js'

export abstract class Kept<R extends Row & Linked<R>> {
  protected readonly limits: MachineLimits
  protected readonly meta: MetaTable
  protected readonly changes: Changes<R>
  protected readonly line = new Fifo<R>()
  protected count = 0

  constructor(limits: MachineLimits, meta: MetaTable, keyOf: (row: R) => string) {
    this.limits = limits
    this.meta = meta
    this.changes = new Changes<R>(keyOf)
  }

  /** Whether a row is past its retention. */
  protected abstract stale(row: R): boolean

  protected past(sinceMs: number): boolean {
    return this.meta.row.timeMs - sinceMs > this.limits.retentionMs
  }

  /** Whether the first in line is past its retention. */
  get due(): boolean {
    const { first } = this.line
    return first !== null && this.stale(first)
  }

  get size(): number {
    return this.count
  }
  get changeCount(): number {
    return this.changes.count
  }
  get storedChangeCount(): number {
    return this.changes.storedCount
  }
  takeChanges(): readonly Change<R>[] {
    return this.changes.take()
  }
}
