/**
 * Reading a damaged directory for what still verifies. Nothing is written, and nothing is believed that fails its checks; what is
 * lost is written down in words, for the person who decides to give it up.
 */
import type { Entry, StoredTable } from '../machine/index.js'
import type { Disk, Key, Value, Volume } from '../ports/index.js'
import { Digest, markOf } from './digest.js'
import { entryOf, readEntry } from './entries.js'
import { IDENTITY_FILE, SIDE_FILE } from './files.js'
import { decodeIdentity, type IdentityRecord } from './identity.js'
import { FIRST_LIVE, KIND, kindEnd, LIVE_KEY, plainKey, seqKey } from './keys.js'
import { type Marker, readMarker } from './marker.js'
import { type ReadSegment, segmentOf } from './readaudit.js'
import { StorageRefusal } from './refusal.js'
import { readRow, verifyRow } from './rows.js'
import { readSide, type SideRecord } from './sidefile.js'
import { StateTables } from './tables.js'

const CHUNK_ROWS = 256
/** Losses that are listed one by one; the others are counted. */
const LISTED_MAX = 1_000

/** What is lost, line by line. */
export class Losses {
  readonly lines: string[] = []
  #more = 0

  add(line: string): void {
    if (this.lines.length < LISTED_MAX) this.lines.push(line)
    else this.#more += 1
  }

  all(): readonly string[] {
    return this.#more === 0 ? this.lines : [...this.lines, `And ${this.#more} more.`]
  }
}

export class Salvage {
  readonly losses = new Losses()
  readonly identity: IdentityRecord
  readonly marker: Marker | null
  readonly side: SideRecord | null
  readonly #volume: Volume | null
  readonly live: number

  private constructor(
    identity: IdentityRecord,
    volume: Volume | null,
    live: number,
    marker: Marker | null,
    side: SideRecord | null,
  ) {
    this.identity = identity
    this.#volume = volume
    this.live = live
    this.marker = marker
    this.side = side
  }

  /** Throws StorageRefusal where nothing tells whose directory it was. */
  static async open(disk: Disk): Promise<Salvage> {
    const lost: string[] = []
    const volume = await attempt(lost, 'The volume cannot be opened at all', () =>
      disk.openVolume({ create: false, salvage: true }),
    )
    const live = (volume && (await attempt(lost, '', () => liveOf(volume)))) ?? FIRST_LIVE
    const file = await attempt(lost, `The file "${IDENTITY_FILE}" is lost`, async () => {
      return decodeIdentity(some(await disk.readFile(IDENTITY_FILE)))
    })
    const identity =
      file ?? (volume && (await attempt(lost, 'The identity row is lost', () => identityOf(volume, live))))
    if (!identity) {
      await volume?.close()
      throw new StorageRefusal('NOT_OURS', 'Neither the identity file nor the volume tells whose directory this was.')
    }
    const marker = volume && (await attempt(lost, 'The marker is lost', () => markerOf(volume, live)))
    const side = await attempt(lost, `The file "${SIDE_FILE}" is lost`, async () => {
      return readSide(some(await disk.readFile(SIDE_FILE)))
    })
    const salvage = new Salvage(identity, volume, live, marker, side)
    for (const line of lost) salvage.losses.add(line)
    if (marker && side && side.flush > marker.flush) {
      salvage.losses.add(`The batches ${marker.flush + 1} to ${side.flush}, the last ones written, are lost.`)
    }
    return salvage
  }

  /** Loads the rows of these tables; `intact` where the rows that verify are those that the marker speaks of. */
  async loadState(tables: readonly StoredTable[]): Promise<{ intact: boolean; rows: number }> {
    const state = new StateTables(tables, this.live)
    const digest = new Digest()
    for await (const { key, value, mark } of this.stateRows(tables)) {
      state.loadOne(key, value, mark)
      digest.add(mark)
    }
    return { intact: this.marker !== null && digest.agrees(this.marker.checkpoint), rows: digest.rows }
  }

  /** The rows of these tables that verify. */
  async *stateRows(tables: readonly StoredTable[]): AsyncGenerator<{ key: Key; value: Value; mark: number }> {
    const state = new StateTables(tables, this.live)
    for await (const [key, value] of this.rows(KIND.state)) {
      if (!state.owns(key)) continue
      const mark = markIf(key, value)
      if (mark !== null) yield { key, value, mark }
    }
  }

  /** Lists the state rows that fail their checksums. */
  async listDamaged(): Promise<void> {
    for await (const [key, value] of this.rows(KIND.state)) {
      if (markIf(key, value) === null) this.losses.add(`The state row "${readable(key)}" fails its checksum.`)
    }
  }

  /** All rows of a kind that can be reached, in key order, unchecked. */
  async *rows(kind: number): AsyncGenerator<readonly [Key, Value]> {
    if (this.#volume === null) return
    yield* salvageScan(this.#volume, plainKey(this.live, kind), kindEnd(this.live, kind))
  }

  /** The entries after `index` that follow each other without a gap, with their rows. */
  async entriesAfter(index: number): Promise<{ entry: Entry; value: Value; hash: Uint8Array }[]> {
    const found: { entry: Entry; value: Value; hash: Uint8Array }[] = []
    if (this.#volume === null) return found
    const range = [seqKey(this.live, KIND.entry, index + 1), kindEnd(this.live, KIND.entry)] as const
    for await (const [key, value] of salvageScan(this.#volume, ...range)) {
      try {
        const record = readEntry(readRow(key, value, 'A log entry'))
        const before = found.at(-1)
        const follows = before === undefined || Buffer.compare(before.hash, record.previous) === 0
        if (record.index !== index + 1 + found.length || !follows) break
        if (this.marker !== null && record.index > this.marker.log.last) break
        found.push({ entry: entryOf(record), value, hash: record.hash })
      } catch {
        break
      }
    }
    return found
  }

  /** Segments that verify in themselves, in order. */
  async *segments(): AsyncGenerator<{ segment: ReadSegment; value: Value }> {
    for await (const [key, value] of this.rows(KIND.segment)) {
      let segment: ReadSegment
      try {
        segment = segmentOf(key, value)
      } catch {
        continue
      }
      yield { segment, value }
    }
  }

  async close(): Promise<void> {
    await this.#volume?.close()
  }
}

async function attempt<T>(lost: string[], what: string, work: () => Promise<T>): Promise<T | null> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof StorageRefusal && ['IN_USE', 'NEWER_VERSION', 'OLDER_VERSION'].includes(error.code))
      throw error
    if (what !== '') lost.push(`${what}: ${error instanceof StorageRefusal ? error.found : (error as Error).message}`)
    return null
  }
}

function some<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error('it is missing.')
  return value
}

async function liveOf(volume: Volume): Promise<number> {
  const payload = readRow(LIVE_KEY, some(await volume.get(LIVE_KEY)), 'The row that names the live rows')
  return some(payload[0])
}

async function identityOf(volume: Volume, live: number): Promise<IdentityRecord> {
  const key = plainKey(live, KIND.identity)
  return decodeIdentity(readRow(key, some(await volume.get(key)), 'The identity row'))
}

async function markerOf(volume: Volume, live: number): Promise<Marker> {
  const key = plainKey(live, KIND.marker)
  return readMarker(readRow(key, some(await volume.get(key)), 'The marker'))
}

/** The row's mark, or null where it fails its checksum. */
function markIf(key: Key, value: Value): number | null {
  try {
    return markOf(verifyRow(key, value, 'A row of the state'))
  } catch {
    return null
  }
}

/** A state row's table and key, as far as they can be read. */
function readable(key: Key): string {
  const text = Buffer.from(key.subarray(2)).toString('utf8').replace('\0', '/')
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 300)
}

/** All rows that a scan can reach. A block that cannot be read costs its rows, and no others. */
async function* salvageScan(volume: Volume, from: Key, to: Key): AsyncGenerator<readonly [Key, Value]> {
  let start = from
  for (const chunkRows of [CHUNK_ROWS, 1]) {
    try {
      for await (const chunk of volume.scan({ from: start, to, chunkRows })) {
        for (const row of chunk) {
          start = Buffer.concat([row[0], Buffer.from([0])])
          yield row
        }
      }
      return
    } catch {
      // Once more, row by row, from where the large chunks had to stop.
    }
  }
}
