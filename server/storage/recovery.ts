/**
 * Opening a data directory: everything that the marker speaks of is compared with it before anything is served. Whatever
 * does not agree is a refusal that says what to do; opening never repairs, guesses or writes.
 */
import { clusterMs, logIndex, term } from '@leasehold/protocol'
import type { Disk, Volume } from '../ports/index.js'
import { AuditTail } from './audit.js'
import type { EntryRecord } from './entries.js'
import { IDENTITY_FILE, OWNER_FILE, SIDE_FILE, SWITCHING_FILE, VOLUME_NAME } from './files.js'
import { findAudit } from './findaudit.js'
import { decodeIdentity, type IdentityRecord, sameIdentity } from './identity.js'
import { KIND, LIVE_KEY, plainKey } from './keys.js'
import type { FoundLog } from './logtail.js'
import { type Marker, readMarker } from './marker.js'
import { type LogRange, readRecords } from './readlog.js'
import { asRefusal, Damage, StorageRefusal } from './refusal.js'
import { readRow } from './rows.js'
import { SideFile, type SideRecord } from './sidefile.js'
import type { Store, StoreOptions } from './store.js'
import { StateTables } from './tables.js'
import { Terms } from './terms.js'
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
    const { log, dropped } = await verifyLog(volume, live, marker)
    const audit = new AuditTail(live, marker)
    const notices = await findAudit(volume, live, marker, audit)
    if (dropped) notices.unshift(`Log entries up to ${dropped.to}, below the checkpoint, are damaged, and dropped.`)
    const state = await loadState(volume, live, marker, options)
    const recovered = {
      identity,
      hardState: { term: term(marker.term), votedFor: marker.votedFor },
      checkpointIndex: logIndex(marker.checkpoint.index),
      firstIndex: logIndex(marker.log.first),
      lastIndex: logIndex(marker.log.last),
      lastTimeMs: clusterMs(marker.log.lastTimeMs),
      terms: log.terms.all.map((start) => ({ term: term(start.term), from: logIndex(start.from) })),
      notices,
    }
    return new VolumeStore({
      disk,
      volume,
      side,
      live,
      marker,
      log,
      dropped,
      audit,
      state,
      recovered,
      fatal: options.fatal,
    })
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
  if (!identity.formed) throw new StorageRefusal('NOT_FORMED', 'The forming of the data directory was cut short.')
  if (identity.memberId !== memberId) {
    throw new StorageRefusal(
      'NOT_OURS',
      `The data directory belongs to member "${identity.memberId}"; this server is "${memberId}".`,
    )
  }
  for (const name of [SIDE_FILE, VOLUME_NAME]) if (!names.includes(name)) throw missing(name)
  return identity
}

function missing(name: string): StorageRefusal {
  return new StorageRefusal('MISSING_FILES', `"${name}" is missing from the data directory.`)
}

async function readLive(volume: Volume): Promise<number> {
  const value = await volume.get(LIVE_KEY)
  if (value === undefined) throw new Damage('The row that names the live rows is missing.')
  const payload = readRow(LIVE_KEY, value, 'The row that names the live rows')
  if (payload.length !== 1) throw new Damage('The row that names the live rows is of another kind.')
  return payload[0]!
}

async function compareIdentity(volume: Volume, live: number, identity: IdentityRecord): Promise<void> {
  const key = plainKey(live, KIND.identity)
  const value = await volume.get(key)
  if (value === undefined) throw new Damage('The identity row is missing.')
  if (!sameIdentity(decodeIdentity(readRow(key, value, 'The identity row')), identity)) {
    throw new StorageRefusal('NOT_OURS', `The file "${IDENTITY_FILE}" and the volume are of different directories.`)
  }
}

async function readMarkerRow(volume: Volume, live: number): Promise<Marker> {
  const key = plainKey(live, KIND.marker)
  const value = await volume.get(key)
  if (value === undefined) throw new Damage('The marker is missing.')
  return readMarker(readRow(key, value, 'The marker'))
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

/**
 * Verifies every entry, and returns the hashes of those that may still be replaced, and the terms. Entries at or below the
 * checkpoint are kept for slow followers alone: where one of them is damaged, all of them are dropped.
 */
async function verifyLog(
  volume: Volume,
  live: number,
  marker: Marker,
): Promise<{ log: FoundLog; dropped: LogRange | null }> {
  const { log, checkpoint } = marker
  if (checkpoint.index > log.last || checkpoint.index < log.first - 1)
    throw new Damage('The marker contradicts itself.')
  const kept = { from: log.first, to: checkpoint.index }
  let terms = new Terms(log.first - 1, log.baseTerm)
  const below = await verifyRange(volume, live, kept, (record) => follow(terms, record)).catch((error: unknown) => {
    if (asRefusal(error).code !== 'DAMAGED') throw error
    return null
  })
  if (below === null) {
    log.first = checkpoint.index + 1
    log.baseTerm = checkpoint.term
    terms = new Terms(checkpoint.index, checkpoint.term)
  }
  if (terms.at(checkpoint.index) !== checkpoint.term) throw new Damage('The log contradicts the marker.')
  const links: { index: number; hash: Uint8Array }[] = []
  const range = { from: checkpoint.index + 1, to: log.last }
  const above = await verifyRange(volume, live, range, (record) => {
    follow(terms, record)
    links.push({ index: record.index, hash: record.hash })
  })
  const base = below?.hash ?? above.previous ?? log.lastHash
  if (above.previous !== null && Buffer.compare(above.previous, base) !== 0) {
    throw new Damage(`The log's chain breaks at entry ${range.from}.`)
  }
  links.unshift({ index: checkpoint.index, hash: base })
  if (Buffer.compare(links.at(-1)!.hash, log.lastHash) !== 0) {
    throw new Damage(`Log entry ${log.last} is not the one that the marker names.`)
  }
  return { log: { links, terms }, dropped: below === null ? kept : null }
}

function follow(terms: Terms, { index, term }: EntryRecord): void {
  if (term < terms.at(index - 1))
    throw new Damage(`Log entry ${index} is of an older term than the one in front of it.`)
  terms.add(index, term)
}

/** Verifies a range; returns the hash in front of it and its last one, null for an empty range. */
async function verifyRange(volume: Volume, live: number, range: LogRange, each: (record: EntryRecord) => void) {
  const ends: { previous: Uint8Array | null; hash: Uint8Array | null } = { previous: null, hash: null }
  for await (const records of readRecords(volume, live, range)) {
    for (const record of records) {
      ends.previous ??= Uint8Array.from(record.previous)
      ends.hash = record.hash
      each(record)
    }
  }
  return ends
}

async function loadState(volume: Volume, live: number, marker: Marker, options: StoreOptions): Promise<StateTables> {
  const state = new StateTables(options.tables, live)
  await state.load(volume)
  if (!state.digest.agrees(marker.checkpoint)) {
    throw new Damage(
      `The state has ${state.digest.rows} rows, and they are not the ${marker.checkpoint.rows} that the marker names.`,
    )
  }
  return state
}
