/**
 * Opening a data directory: everything that the marker speaks of is compared with it before anything is served. Whatever
 * does not agree is a refusal that says what to do; opening never repairs, guesses or writes.
 */
import type { Disk, Volume } from '../ports/index.js'
import { BEHIND_FILE, IDENTITY_FILE, OWNER_FILE, SIDE_FILE, SWITCHING_FILE, VOLUME_NAME } from './files.js'
import { decodeIdentity, type IdentityRecord, sameIdentity } from './identity.js'
import { KIND, plainKey } from './keys.js'
import { readLive, readMarkerRow, verifyLiveRows } from './liverows.js'
import type { Marker } from './marker.js'
import { asRefusal, Damage, StorageRefusal } from './refusal.js'
import { readRow } from './rows.js'
import { SideFile, type SideRecord } from './sidefile.js'
import type { Store, StoreOptions } from './store.js'
import { VolumeStore } from './volumestore.js'

/** Opens and verifies; loads the state into the tables. Throws StorageRefusal; the disk is closed then. */
export async function openStore(disk: Disk, options: StoreOptions): Promise<Store> {
  let volume: Volume | null = null
  let side: SideFile | null = null
  try {
    const identity = await readIdentity(disk, options.memberId)
    volume = await disk.openVolume({ create: false })
    const live = await readLive(volume)
    await compareIdentity(volume, live, identity)
    const marker = await readMarkerRow(volume, live)
    const opened = await SideFile.open(disk)
    side = opened.side
    compareSide(opened.record, marker)
    const rows = await verifyLiveRows(volume, live, marker, options.tables)
    return new VolumeStore({ disk, volume, side, identity, rows, fatal: options.fatal })
  } catch (error) {
    await side?.close().catch(() => {})
    await volume?.close().catch(() => {})
    await disk.close().catch(() => {})
    throw asRefusal(error)
  }
}

async function readIdentity(disk: Disk, memberId: string): Promise<IdentityRecord> {
  const names = await disk.list()
  if (names.includes(SWITCHING_FILE)) {
    throw new StorageRefusal('MISSING_FILES', 'A recovery of the data directory was cut short: run it again.')
  }
  const bytes = await disk.readFile(IDENTITY_FILE)
  if (bytes === null) {
    const own = names.filter((name) => name === VOLUME_NAME || name === SIDE_FILE)
    if (own.length > 0) throw missing(IDENTITY_FILE)
    const foreign = names.find((name) => name !== OWNER_FILE && name !== 'lost+found')
    if (foreign === undefined) throw new StorageRefusal('NOT_FORMED', 'The data directory is empty.')
    throw new StorageRefusal('NOT_OURS', `The data directory holds "${foreign}" and nothing of Leasehold's.`)
  }
  const identity = decodeIdentity(bytes)
  if (identity.state === 'unfinished') {
    throw new StorageRefusal('UNFINISHED', 'A restore into the data directory was cut short.')
  }
  if (identity.state === 'forming')
    throw new StorageRefusal('NOT_FORMED', 'The forming of the data directory was cut short.')
  if (identity.memberId !== memberId) {
    throw new StorageRefusal(
      'NOT_OURS',
      `The data directory belongs to member "${identity.memberId}"; this server is "${memberId}".`,
    )
  }
  const behind = names.includes(BEHIND_FILE) ? await disk.readFile(BEHIND_FILE) : null
  if (behind !== null) throw new StorageRefusal('BEHIND', new TextDecoder().decode(behind))
  for (const name of [SIDE_FILE, VOLUME_NAME]) if (!names.includes(name)) throw missing(name)
  return identity
}

function missing(name: string): StorageRefusal {
  return new StorageRefusal('MISSING_FILES', `"${name}" is missing from the data directory.`)
}

async function compareIdentity(volume: Volume, live: number, identity: IdentityRecord): Promise<void> {
  const key = plainKey(live, KIND.identity)
  const value = await volume.get(key)
  if (value === undefined) throw new Damage('The identity row is missing.')
  if (!sameIdentity(decodeIdentity(readRow(key, value, 'The identity row')), identity)) {
    throw new StorageRefusal('NOT_OURS', `The file "${IDENTITY_FILE}" and the volume are of different directories.`)
  }
}

/** The side file is written after its batch has synced: it is never ahead, and where it is level, it is equal. */
function compareSide(side: SideRecord, marker: Marker): void {
  if (side.flush > marker.flush) {
    throw new StorageRefusal(
      'LOST_TAIL',
      `The newest batch in the volume is ${marker.flush}, but batch ${side.flush} was written: its end is lost.`,
    )
  }
  const level = side.flush === marker.flush
  const differs = level && (side.term !== marker.term || side.votedFor !== marker.votedFor)
  if (differs || side.term > marker.term) throw new Damage(`The file "${SIDE_FILE}" disagrees with the volume.`)
}
