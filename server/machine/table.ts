/**
 * A table of the machine's state: a Map that remembers which rows changed since storage last asked. The set of changed
 * rows is what gets written down, so no snapshot ever stops the world. Rows are changed in place and then touched.
 */
import { type Change, Changes, type Row } from './changes.js'
import type { StoredTable } from './entry.js'
import { FieldReader } from './fields.js'

/** How the rows of one table are stored. The key is not repeated among the fields. */
export interface Codec<R extends Row> {
  readonly name: string
  keyOf(row: R): string
  encode(row: R): readonly unknown[]
  decode(key: string, fields: FieldReader): R
}

export class Table<R extends Row> implements StoredTable<R> {
  readonly #codec: Codec<R>
  readonly #rows = new Map<string, R>()
  readonly #changes: Changes<R>
  readonly #reader = new FieldReader()

  constructor(codec: Codec<R>) {
    this.#codec = codec
    this.#changes = new Changes((row) => codec.keyOf(row))
  }

  get name(): string {
    return this.#codec.name
  }
  get size(): number {
    return this.#rows.size
  }
  get changeCount(): number {
    return this.#changes.count
  }
  get storedChangeCount(): number {
    return this.#changes.storedCount
  }

  get(key: string): R | undefined {
    return this.#rows.get(key)
  }
  insert(key: string, row: R): void {
    this.#rows.set(key, row)
    this.#changes.insert(row)
  }
  /** Says that the row was changed in place. */
  touch(row: R): void {
    this.#changes.touch(row)
  }
  remove(key: string, row: R): void {
    this.#rows.delete(key)
    this.#changes.remove(row)
  }
  values(): IterableIterator<R> {
    return this.#rows.values()
  }

  takeChanges(): readonly Change<R>[] {
    return this.#changes.take()
  }
  encode(row: R): readonly unknown[] {
    return this.#codec.encode(row)
  }
  load(key: string, fields: readonly unknown[], saved: number): void {
    const reader = this.#reader.open(this.#codec.name, key, fields)
    const row = this.#codec.decode(key, reader)
    reader.done()
    row.saved = saved
    this.#rows.set(key, row)
  }
  rows(): IterableIterator<readonly [string, R]> {
    return this.#rows.entries()
  }
}
