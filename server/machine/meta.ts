/**
 * The one row that holds the machine's counters and its time, so that storage writes and reloads them like any other.
 */
import { FIRST_FORMAT } from '@leasehold/protocol'
import type { Row } from './changes.js'
import { laterFormat } from './fields.js'
import { checkKnown } from './format.js'
import { type Codec, Table } from './table.js'

export interface Meta extends Row {
  /** The last fencing token that was granted. Only grows, by one a grant. */
  token: number
  /** The last waiter's id: the order of arrival. Only grows. */
  waiter: number
  /** The last number of the order of outcomes and raised marks. Only grows. */
  order: number
  /** Seqs of the audit that are kept: empty while first > last. */
  auditFirst: number
  auditLast: number
  /** Starts of members' processes so far. */
  runs: number
  /** Of the last applied entry. */
  term: number
  index: number
  timeMs: number
  /** What ends of leases, offers and delays are judged by. Never ahead of timeMs, never goes back. */
  horizonMs: number
  /** When the last hold of the horizon began; -1: there was none. */
  holdBeganMs: number
  /** In use (format.ts). Only grows. */
  format: number
}

const KEY = 'meta'

const codec: Codec<Meta> = {
  name: 'meta',
  keyOf: () => KEY,
  encode: (m) => [
    m.token,
    m.waiter,
    m.order,
    m.auditFirst,
    m.auditLast,
    m.runs,
    m.term,
    m.index,
    m.timeMs,
    m.horizonMs,
    m.holdBeganMs,
    ...laterFormat(m.format),
  ],
  decode: (_key, fields) => ({
    saved: 0,
    change: -1,
    token: fields.int(),
    waiter: fields.int(),
    order: fields.int(),
    auditFirst: fields.int(),
    auditLast: fields.int(),
    runs: fields.int(),
    term: fields.int(),
    index: fields.int(),
    timeMs: fields.int(),
    horizonMs: fields.int(),
    holdBeganMs: fields.int(),
    format: fields.laterFormat(),
  }),
}

export class MetaTable extends Table<Meta> {
  /** The row; a fresh one is not in the table before the first change, so that an empty machine has no rows. */
  row: Meta = {
    saved: 0,
    change: -1,
    token: 0,
    waiter: 0,
    order: 0,
    auditFirst: 1,
    auditLast: 0,
    runs: 0,
    term: 0,
    index: 0,
    timeMs: 0,
    horizonMs: 0,
    holdBeganMs: -1,
    format: FIRST_FORMAT,
  }

  /** The newest format that this version knows. */
  readonly formatMax: number

  constructor(formatMax: number) {
    super(codec)
    this.formatMax = formatMax
  }

  changed(): void {
    if (this.size === 0) this.insert(KEY, this.row)
    else this.touch(this.row)
  }

  override load(key: string, fields: readonly unknown[], saved: number): void {
    super.load(key, fields, saved)
    this.row = this.get(KEY)!
    checkKnown(this.row.format, this.formatMax)
  }
}
