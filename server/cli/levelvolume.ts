/** An ordered volume over LevelDB. Every commit is synced; nothing is ever written without it. */
import { dirname } from 'node:path'
import { Level } from 'level'
import type { Key, PackedRows, Value, Volume, VolumeBatch, VolumeRange, VolumeView } from '../ports/index.js'
import { packRows } from '../storage/index.js'
import { diskRefusal } from './diskerrors.js'
import { ReadingApart } from './levelapart.js'

const MIB = 1_048_576

const OPTIONS = {
  keyEncoding: 'view',
  valueEncoding: 'view',
  cacheSize: 16 * MIB,
  // Readers in threads of their own share it. Other processes are kept out all the same.
  multithreading: true,
} as const

/**
 * The log's entries come and go: in a large buffer most of them are gone before they are ever compacted. In one that is too large it takes
 * the disk long to write it down. Members write the same, so that buffers of one size would be full at the same moment; but
 * a majority is to be quick at any time.
 */
const writeBufferBytes = () => Math.round(MIB * (12 + 8 * Math.random()))

/** `level` is LevelDB itself where there is a file system, and says less of it than it can do. */
type Database = Level<Uint8Array, Uint8Array> & {
  /** Bytes of the tables that hold the range. */
  approximateSize(from: Key, to: Key, options: { keyEncoding: 'view' }): Promise<number>
}

/** Now, or the moment of a view. */
type Moment = { readonly snapshot?: ReturnType<Database['snapshot']> }
/** How keys are read, and from where to where. */
interface Bounds<K> {
  readonly keyEncoding: 'view' | 'utf8'
  readonly gte: K
  readonly lt: K
}

const WRITE = { sync: true } as const

const SCAN_ROWS = 1_000
/** Chunks of fewer rows are not read ahead. */
const AHEAD_ROWS = 256
/** Of what a scan reads ahead. */
const SCAN_BYTES_MAX = 4 * MIB
/** From about so many bytes on disk on, a thread of its own is worth its start. */
const APART_BYTES_MIN = 2 * MIB

/** Called when the volume is about to give up its lock, and once it has. */
export interface VolumeHooks {
  closing(): Promise<void>
  closed(): void
}

export class LevelVolume implements Volume {
  readonly #database: Database
  readonly #hooks: VolumeHooks
  /** The data directory. */
  readonly #path: string
  readonly #apart = new Set<ReadingApart>()
  #closing: Promise<void> | null = null

  private constructor(database: Database, path: string, hooks: VolumeHooks) {
    this.#database = database
    this.#path = path
    this.#hooks = hooks
  }

  static async open(path: string, options: { create: boolean }, hooks: VolumeHooks): Promise<LevelVolume> {
    // Without `create`, LevelDB would make an empty database of a damaged one.
    const { create } = options
    const creating = { createIfMissing: create, errorIfExists: create }
    const database = new Level(path, { ...OPTIONS, ...creating, writeBufferSize: writeBufferBytes() }) as Database
    await database.open()
    return new LevelVolume(database, dirname(path), hooks)
  }

  get(key: Key): Promise<Value | undefined> {
    return this.#get(key, {})
  }

  scan(range: VolumeRange) {
    return this.#scan<Key>(range, bounds(range), {})
  }

  scanPacked(range: Omit<VolumeRange, 'reverse'>) {
    return this.#scanPacked(range, textBounds(range))
  }

  view(): VolumeView {
    const snapshot = this.#database.snapshot()
    return {
      get: (key) => this.#get(key, { snapshot }),
      scan: (range) => this.#scan<Key>(range, bounds(range), { snapshot }),
      close: () => snapshot.close(),
    }
  }

  async *#scanPacked(range: VolumeRange, keys: Bounds<string>): AsyncGenerator<PackedRows> {
    try {
      const bytes = await this.#database.approximateSize(range.from, range.to, { keyEncoding: 'view' })
      if (bytes >= APART_BYTES_MIN) yield* this.#scanApart(range, keys)
      else for await (const rows of this.#scan<string>(range, keys, {})) yield packRows(rows)
    } catch (error) {
      throw diskRefusal(error, this.#path)
    }
  }

  async *#scanApart({ chunkRows = SCAN_ROWS }: VolumeRange, { gte, lt }: Bounds<string>): AsyncGenerator<PackedRows> {
    if (this.#closing !== null) throw new Error('the volume is closed')
    const path = this.#database.location
    const reading = new ReadingApart({ path, gte, lt, chunkRows, chunkBytesMax: SCAN_BYTES_MAX })
    this.#apart.add(reading)
    try {
      yield* reading.rows()
    } finally {
      await reading.close()
      this.#apart.delete(reading)
    }
  }

  async #get(key: Key, at: Moment): Promise<Value | undefined> {
    try {
      return await this.#database.get(key, at)
    } catch (error) {
      throw diskRefusal(error, this.#path)
    }
  }

  async *#scan<K extends Key | string>(
    { reverse = false, chunkRows = SCAN_ROWS }: VolumeRange,
    keys: Bounds<K>,
    at: Moment,
  ) {
    const options = { ...keys, reverse, fillCache: false, highWaterMarkBytes: SCAN_BYTES_MAX, ...at }
    const iterator = this.#database.iterator<K, Value>(options)
    try {
      let next = iterator.nextv(chunkRows)
      for (;;) {
        const rows = await next
        if (rows.length === 0) return
        // While a large chunk is being worked on, the next one is read.
        if (chunkRows >= AHEAD_ROWS) next = settledLater(iterator.nextv(chunkRows))
        yield rows
        if (chunkRows < AHEAD_ROWS) next = iterator.nextv(chunkRows)
      }
    } catch (error) {
      throw diskRefusal(error, this.#path)
    } finally {
      await iterator.close()
    }
  }

  batch(): VolumeBatch {
    const batch = this.#database.batch()
    return {
      put: (key, value) => {
        batch.put(key, value)
      },
      del: (key) => {
        batch.del(key)
      },
      commit: () =>
        batch.write(WRITE).catch((error: unknown) => {
          throw diskRefusal(error, this.#path)
        }),
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#hooks.closing()
    await Promise.all([...this.#apart].map((reading) => reading.close()))
    await this.#database.close()
    this.#hooks.closed()
  }
}

function bounds({ from, to }: VolumeRange): Bounds<Key> {
  return { keyEncoding: 'view', gte: from, lt: to }
}

function textBounds({ from, to }: VolumeRange): Bounds<string> {
  return { keyEncoding: 'utf8', gte: textOf(from), lt: textOf(to) }
}

function textOf(bound: Key): string {
  if (bound.some((byte) => byte > 0x7f)) throw new RangeError('a bound of keys read as text is ASCII')
  return Buffer.from(bound).toString('latin1')
}

/** Whoever stops early never looks at what was read ahead. */
function settledLater<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}
