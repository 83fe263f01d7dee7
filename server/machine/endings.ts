/**
 * What became of ended grants, so that whoever comes with an old token learns why it is old. Kept for an hour, and for
 * the last 131,072 grants at most; after that a token is unknown. They are stored 256 to a row, in the order in which
 * they ended, so that a release costs no row of its own.
 */
import type { LossReason } from '@leasehold/protocol'
import type { Row } from './changes.js'
import type { MachineLimits } from './limits.js'
import { type Codec, Table } from './table.js'

export interface Ending {
  readonly token: number
  readonly name: string
  readonly reason: LossReason
  /** Of a transfer: the holder name that it went to. */
  readonly to: string | null
  readonly atMs: number
}

/** A row of endings. The keys count up from 0 and are never reused. */
interface EndingRow extends Row {
  readonly number: number
  readonly endings: Ending[]
}

/** The position is what is stored; never change one. */
const REASONS: readonly LossReason[] = ['expired', 'released', 'revoked', 'transferred']

const codec: Codec<EndingRow> = {
  name: 'endings',
  keyOf: (row) => String(row.number),
  encode: (row) => {
    const fields: (number | string | null)[] = []
    for (const { token, name, reason, to, atMs } of row.endings)
      fields.push(token, name, REASONS.indexOf(reason), to, atMs)
    return fields
  },
  decode: (key, fields) => {
    const endings: Ending[] = []
    while (fields.more) {
      const token = fields.int()
      const name = fields.text()
      const reason = REASONS[fields.int()]
      if (reason === undefined) throw new Error(`stored row endings/${key}: a reason that this version does not know`)
      endings.push({ token, name, reason, to: fields.textOrNull(), atMs: fields.int() })
    }
    return { saved: 0, change: -1, number: Number(key), endings }
  },
}

export class Endings {
  readonly table = new Table(codec)
  readonly #limits: MachineLimits
  readonly #byToken = new Map<number, Ending>()
  /** Rows are numbered without a gap; the newest one always stays, so that the numbers go on after a reload. */
  #first = 0
  #newest: EndingRow | null = null

  constructor(limits: MachineLimits) {
    this.#limits = limits
  }

  add(ending: Ending): void {
    let row = this.#newest
    if (row === null || row.endings.length >= this.#limits.endingsPerRow) {
      row = { saved: 0, change: -1, number: row === null ? 0 : row.number + 1, endings: [] }
      this.#newest = row
      this.table.insert(String(row.number), row)
      if (this.table.size > this.#limits.endingsMax / this.#limits.endingsPerRow) this.#dropFirst()
    }
    row.endings.push(ending)
    this.table.touch(row)
    this.#byToken.set(ending.token, ending)
  }

  /** What is remembered of this token at `nowMs`. */
  find(token: number, nowMs: number): Ending | null {
    const ending = this.#byToken.get(token)
    return ending === undefined || this.#forgotten(ending, nowMs) ? null : ending
  }

  /** Whether all endings of the oldest row are forgotten. */
  due(nowMs: number): boolean {
    if (this.table.size < 2) return false
    const row = this.table.get(String(this.#first))!
    return this.#forgotten(row.endings[row.endings.length - 1]!, nowMs)
  }

  /** Drops the oldest row, which is due. */
  sweepOne(): void {
    this.#dropFirst()
  }

  /** Builds what is derived, once, after all rows are loaded. */
  loaded(): void {
    const rows = [...this.table.values()].sort((a, b) => a.number - b.number)
    this.#first = rows[0]?.number ?? 0
    this.#newest = rows[rows.length - 1] ?? null
    for (const row of rows) for (const ending of row.endings) this.#byToken.set(ending.token, ending)
  }

  #forgotten(ending: Ending, nowMs: number): boolean {
    return nowMs - ending.atMs > this.#limits.endingKeptMs
  }

  #dropFirst(): void {
    const key = String(this.#first++)
    const row = this.table.get(key)!
    this.table.remove(key, row)
    for (const ending of row.endings) this.#byToken.delete(ending.token)
  }
}
