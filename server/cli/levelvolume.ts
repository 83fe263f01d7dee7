/** An ordered volume over LevelDB. Every commit is synced; nothing is ever written without it. */
import { dirname } from 'node:path'
import { Level } from 'level'
import type { Key, Value, Volume, VolumeBatch, VolumeRange, VolumeView } from '../ports/index.js'
import { diskRefusal } from './diskerrors.js'

const MIB = 1_048_576

const OPTIONS = {
  keyEncoding: 'view',
  valueEncoding: 'view',
  // The log's entries come and go: in a large buffer most of them are gone before they are ever compacted.
  writeBufferSize: 32 * MIB,
  cacheSize: 16 * MIB,
} as const

type Database = Level<Uint8Array, Uint8Array>

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
  #closing: Promise<void> | null = null

  private constructor(database: Database, path: string, hooks: VolumeHooks) {
    this.#database = database
    this.#path = path
    this.#hooks = hooks
  }

  static async open(path: string, options: { create: boolean }, hooks: VolumeHooks): Promise<LevelVolume> {
    // Without `create`, LevelDB would make an empty database of a damaged one.
    const { create } = options
    const database: Database = new Level(path, { ...OPTIONS, createIfMissing: create, errorIfExists: create })
    await database.open()
    return new LevelVolume(database, dirname(path), hooks)
  }

  get(key: Key): Promise<Value | undefined> {
    return this.#get(key, {})
  }

  scan(range: VolumeRange) {
    return this.#scan<Key>(range, bounds(range), {})
  }

  scanText(range: VolumeRange) {
    return this.#scan<string>(range, textBounds(range), {})
  }

  view(): VolumeView {
    const snapshot = this.#database.snapshot()
    return {
      get: (key) => this.#get(key, { snapshot }),
      scan: (range) => this.#scan<Key>(range, bounds(range), { snapshot }),
      scanText: (range) => this.#scan<string>(range, textBounds(range), { snapshot }),
      close: () => snapshot.close(),
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
