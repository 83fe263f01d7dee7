/** The rows of a volume in RAM: in key order, with what the newest batches replaced, so that these can vanish again. */
import type { Key, Value } from '../ports/index.js'

/** Newest batches that can be taken back. */
const UNDONE_MAX = 64
/** With more new keys than these at once, the order is found anew when it is next asked for. */
const INSERTED_MAX = 64

export type RowChange = readonly [Key, Value | null]
type Undo = readonly (readonly [string, Value | null])[]

const nameOf = (key: Key): string => Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
const keyOf = (name: string): Key => Buffer.from(name, 'latin1')

export class MemoryRows {
  readonly #rows: Map<string, Value>
  #sorted: string[] | null = null
  #undos: Undo[] = []
  /** Of all keys and values. */
  bytes = 0

  constructor(from?: MemoryRows) {
    this.#rows = new Map(from === undefined ? [] : from.#rows)
    this.#undos = from === undefined ? [] : from.#undos.slice()
    this.bytes = from?.bytes ?? 0
  }

  get(key: Key): Value | undefined {
    return this.#rows.get(nameOf(key))
  }

  /** Applies a batch. Values are copied. */
  apply(changes: readonly RowChange[]): void {
    if (changes.length > INSERTED_MAX) this.#sorted = null
    const undo = changes.map(([key, value]) => this.change(nameOf(key), value === null ? null : Uint8Array.from(value)))
    this.#undos.push(undo.reverse())
    if (this.#undos.length > UNDONE_MAX) this.#undos.shift()
  }

  /** Takes the newest batches back, as many as are remembered. */
  undo(batches: number): void {
    for (let left = batches; left > 0; left -= 1) {
      for (const [name, value] of this.#undos.pop() ?? []) this.change(name, value)
    }
  }

  /** Puts one row, or takes it away; returns what was there. */
  change(name: string, value: Value | null): readonly [string, Value | null] {
    const before = this.#rows.get(name) ?? null
    if (before !== null) this.bytes -= name.length + before.length
    if (value !== null) this.bytes += name.length + value.length
    if (value !== null) this.#rows.set(name, value)
    else this.#rows.delete(name)
    if ((before !== null) !== (value !== null) && this.#sorted !== null) {
      const at = firstAtLeast(this.#sorted, name)
      if (value === null) this.#sorted.splice(at, 1)
      else this.#sorted.splice(at, 0, name)
    }
    return [name, before]
  }

  changeRow(key: Key, value: Value | null): void {
    this.change(nameOf(key), value === null ? null : Uint8Array.from(value))
  }

  /** Rows with `from <= key < to` as they stand now, in key order. */
  range(from: Key, to: Key): [Key, Value][] {
    const names = this.#order()
    const end = nameOf(to)
    const found: [Key, Value][] = []
    for (let at = firstAtLeast(names, nameOf(from)); at < names.length && names[at]! < end; at += 1) {
      found.push([keyOf(names[at]!), this.#rows.get(names[at]!)!])
    }
    return found
  }

  all(): [Key, Value][] {
    return this.#order().map((name) => [keyOf(name), this.#rows.get(name)!])
  }

  #order(): string[] {
    this.#sorted ??= [...this.#rows.keys()].sort()
    return this.#sorted
  }
}

function firstAtLeast(sorted: readonly string[], wanted: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! < wanted) low = middle + 1
    else high = middle
  }
  return low
}
