/**
 * All rows under one live prefix, verified: what the marker speaks of is compared with it, row by row. Opening does this with the live rows,
 * and a snapshot that was received with what is about to become live. Nothing is written.
 */
import { clusterMs, logIndex, term } from '@leasehold/protocol'
import type { StoredTable } from '../machine/index.js'
import type { Volume, VolumeReader } from '../ports/index.js'
import { AuditTail } from './audit.js'
import type { EntryRecord } from './entries.js'
import { findAudit } from './findaudit.js'
import { KIND, LIVE_KEY, plainKey } from './keys.js'
import type { FoundLog } from './logtail.js'
import { type Marker, readMarker } from './marker.js'
import { type LogRange, readRecords } from './readlog.js'
import { asRefusal, Damage } from './refusal.js'
import { readRow } from './rows.js'
import type { Identity, Recovered } from './store.js'
import { StateTables } from './tables.js'
import { Terms } from './terms.js'

export interface LiveRows {
  readonly live: number
  readonly marker: Marker
  readonly log: FoundLog
  /** Damaged entries that are no longer needed. */
  readonly dropped: LogRange | null
  readonly audit: AuditTail
  readonly state: StateTables
  /** Damage that takes nothing away that is needed, for people. */
  readonly notices: readonly string[]
}

/** Verifies everything, and loads the state into the tables. Throws Damage, or StorageRefusal. */
export async function verifyLiveRows(
  volume: Volume,
  live: number,
  marker: Marker,
  tables: readonly StoredTable[],
): Promise<LiveRows> {
  const { log, dropped } = await verifyLog(volume, live, marker)
  const audit = new AuditTail(live, marker)
  const notices = await findAudit(volume, live, marker, audit)
  if (dropped) notices.unshift(`Log entries up to ${dropped.to}, below the checkpoint, are damaged, and dropped.`)
  const state = await loadState(volume, live, marker, tables)
  return { live, marker, log, dropped, audit, state, notices }
}

export async function readLive(volume: VolumeReader): Promise<number> {
  const value = await volume.get(LIVE_KEY)
  if (value === undefined) throw new Damage('The row that names the live rows is missing.')
  const payload = readRow(LIVE_KEY, value, 'The row that names the live rows')
  if (payload.length !== 1) throw new Damage('The row that names the live rows is of another kind.')
  return payload[0]!
}

export async function readMarkerRow(volume: VolumeReader, live: number): Promise<Marker> {
  const key = plainKey(live, KIND.marker)
  const value = await volume.get(key)
  if (value === undefined) throw new Damage('The marker is missing.')
  return readMarker(readRow(key, value, 'The marker'))
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

async function loadState(
  volume: Volume,
  live: number,
  marker: Marker,
  tables: readonly StoredTable[],
): Promise<StateTables> {
  const state = new StateTables(tables, live)
  await state.load(volume)
  if (!state.digest.agrees(marker.checkpoint)) {
    throw new Damage(
      `The state has ${state.digest.rows} rows, and they are not the ${marker.checkpoint.rows} that the marker names.`,
    )
  }
  return state
}

export function recoveredFrom(identity: Identity, { marker, log, notices }: LiveRows): Recovered {
  return {
    identity,
    hardState: { term: term(marker.term), votedFor: marker.votedFor },
    checkpointIndex: logIndex(marker.checkpoint.index),
    firstIndex: logIndex(marker.log.first),
    lastIndex: logIndex(marker.log.last),
    lastTimeMs: clusterMs(marker.log.lastTimeMs),
    terms: log.terms.all.map((start) => ({ term: term(start.term), from: logIndex(start.from) })),
    flushes: marker.flush,
    notices,
  }
}
