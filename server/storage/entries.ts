/**
 * The record of a log entry. Each one holds the hash of its predecessor, so that a lost, stale or exchanged entry in the
 * middle is noticed, and the marker holds the hash of the last one, so that a lost end is noticed, too.
 *
 *   u8 version, u8 readable from, u64 index, u64 term, u64 timeMs, u64 wallMs, text member, u64 run, u64 batch, 32 bytes previous hash,
 *   u32 bytes, commands
 *   hash = SHA-256 of all of it, of what a later version puts behind it, too
 */
import { clusterMs, decodeCommands, encodeCommands, logIndex, run, term, wallMs } from '@leasehold/protocol'
import type { Entry } from '../machine/index.js'
import { Reader, type Writer } from './bytes.js'
import { HASH_BYTES, sha256 } from './chain.js'
import { StorageRefusal } from './refusal.js'
import { endRecord, readVersion, type Version, writeVersion } from './version.js'

const VERSION: Version = { version: 3, readableFrom: 3, readsFrom: 3 }

/** Writes the record. Returns its hash. */
export function writeEntry(writer: Writer, entry: Entry, previous: Uint8Array): Uint8Array {
  const from = writer.length
  writeVersion(writer, VERSION)
  writer.u64(entry.index)
  writer.u64(entry.term)
  writer.u64(entry.timeMs)
  writer.u64(entry.wallMs)
  writer.text(entry.member)
  writer.u64(entry.run)
  writer.u64(entry.batch)
  writer.bytes(previous)
  const commands = entry.body ?? encodeCommands(entry.commands)
  writer.u32(commands.length)
  writer.bytes(commands)
  return sha256(writer.view(from))
}

/** An entry's record, its commands still encoded. */
export interface EntryRecord extends Omit<Entry, 'commands' | 'body'> {
  readonly previous: Uint8Array
  readonly hash: Uint8Array
  readonly commands: Uint8Array
}

/** The record of a row that passed its checksum. Throws Damage, or StorageRefusal (NEWER_VERSION, OLDER_VERSION). */
export function readEntry(payload: Uint8Array): EntryRecord {
  const reader = new Reader(payload)
  const version = readVersion(reader, VERSION, 'A log entry')
  const record = {
    index: logIndex(reader.u64()),
    term: term(reader.u64()),
    timeMs: clusterMs(reader.u64()),
    wallMs: wallMs(reader.u64()),
    member: reader.text(),
    run: run(reader.u64()),
    batch: reader.u64(),
    previous: reader.bytes(HASH_BYTES),
    commands: reader.bytes(reader.u32()),
    hash: sha256(payload),
  }
  endRecord(reader, version, VERSION)
  return record
}

/** Throws StorageRefusal NEWER_VERSION for commands that this version does not know. */
export function entryOf(record: EntryRecord): Entry {
  const { index, term, timeMs, wallMs, member, run, batch } = record
  try {
    return { index, term, timeMs, wallMs, member, run, batch, commands: decodeCommands(record.commands) }
  } catch (error) {
    const reason = (error as Error).message
    throw new StorageRefusal('NEWER_VERSION', `This version does not understand log entry ${index}: ${reason}.`)
  }
}
