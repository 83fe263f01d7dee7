/**
 * Idempotency: what came of each request, for as long as its client may ask again. Records go when their session's mark
 * passes them, or after the retention, counted from their outcome. No live record makes room for another: who fills his
 * bound is refused.
 */
import type { StoredTable } from './entry.js'
import { FieldReader } from './fields.js'
import { Kept } from './kept.js'
import type { MachineLimits } from './limits.js'
import type { MetaTable } from './meta.js'
import { OUTCOME, type RequestRecord, recordKey, type Scope } from './record.js'
import type { Scopes } from './scopes.js'

/** In line are those with an outcome, in its order. */
export class Records extends Kept<RequestRecord> implements StoredTable<RequestRecord> {
  readonly name = 'records'
  readonly #scopes: Scopes

  constructor(limits: MachineLimits, meta: MetaTable, scopes: Scopes) {
    super(limits, meta, recordKey)
    this.#scopes = scopes
  }

  /** What is remembered of a request; past its retention it is nothing. */
  find(scope: Scope, key: number | string): RequestRecord | null {
    const record = scope.records.get(key)
    return record === undefined || this.stale(record) ? null : record
  }

  /** A record without an outcome. The principal's bound was checked. */
  create(scope: Scope, key: number | string, digest: number): RequestRecord {
    const before = scope.records.get(key)
    if (before !== undefined) this.#remove(before)
    const record = fresh(scope, key, digest)
    scope.records.set(key, record)
    scope.principal.count++
    this.count++
    this.changes.insert(record)
    return record
  }

  /** The request waits: it has no outcome yet. */
  queue(record: RequestRecord, waiterId: number): void {
    this.#unsettle(record)
    record.outcome = OUTCOME.queued
    record.ref = waiterId
    this.changes.touch(record)
  }

  settle(
    record: RequestRecord,
    outcome: number,
    ref = 0,
    holder: string | null = null,
    meta: string | null = null,
  ): void {
    this.#unsettle(record)
    record.outcome = outcome
    record.ref = ref
    record.holder = holder
    record.meta = meta
    record.order = ++this.meta.row.order
    record.atMs = this.meta.row.timeMs
    this.line.append(record)
    this.changes.touch(record)
  }

  drop(record: RequestRecord): void {
    this.#remove(record)
    this.#scopes.close(record.scope)
  }

  /** Drops what is below the mark. Returns the waiters whose requests were among it, in the order of their keys. */
  dropBelow(scope: Scope, from: number, mark: number): number[] {
    const waiters: number[] = []
    const records = scope.records
    if (mark - from <= records.size) {
      for (let key = from; key < mark; key++) this.#dropOne(records.get(key), waiters)
    } else {
      const below: number[] = []
      for (const key of records.keys()) if (typeof key === 'number' && key < mark) below.push(key)
      for (const key of below.sort((a, b) => a - b)) this.#dropOne(records.get(key), waiters)
    }
    return waiters
  }

  /** Drops the oldest outcome, which is due. */
  sweepOne(): void {
    this.drop(this.line.first!)
  }

  encode(r: RequestRecord): readonly unknown[] {
    const { scope } = r
    return [scope.principal.name, scope.name, r.key, r.digest, r.outcome, r.ref, r.holder, r.meta, r.order, r.atMs]
  }
  load(key: string, fields: readonly unknown[], saved: number): void {
    const reader = new FieldReader().open(this.name, key, fields)
    const scope = this.#scopes.open(reader.text(), reader.text())
    const record = fresh(scope, reader.intOrText(), reader.int())
    record.outcome = reader.int()
    record.ref = reader.int()
    record.holder = reader.textOrNull()
    record.meta = reader.textOrNull()
    record.order = reader.int()
    record.atMs = reader.int()
    reader.done()
    record.saved = saved
    scope.records.set(record.key, record)
    scope.principal.count++
    this.count++
  }
  *rows(): Generator<readonly [string, RequestRecord], void> {
    for (const scope of this.#scopes.all()) {
      for (const record of scope.records.values()) yield [recordKey(record), record]
    }
  }

  /** Builds what is derived, once, after all rows are loaded. Returns the records of requests that wait. */
  loaded(): RequestRecord[] {
    const all: RequestRecord[] = []
    for (const scope of this.#scopes.all()) all.push(...scope.records.values())
    const settled = all.filter((record) => record.order > 0).sort((a, b) => a.order - b.order)
    for (const record of settled) this.line.append(record)
    return all.filter((record) => record.outcome === OUTCOME.queued)
  }

  #dropOne(record: RequestRecord | undefined, waiters: number[]): void {
    if (record === undefined) return
    if (record.outcome === OUTCOME.queued) waiters.push(record.ref)
    this.#remove(record)
  }

  #remove(record: RequestRecord): void {
    this.#unsettle(record)
    record.scope.records.delete(record.key)
    record.scope.principal.count--
    this.count--
    this.changes.remove(record)
  }

  #unsettle(record: RequestRecord): void {
    if (record.order === 0) return
    this.line.remove(record)
    record.order = 0
  }

  protected stale(record: RequestRecord): boolean {
    return record.order > 0 && this.past(record.atMs)
  }
}

function fresh(scope: Scope, key: number | string, digest: number): RequestRecord {
  return {
    saved: 0,
    change: -1,
    previous: null,
    next: null,
    scope,
    key,
    digest,
    outcome: OUTCOME.none,
    ref: 0,
    holder: null,
    meta: null,
    order: 0,
    atMs: 0,
  }
}
