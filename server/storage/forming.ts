/**
 * Forming a new data directory. The identity file says "forming" first and "formed" last, so that a crash in between leaves a
 * directory that may be formed again, and no other directory is ever written over.
 */
import type { Disk, Volume } from '../ports/index.js'
import { Writer } from './bytes.js'
import { FORMAT, IDENTITY_FILE, OWNER_FILE, VOLUME_NAME } from './files.js'
import { decodeIdentity, encodeIdentity, type IdentityRecord } from './identity.js'
import { FIRST_LIVE, KIND, LIVE_KEY, plainKey } from './keys.js'
import { emptyMarker, type Marker, writeMarker } from './marker.js'
import { asRefusal, StorageRefusal } from './refusal.js'
import { wrapRow } from './rows.js'
import { SideFile } from './sidefile.js'

export interface NewIdentity {
  readonly clusterId: string
  readonly memberId: string
  readonly directoryId: string
}

/** Whether a directory is to be formed or opened. Throws StorageRefusal where it is neither. */
export async function directoryState(disk: Disk): Promise<'empty' | 'formed'> {
  const names = (await disk.list()).filter((name) => name !== OWNER_FILE && name !== 'lost+found')
  if (names.length === 0) return 'empty'
  const bytes = await disk.readFile(IDENTITY_FILE)
  // What is there without an identity is for openStore to refuse.
  return bytes !== null && !decodeIdentity(bytes).formed ? 'empty' : 'formed'
}

/** Forms an empty directory, or one whose forming was cut short. Throws StorageRefusal. The disk stays open. */
export async function formDirectory(disk: Disk, identity: NewIdentity): Promise<void> {
  try {
    if ((await directoryState(disk)) !== 'empty') {
      throw new StorageRefusal('EXISTS', 'The data directory is not empty.')
    }
    await writeDirectory(disk, { ...identity, format: FORMAT, formed: false, tokenFloor: 0 }, emptyMarker())
  } catch (error) {
    throw asRefusal(error)
  }
}

/** Writes the first rows and files of a directory; `fill` may write more before it counts as formed. */
export async function writeDirectory(
  disk: Disk,
  identity: IdentityRecord,
  marker: Marker,
  fill: (volume: Volume) => Promise<void> = async () => {},
): Promise<void> {
  const formed = { ...identity, formed: true }
  await disk.replaceFile(IDENTITY_FILE, encodeIdentity({ ...identity, formed: false }))
  const volume = await openOrCreate(disk)
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
