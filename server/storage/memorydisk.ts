/**
 * A Disk in RAM: for tests, the simulated world and in-memory clusters. It keeps its content when it is closed and used
 * again, as a directory does. Its hook sees every step before it happens, and may fail it, hold it up or hang it; after a
 * crash only what was synced is left. Its content can be damaged on purpose.
 */
import type { Disk, Key, Slots, Value, Volume, VolumeBatch } from '../ports/index.js'
import { VOLUME_NAME } from './files.js'
import { StorageRefusal } from './refusal.js'

export type DiskStep =
  | { readonly kind: 'commit'; readonly puts: number; readonly dels: number }
  | { readonly kind: 'replace'; readonly name: string }
  | { readonly kind: 'slot'; readonly name: string; readonly sync: boolean }

/** Runs before a step. Throwing fails the step; a promise delays it; one that never settles hangs it. */
export type DiskHook = (step: DiskStep) => void | Promise<void>

/** Bytes of a file: as read, and as a crash would leave them. */
interface StoredFile {
  written: Uint8Array
  synced: Uint8Array
}

const nameOf = (key: Key): string => Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
const keyOf = (name: string): Key => Buffer.from(name, 'latin1')

export class MemoryDisk implements Disk {
  /** Called before each step that changes something. */
  before: DiskHook = () => {}
  /** Steps that were finished, for tests that count. */
  readonly done = { commits: 0, replaces: 0, slotWrites: 0, slotSyncs: 0 }
  #rows: Map<string, Value> | null = null
  #sorted: string[] | null = null
  readonly #files = new Map<string, StoredFile>()
  #holder: object | null = null
  /** Grows at a crash: what was opened earlier fails from then on. */
  #life = 0

  async openVolume(options: { create: boolean }): Promise<Volume> {
    await null
    if (this.#holder !== null) throw new StorageRefusal('IN_USE', 'The data directory is in use by this very process.')
    if (options.create && this.#rows !== null) throw new StorageRefusal('EXISTS', 'There is a volume already.')
    if (!options.create && this.#rows === null) {
      throw new StorageRefusal('MISSING_FILES', `The folder "${VOLUME_NAME}" is missing from the data directory.`)
    }
    this.#rows ??= new Map()
    const holder = {}
    this.#holder = holder
    const life = this.#life
    const alive = (): void => {
      if (this.#life !== life || this.#holder !== holder) throw new Error('this volume is closed')
    }
    return {
      get: async (key) => {
        alive()
        return this.#rows!.get(nameOf(key))
      },
      scan: (range) => {
        alive()
        return this.#scan(range)
      },
      batch: () => {
        alive()
        return this.#batch(alive)
      },
      close: async () => {
        if (this.#holder === holder) this.#holder = null
      },
    }
  }

  async *#scan(range: { from: Key; to: Key; reverse?: boolean; chunkRows?: number }) {
    const rows = this.#rows!
    this.#sorted ??= [...rows.keys()].sort()
    const [from, to] = [nameOf(range.from), nameOf(range.to)]
    const found: [Key, Value][] = []
    for (let at = firstAtLeast(this.#sorted, from); at < this.#sorted.length && this.#sorted[at]! < to; at += 1) {
      found.push([keyOf(this.#sorted[at]!), rows.get(this.#sorted[at]!)!])
    }
    if (range.reverse) found.reverse()
    const chunkRows = range.chunkRows ?? 1_000
    for (let at = 0; at < found.length; at += chunkRows) yield found.slice(at, at + chunkRows)
  }

  #batch(alive: () => void): VolumeBatch {
    const changes: [Key, Value | null][] = []
    let open = true
    return {
      put: (key, value) => {
        changes.push([key, value])
      },
      del: (key) => {
        changes.push([key, null])
      },
      commit: async () => {
        if (!open) throw new Error('this batch was committed')
        open = false
        const puts = changes.filter((change) => change[1] !== null).length
        await this.before({ kind: 'commit', puts, dels: changes.length - puts })
        alive()
        for (const [key, value] of changes) this.#change(nameOf(key), value === null ? null : Uint8Array.from(value))
        this.done.commits += 1
      },
    }
  }

  #change(name: string, value: Value | null): void {
    const rows = this.#rows!
    const known = rows.has(name)
    if (value !== null) rows.set(name, value)
    else rows.delete(name)
    if (known !== (value !== null)) this.#sorted = null
  }

  async readFile(name: string): Promise<Uint8Array | null> {
    const file = this.#files.get(name)
    return file ? Uint8Array.from(file.written) : null
  }

  async replaceFile(name: string, bytes: Uint8Array): Promise<void> {
    const life = this.#life
    await this.before({ kind: 'replace', name })
    if (this.#life !== life) throw new Error('this disk has crashed')
    const copy = Uint8Array.from(bytes)
    this.#files.set(name, { written: copy, synced: copy })
    this.done.replaces += 1
  }

  async openSlots(name: string, options: { create: boolean; initial: Uint8Array }): Promise<Slots> {
    if (!this.#files.has(name)) {
      if (!options.create) {
        throw new StorageRefusal('MISSING_FILES', `The file "${name}" is missing from the data directory.`)
      }
      await this.replaceFile(name, options.initial)
    }
    const life = this.#life
    let open = true
    return {
      read: async () => Uint8Array.from(this.#files.get(name)!.written),
      write: async (offset, bytes, { sync }) => {
        await this.before({ kind: 'slot', name, sync })
        const file = this.#files.get(name)
        if (!open || this.#life !== life || !file) throw new Error('these slots are closed')
        if (offset + bytes.length > file.written.length) throw new RangeError('a write beyond the end of the slots')
        file.written = Uint8Array.from(file.written)
        file.written.set(bytes, offset)
        if (sync) file.synced = file.written
        this.done.slotWrites += 1
        if (sync) this.done.slotSyncs += 1
      },
      close: async () => {
        open = false
      },
    }
  }

  async list(): Promise<string[]> {
    const names = [...this.#files.keys()]
    if (this.#rows !== null) names.push(VOLUME_NAME)
    return names.sort()
  }

  async close(): Promise<void> {
    this.#holder = null
  }

  /** What is open fails from now on, and what was not synced is gone. */
  crash(): void {
    this.#life += 1
    this.#holder = null
    for (const file of this.#files.values()) file.written = file.synced
  }

  /** Another disk with the content that a crash at this moment would leave, unsynced writes kept or lost. */
  copy(options: { unsynced: 'kept' | 'lost' }): MemoryDisk {
    const copy = new MemoryDisk()
    copy.#rows = this.#rows === null ? null : new Map(this.#rows)
    for (const [name, file] of this.#files) {
      const bytes = options.unsynced === 'kept' ? file.written : file.synced
      copy.#files.set(name, { written: bytes, synced: bytes })
    }
    return copy
  }

  /** All rows in key order. */
  rows(): (readonly [Key, Value])[] {
    return [...(this.#rows ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => [keyOf(name), value])
  }

  /** Puts a row's value, or takes the row away, behind everybody's back. */
  damageRow(key: Key, value: Value | null): void {
    this.#change(nameOf(key), value === null ? null : Uint8Array.from(value))
  }

  /** Puts a file's content, or takes the file away, behind everybody's back. */
  damageFile(name: string, bytes: Uint8Array | null): void {
    if (bytes === null) {
      this.#files.delete(name)
      return
    }
    const copy = Uint8Array.from(bytes)
    this.#files.set(name, { written: copy, synced: copy })
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
