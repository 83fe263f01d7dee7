/**
 * A Disk in RAM: for tests, the simulated world and in-memory clusters. It keeps its content when it is closed and used
 * again, as a directory does. It decides nothing by itself: the caller's hooks see every step before it happens, and may fail it
 * (diskError), delay it, or hang it; a crash leaves what was synced, and of the rest what the caller says; bits flip where
 * the caller points. So a seeded caller gets the same run again.
 *
 * A process of the simulated world opens its store on `mount()`: after a crash that one is dead, whatever still runs in it.
 */
import type { Disk, Key, Slots, Value, Volume, VolumeBatch, VolumeRange } from '../ports/index.js'
import { VOLUME_NAME } from './files.js'
import { MemoryRows, type RowChange } from './memoryrows.js'
import { packRows } from './packed.js'
import { StorageRefusal } from './refusal.js'

/** Something that changes the disk. Each is whole or not at all: a batch, a replaced file, a slot (a sector). */
export type DiskStep =
  | { readonly kind: 'commit'; readonly puts: number; readonly dels: number }
  | { readonly kind: 'replace'; readonly name: string }
  | { readonly kind: 'slot'; readonly name: string; readonly sync: boolean }

export type DiskRead =
  | { readonly kind: 'get' }
  | { readonly kind: 'scan' }
  | { readonly kind: 'file'; readonly name: string }

/** Runs before a step. Throwing fails it, with nothing of it done; a promise delays it; one that never settles hangs it until a crash. */
export type DiskHook<Step = DiskStep> = (step: Step) => void | Promise<void>

/** What a crash leaves. */
export interface Crash {
  /** Whether a step in flight came about after all. Asked in the order in which they began; by default none did. */
  readonly cameAbout?: (step: DiskStep) => boolean
  /** Whether unsynced writes to a file survive. By default they are lost. */
  readonly kept?: (name: string) => boolean
  /** So many of the newest batches vanish although they were synced, 64 at most: a disk that lied. By default 0. */
  readonly lostBatches?: number
}

/** Bytes of a file: as read, and as a crash would leave them. */
interface StoredFile {
  written: Uint8Array
  synced: Uint8Array
}

interface InFlight {
  readonly step: DiskStep
  readonly apply: () => void
  readonly fail: (error: Error) => void
}

/** What the real disk would throw: an error of the device, or a volume without room. */
export function diskError(code: 'EIO' | 'ENOSPC'): StorageRefusal {
  if (code === 'ENOSPC') return new StorageRefusal('DISK_FULL', 'There is no room left on the volume.')
  return new StorageRefusal('DISK_FAILED', 'The disk failed: EIO.')
}

export class MemoryDisk implements Disk {
  /** Called before each step that changes something. */
  before: DiskHook = () => {}
  /** Called before each read. */
  beforeRead: DiskHook<DiskRead> = () => {}
  /** A batch that would need more fails as on a full disk. Rows alone count. */
  capacityBytes = Number.POSITIVE_INFINITY
  /** Steps that were finished, for tests that count. */
  readonly done = { commits: 0, replaces: 0, slotWrites: 0, slotSyncs: 0 }
  #rows: MemoryRows | null = null
  readonly #files = new Map<string, StoredFile>()
  #holder: object | null = null
  /** Grows at a crash: what was opened earlier fails from then on. */
  #life = 0
  readonly #inFlight = new Set<InFlight>()

  /** The disk as one process has it: dead after the next crash. */
  mount(): Disk {
    const life = this.#life
    const living = async <T>(work: () => Promise<T>): Promise<T> => {
      if (this.#life !== life) throw crashed()
      return work()
    }
    return {
      openVolume: (options) => living(() => this.openVolume(options)),
      readFile: (name) => living(() => this.readFile(name)),
      replaceFile: (name, bytes) => living(() => this.replaceFile(name, bytes)),
      openSlots: (name, options) => living(() => this.openSlots(name, options)),
      list: () => living(() => this.list()),
      freeBytes: () => living(() => this.freeBytes()),
      close: async () => {
        if (this.#life === life) await this.close()
      },
    }
  }

  /** One step: the hook first, then the work, unless a crash comes in between. */
  #step(step: DiskStep, apply: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const life = this.#life
      const flight: InFlight = { step, apply, fail: reject }
      const over = (settle: () => void): void => {
        this.#inFlight.delete(flight)
        settle()
      }
      const go = (): void => {
        if (this.#life !== life) throw crashed()
        apply()
      }
      this.#inFlight.add(flight)
      new Promise<void>((ready) => ready(this.before(step))).then(go).then(
        () => over(resolve),
        (error: unknown) => over(() => reject(error)),
      )
    })
  }

  async #read(read: DiskRead): Promise<void> {
    const life = this.#life
    await this.beforeRead(read)
    if (this.#life !== life) throw crashed()
  }

  async openVolume(options: { create: boolean }): Promise<Volume> {
    await null
    if (this.#holder !== null) throw new StorageRefusal('IN_USE', 'The data directory is in use by this very process.')
    if (options.create && this.#rows !== null) throw new StorageRefusal('EXISTS', 'There is a volume already.')
    if (!options.create && this.#rows === null) {
      throw new StorageRefusal('MISSING_FILES', `The folder "${VOLUME_NAME}" is missing from the data directory.`)
    }
    this.#rows ??= new MemoryRows()
    const rows = this.#rows
    const holder = {}
    this.#holder = holder
    const life = this.#life
    const alive = (): void => {
      if (this.#life !== life || this.#holder !== holder) throw new Error('this volume is closed')
    }
    return {
      get: async (key) => {
        alive()
        await this.#read({ kind: 'get' })
        return rows.get(key)
      },
      scan: (range) => {
        alive()
        return this.#scan(rows, range)
      },
      scanPacked: (range) => {
        alive()
        return this.#scanPacked(rows, range)
      },
      view: () => {
        alive()
        const then = new MemoryRows(rows)
        return {
          get: async (key) => then.get(key),
          scan: (range) => this.#scan(then, range),
          close: async () => {},
        }
      },
      batch: () => {
        alive()
        return this.#batch(rows, alive)
      },
      close: async () => {
        if (this.#holder === holder) this.#holder = null
      },
    }
  }

  async *#scanPacked(rows: MemoryRows, range: VolumeRange) {
    for await (const chunk of this.#scan(rows, range)) {
      yield packRows(chunk.map(([key, value]) => [Buffer.from(key).toString('utf8'), value] as const))
    }
  }

  async *#scan(rows: MemoryRows, range: VolumeRange) {
    const found = rows.range(range.from, range.to)
    if (range.reverse) found.reverse()
    const chunkRows = range.chunkRows ?? 1_000
    for (let at = 0; at < found.length; at += chunkRows) {
      await this.#read({ kind: 'scan' })
      yield found.slice(at, at + chunkRows)
    }
  }

  #batch(rows: MemoryRows, alive: () => void): VolumeBatch {
    const changes: RowChange[] = []
    let open = true
    let bytes = 0
    return {
      put: (key, value) => {
        changes.push([key, value])
        bytes += key.length + value.length
      },
      del: (key) => {
        changes.push([key, null])
      },
      commit: async () => {
        if (!open) throw new Error('this batch was committed')
        // A process that is gone has no step in flight: it could come about in a crash of the next one.
        alive()
        open = false
        const puts = changes.filter((change) => change[1] !== null).length
        if (rows.bytes + bytes > this.capacityBytes) throw diskError('ENOSPC')
        await this.#step({ kind: 'commit', puts, dels: changes.length - puts }, () => {
          alive()
          rows.apply(changes)
          this.done.commits += 1
        })
      },
    }
  }

  async readFile(name: string): Promise<Uint8Array | null> {
    await this.#read({ kind: 'file', name })
    const file = this.#files.get(name)
    return file ? Uint8Array.from(file.written) : null
  }

  async replaceFile(name: string, bytes: Uint8Array): Promise<void> {
    const copy = Uint8Array.from(bytes)
    await this.#step({ kind: 'replace', name }, () => {
      this.#files.set(name, { written: copy, synced: copy })
      this.done.replaces += 1
    })
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
      read: async () => {
        await this.#read({ kind: 'file', name })
        return Uint8Array.from(this.#files.get(name)!.written)
      },
      write: async (offset, bytes, { sync }) => {
        const copy = Uint8Array.from(bytes)
        if (!open || this.#life !== life) throw new Error('these slots are closed')
        await this.#step({ kind: 'slot', name, sync }, () => this.#writeSlot(name, offset, copy, sync))
      },
      close: async () => {
        open = false
      },
    }
  }

  #writeSlot(name: string, offset: number, bytes: Uint8Array, sync: boolean): void {
    const file = this.#files.get(name)
    if (!file) throw new Error('these slots are closed')
    if (offset + bytes.length > file.written.length) throw new RangeError('a write beyond the end of the slots')
    // Nobody else has these bytes, but for what was synced.
    if (!sync || file.synced !== file.written) file.written = Uint8Array.from(file.written)
    file.written.set(bytes, offset)
    if (sync) file.synced = file.written
    this.done.slotWrites += 1
    if (sync) this.done.slotSyncs += 1
  }

  async list(): Promise<string[]> {
    const names = [...this.#files.keys()]
    if (this.#rows !== null) names.push(VOLUME_NAME)
    return names.sort()
  }

  async freeBytes(): Promise<number> {
    return Math.max(0, this.capacityBytes - (this.#rows?.bytes ?? 0))
  }

  async close(): Promise<void> {
    this.#holder = null
  }

  /** What is open fails from now on, steps in flight included, and what was not synced is gone, unless the caller says otherwise. */
  crash({ cameAbout = () => false, kept = () => false, lostBatches = 0 }: Crash = {}): void {
    const steps = [...this.#inFlight]
    this.#inFlight.clear()
    for (const { step, apply } of steps) if (cameAbout(step)) apply()
    this.#life += 1
    this.#holder = null
    for (const [name, file] of this.#files) {
      if (file.written === file.synced) continue
      if (kept(name)) file.synced = file.written
      else file.written = file.synced
    }
    this.#rows?.undo(lostBatches)
    for (const { fail } of steps) fail(crashed())
  }

  /** Another disk with the content that a crash at this moment would leave, unsynced writes kept or lost. */
  copy(options: { unsynced: 'kept' | 'lost' }): MemoryDisk {
    const copy = new MemoryDisk()
    copy.#rows = this.#rows === null ? null : new MemoryRows(this.#rows)
    for (const [name, file] of this.#files) {
      const bytes = Uint8Array.from(options.unsynced === 'kept' ? file.written : file.synced)
      copy.#files.set(name, { written: bytes, synced: bytes })
    }
    return copy
  }

  /** All rows in key order. */
  rows(): (readonly [Key, Value])[] {
    return this.#rows?.all() ?? []
  }

  /** Puts a row's value, or takes the row away, behind everybody's back. */
  damageRow(key: Key, value: Value | null): void {
    this.#rows!.changeRow(key, value)
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

  /** Flips one bit of all that is stored: `at`, in [0, 1), says which. Returns what was hit, or null where nothing is stored. */
  flipBit(at: number): string | null {
    const rows = this.rows()
    const files = [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1))
    const total = files.reduce((sum, [, file]) => sum + file.written.length, this.#rows?.bytes ?? 0)
    const bit = Math.floor(at * total * 8)
    let byte = Math.floor(bit / 8)
    const mask = 1 << (bit % 8)
    for (const [name, file] of files) {
      if (byte < file.written.length) {
        this.damageFile(name, flipped(file.written, byte, mask))
        return `file ${name}`
      }
      byte -= file.written.length
    }
    for (const [key, value] of rows) {
      if (byte < key.length) {
        this.damageRow(key, null)
        this.damageRow(flipped(key, byte, mask), value)
        return `key ${Buffer.from(key).toString('hex')}`
      }
      byte -= key.length
      if (byte < value.length) {
        this.damageRow(key, flipped(value, byte, mask))
        return `value of ${Buffer.from(key).toString('hex')}`
      }
      byte -= value.length
    }
    return null
  }
}

function flipped(bytes: Uint8Array, at: number, mask: number): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy[at]! ^= mask
  return copy
}

function crashed(): Error {
  return new Error('this disk has crashed')
}
