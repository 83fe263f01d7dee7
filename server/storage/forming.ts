/**
 * Forming a new data directory. The identity file says "forming" first and "formed" last, so that a crash in between leaves a
 * directory that may be formed again, and no other directory is ever written over. A directory that waits for the other
 * members of a new cluster says "forming", too: its own id stands in it already, since the first configuration names it.
 */
import type { Entry } from '../machine/index.js'
import type { Disk, Volume } from '../ports/index.js'
import { Writer } from './bytes.js'
import { writeEntry } from './entries.js'
import { FORMAT, IDENTITY_FILE, OWNER_FILE, VOLUME_NAME } from './files.js'
import { decodeIdentity, encodeIdentity, type IdentityRecord } from './identity.js'
import { FIRST_LIVE, KIND, LIVE_KEY, plainKey, seqKey } from './keys.js'
import { emptyMarker, type Marker, writeMarker } from './marker.js'
import { asRefusal, StorageRefusal } from './refusal.js'
import { ROW_HEAD_BYTES, sealRow, wrapRow } from './rows.js'
import { SideFile } from './sidefile.js'

const CLEARED_ROWS = 512

/** A directory that is not formed yet, as it is known to the other members of a new cluster. */
export interface Forming {
  readonly memberId: string
  readonly directoryId: string
}

export interface NewIdentity extends Forming {
  readonly clusterId: string
}

/** Whether a directory is to be formed or opened. Throws StorageRefusal where it is neither. */
export async function directoryState(disk: Disk): Promise<'empty' | 'formed'> {
  const names = (await disk.list()).filter((name) => name !== OWNER_FILE && name !== 'lost+found')
  if (names.length === 0) return 'empty'
  const bytes = await disk.readFile(IDENTITY_FILE)
  // What is there without an identity is for openStore to refuse.
  return bytes !== null && decodeIdentity(bytes).state === 'forming' ? 'empty' : 'formed'
}

/** Who an unformed directory has said that it is; null where it has said nothing yet. Throws StorageRefusal where it is formed. */
export async function readForming(disk: Disk): Promise<Forming | null> {
  return refusing(async () => {
    await expectEmpty(disk)
    const bytes = await disk.readFile(IDENTITY_FILE)
    if (bytes === null) return null
    const { memberId, directoryId } = decodeIdentity(bytes)
    return { memberId, directoryId }
  })
}

/** Says who an empty directory will be, durably: what it then tells others of itself stays true after a restart. Throws StorageRefusal. */
export async function writeForming(disk: Disk, forming: Forming): Promise<void> {
  return refusing(async () => {
    await expectEmpty(disk)
    const identity = { ...forming, clusterId: '', format: FORMAT.version, state: 'forming' as const, tokenFloor: 0 }
    await disk.replaceFile(IDENTITY_FILE, encodeIdentity(identity))
  })
}

/**
 * Forms an empty directory, or one whose forming was cut short. With `bootstrap` (entry 1, of term 1) its log and its term begin with
 * it: the first configuration, the same bytes in every member. Throws StorageRefusal. The disk stays open.
 */
export async function formDirectory(disk: Disk, identity: NewIdentity, bootstrap: Entry | null = null): Promise<void> {
  return refusing(async () => {
    await expectEmpty(disk)
    const record = { ...identity, format: FORMAT.version, state: 'forming' as const, tokenFloor: 0 }
    const marker = emptyMarker()
    await writeDirectory(disk, record, marker, async (volume) => {
      if (bootstrap !== null) await writeFirst(volume, bootstrap, marker)
    })
  })
}

async function expectEmpty(disk: Disk): Promise<void> {
  if ((await directoryState(disk)) === 'empty') return
  throw new StorageRefusal('EXISTS', 'The data directory is not empty.')
}

async function refusing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw asRefusal(error)
  }
}

/** The row comes to count with the marker that names it. */
async function writeFirst(volume: Volume, entry: Entry, marker: Marker): Promise<void> {
  if (entry.index !== 1 || entry.term !== 1) throw new RangeError('a log begins with entry 1 of term 1')
  const writer = new Writer(1_024)
  writer.length = ROW_HEAD_BYTES
  const { index, term, timeMs } = entry
  const hash = writeEntry(writer, entry, marker.log.lastHash)
  const key = seqKey(FIRST_LIVE, KIND.entry, index)
  const value = writer.view(0)
  sealRow(key, value)
  const batch = volume.batch()
  batch.put(key, value)
  await batch.commit()
  marker.term = term
  Object.assign(marker.log, { last: index, lastTerm: term, lastTimeMs: timeMs, lastHash: hash })
}

/** Writes the first rows and files of a directory; `fill` may write more before it counts as formed. */
export async function writeDirectory(
  disk: Disk,
  identity: IdentityRecord,
  marker: Marker,
  fill: (volume: Volume) => Promise<void> = async () => {},
): Promise<void> {
  const formed = { ...identity, state: 'formed' as const }
  await disk.replaceFile(IDENTITY_FILE, encodeIdentity(identity))
  const volume = await emptyVolume(disk)
  try {
    await fill(volume)
    marker.flush += 1
    const writer = new Writer(1_024)
    writeMarker(writer, marker)
    const batch = volume.batch()
    const put = (key: Uint8Array, payload: Uint8Array): void => batch.put(key, wrapRow(key, payload))
    put(LIVE_KEY, Uint8Array.of(FIRST_LIVE))
    put(plainKey(FIRST_LIVE, KIND.identity), encodeIdentity(formed))
    put(plainKey(FIRST_LIVE, KIND.marker), writer.view(0))
    await batch.commit()
  } finally {
    await volume.close()
  }
  await SideFile.create(disk, { flush: marker.flush, term: marker.term, votedFor: marker.votedFor })
  await disk.replaceFile(IDENTITY_FILE, encodeIdentity(formed))
}

/** A volume without a row: what an attempt that was cut short has written is of no meaning. */
export async function emptyVolume(disk: Disk): Promise<Volume> {
  const volume = await openOrCreate(disk)
  for await (const chunk of volume.scan({ from: Uint8Array.of(0), to: Uint8Array.of(255), chunkRows: CLEARED_ROWS })) {
    const batch = volume.batch()
    for (const [key] of chunk) batch.del(key)
    await batch.commit()
  }
  return volume
}

async function openOrCreate(disk: Disk): Promise<Volume> {
  const names = await disk.list()
  if (!names.includes(VOLUME_NAME)) return disk.openVolume({ create: true })
  try {
    return await disk.openVolume({ create: false })
  } catch (error) {
    if (error instanceof StorageRefusal && error.code !== 'MISSING_FILES') throw error
    return disk.openVolume({ create: true })
  }
}
