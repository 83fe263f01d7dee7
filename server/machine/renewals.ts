/**
 * The ends that renewals gave to leases, stored 256 to a row in the order in which they came, so that a renewal writes a
 * dozen bytes and not its lease's row. Every lease that was renewed stands in one row, and is moved to the newest when it is
 * renewed again; a row that nobody stands in is dropped, mostly before it was ever written. This is the log-structured
 * storage of Rosenblum and Ousterhout (1991): what is left of the oldest rows moves on, so that at most about half is waste.
 */
import type { Row } from './changes.js'
import { LEASE_STATE, type Lease, NOT_RENEWED } from './lease.js'
import type { MachineLimits } from './limits.js'
import { type Codec, Table } from './table.js'

/** Rows that are not worth cleaning up. */
const CLEAN_ROWS = 8

/** A row of renewals. The keys count up from 0; later rows overrule earlier ones. */
export interface RenewalRow extends Row {
  readonly number: number
  /** Those who were added. They stand here no more once their `renewed` says another row's number, or none. */
  readonly leases: Lease[]
  /** How many of them stand here. */
  live: number
  /** As loaded, (token, end, renewals) each; empty once the leases are found. */
  stored: readonly number[]
}

const blank = (number: number): RenewalRow => ({ saved: 0, change: -1, number, leases: [], live: 0, stored: [] })

const codec: Codec<RenewalRow> = {
  name: 'renewals',
  keyOf: (row) => String(row.number),
  encode: (row) => {
    const fields: number[] = []
    for (const lease of row.leases)
      if (lease.renewed === row.number) fields.push(lease.token, lease.endMs, lease.renewals)
    return fields
  },
  decode: (key, fields) => {
    const stored: number[] = []
    while (fields.more) stored.push(fields.int(), fields.int(), fields.int())
    return { ...blank(Number(key)), stored }
  },
}

export class Renewals {
  readonly table = new Table(codec)
  readonly #perRow: number
  /** By number. A lease names its row so, and not by a pointer that the garbage collector would have to follow from an old object. */
  readonly #rows = new Map<number, RenewalRow>()
  /** The rows' numbers lie between these; null before the first renewal. */
  #oldest = 0
  #newest: RenewalRow | null = null
  /** Leases that stand in a row. */
  #live = 0

  constructor(limits: MachineLimits) {
    this.#perRow = limits.renewalsPerRow
  }

  /** A renewal raised the lease's end. */
  note(lease: Lease): void {
    const row = this.#newest
    if (row !== null && lease.renewed === row.number) {
      this.table.touch(row)
      return
    }
    this.forget(lease)
    this.#append(lease)
    if (this.#newest !== row) this.#clean()
  }

  /** The lease's own row says all that there is to say of it, or it is no more. */
  forget(lease: Lease): void {
    if (lease.renewed === NOT_RENEWED) return
    const row = this.#rows.get(lease.renewed)!
    lease.renewed = NOT_RENEWED
    this.#live--
    row.live--
    this.#dropIfEmpty(row)
  }

  /** Gives the leases their ends, once, after all rows are loaded. */
  loaded(find: (token: number) => Lease | undefined): void {
    const rows = [...this.table.values()].sort((a, b) => a.number - b.number)
    this.#oldest = rows[0]?.number ?? 0
    this.#newest = rows[rows.length - 1] ?? null
    for (const row of rows) this.#rows.set(row.number, row)
    for (const row of rows) this.#restore(row, find)
  }

  #append(lease: Lease): void {
    let row = this.#newest
    if (row === null || row.leases.length >= this.#perRow) {
      const full = row
      row = blank(full === null ? 0 : full.number + 1)
      this.#newest = row
      this.#rows.set(row.number, row)
      this.table.insert(String(row.number), row)
      if (full !== null) this.#dropIfEmpty(full)
    } else this.table.touch(row)
    this.#enter(row, lease)
  }

  #enter(row: RenewalRow, lease: Lease): void {
    row.leases.push(lease)
    row.live++
    lease.renewed = row.number
    this.#live++
  }

  /**
   * Moves those who stand in the two oldest rows to the newest, where rows are mostly waste. Two for each that fills, so
   * that it comes round even where the oldest are those with the least waste.
   */
  #clean(): void {
    for (let left = 2; left > 0 && this.table.size > CLEAN_ROWS + (2 * this.#live) / this.#perRow; left--) {
      const row = this.#first()
      for (const lease of row.leases) if (lease.renewed === row.number) this.#move(lease)
    }
  }

  #move(lease: Lease): void {
    this.forget(lease)
    this.#append(lease)
  }

  /** The oldest row that is left. The newest always is. */
  #first(): RenewalRow {
    for (;;) {
      const row = this.#rows.get(this.#oldest)
      if (row !== undefined) return row
      this.#oldest++
    }
  }

  #dropIfEmpty(row: RenewalRow): void {
    if (row.live > 0 || row === this.#newest) return
    this.#rows.delete(row.number)
    this.table.remove(String(row.number), row)
  }

  #restore(row: RenewalRow, find: (token: number) => Lease | undefined): void {
    const { stored } = row
    for (let at = 0; at < stored.length; at += 3) {
      const lease = find(stored[at]!)
      // A delay keeps its grant's token, and its end is its own.
      if (lease?.state !== LEASE_STATE.held) continue
      lease.endMs = stored[at + 1]!
      lease.renewals = stored[at + 2]!
      // A name stands here twice where it was granted anew since. Leaving the row in between would drop it from under the lease.
      if (lease.renewed === row.number) continue
      this.forget(lease)
      this.#enter(row, lease)
    }
    row.stored = []
    this.#dropIfEmpty(row)
  }
}
