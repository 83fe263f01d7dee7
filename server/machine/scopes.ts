/**
 * The scopes of request tokens, by principal, and their marks. A mark says which of a session's requests are history;
 * it outlives its last raise by the retention: by then whatever is below it is too old to be executed, anyway (dropped
 * with its last record it would let a late duplicate through). Only scopes with a mark are stored; those without have
 * records.
 */
import type { StoredTable } from './entry.js'
import { FieldReader } from './fields.js'
import { Kept } from './kept.js'
import type { MachineLimits } from './limits.js'
import type { MetaTable } from './meta.js'
import { type Mark, markKey, type Principal, type Scope } from './record.js'

/** In line are the marks, in the order of raises. */
export class Scopes extends Kept<Mark> implements StoredTable<Mark> {
  readonly name = 'marks'
  readonly #principals = new Map<string, Principal>()

  constructor(limits: MachineLimits, meta: MetaTable) {
    super(limits, meta, markKey)
  }

  find(principal: string, name: string): Scope | null {
    return this.#principals.get(principal)?.scopes.get(name) ?? null
  }

  open(principal: string, name: string): Scope {
    let owner = this.#principals.get(principal)
    if (owner === undefined) {
      owner = { name: principal, scopes: new Map(), count: 0 }
      this.#principals.set(principal, owner)
    }
    let scope = owner.scopes.get(name)
    if (scope === undefined) {
      scope = { principal: owner, name, records: new Map(), mark: null }
      owner.scopes.set(name, scope)
    }
    return scope
  }

  /** Whether this principal's records and marks fill his bound. */
  full(principal: string): boolean {
    return (this.#principals.get(principal)?.count ?? 0) >= this.limits.recordsPerPrincipalMax
  }

  /** The lowest request that is not yet history; 0 without a mark, and where it is past its retention. */
  lowestOf(scope: Scope): number {
    return scope.mark === null || this.stale(scope.mark) ? 0 : scope.mark.lowest
  }

  /** A mark only grows while it is kept. */
  raise(scope: Scope, lowest: number): void {
    let { mark } = scope
    if (mark === null) {
      mark = this.#insert(scope)
      this.changes.insert(mark)
    } else {
      this.line.remove(mark)
      this.changes.touch(mark)
    }
    mark.lowest = lowest
    mark.raisedMs = this.meta.row.timeMs
    mark.order = ++this.meta.row.order
    this.line.append(mark)
  }

  /** Drops the oldest mark, which is due. */
  sweepOne(): void {
    const mark = this.line.first!
    const { scope } = mark
    this.line.remove(mark)
    this.changes.remove(mark)
    this.count--
    scope.principal.count--
    scope.mark = null
    this.close(scope)
  }

  /** Forgets the scope if nothing needs it any more. */
  close(scope: Scope): void {
    if (scope.mark !== null || scope.records.size > 0) return
    scope.principal.scopes.delete(scope.name)
    if (scope.principal.scopes.size === 0) this.#principals.delete(scope.principal.name)
  }

  *all(): Generator<Scope, void> {
    for (const principal of this.#principals.values()) yield* principal.scopes.values()
  }

  encode(mark: Mark): readonly unknown[] {
    const { scope } = mark
    return [scope.principal.name, scope.name, mark.lowest, mark.raisedMs, mark.order]
  }
  load(key: string, fields: readonly unknown[], saved: number): void {
    const reader = new FieldReader().open(this.name, key, fields)
    const mark = this.#insert(this.open(reader.text(), reader.text()))
    mark.lowest = reader.int()
    mark.raisedMs = reader.int()
    mark.order = reader.int()
    reader.done()
    mark.saved = saved
  }
  *rows(): Generator<readonly [string, Mark], void> {
    for (const { mark } of this.all()) if (mark !== null) yield [markKey(mark), mark]
  }

  /** Builds what is derived, once, after all rows are loaded. */
  loaded(): void {
    const marks: Mark[] = []
    for (const { mark } of this.all()) if (mark !== null) marks.push(mark)
    for (const mark of marks.sort((a, b) => a.order - b.order)) this.line.append(mark)
  }

  #insert(scope: Scope): Mark {
    const mark: Mark = { saved: 0, change: -1, previous: null, next: null, scope, lowest: 0, raisedMs: 0, order: 0 }
    scope.mark = mark
    scope.principal.count++
    this.count++
    return mark
  }

  protected stale({ raisedMs }: Mark): boolean {
    return this.past(raisedMs)
  }
}
