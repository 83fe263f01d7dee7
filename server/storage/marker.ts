/**
 * The marker: one row, written anew in every batch, that says what the directory holds as of that batch. Opening compares
 * everything with it. The hard state stands in it, and so is as new as the newest batch.
 */
import { Reader, type Writer } from './bytes.js'
import { HASH_BYTES, NO_HASH } from './chain.js'
import { FORMAT } from './files.js'
import { endRecord, readVersion, writeVersion } from './version.js'

export interface Marker {
  /** Numbers the batches: 1, 2, 3 ... */
  flush: number
  term: number
  votedFor: string | null
  log: {
    first: number
    /** Of the entry in front of the first one; 0 where there never was one. */
    baseTerm: number
    /** first - 1 where the log is empty. */
    last: number
    lastTerm: number
    lastTimeMs: number
    lastHash: Uint8Array
  }
  /** The state rows hold the state as of this entry. */
  checkpoint: {
    index: number
    term: number
    timeMs: number
    rows: number
    digestLow: number
    digestHigh: number
    /** Where the audit stood then: replayed entries must bring forth the same events again. */
    auditSeq: number
    auditHash: Uint8Array
  }
  audit: {
    first: number
    last: number
    lastHash: Uint8Array
    /** First event that no block's fingerprints cover yet. */
    openFirst: number
  }
}

export function emptyMarker(): Marker {
  return {
    flush: 0,
    term: 0,
    votedFor: null,
    log: { first: 1, baseTerm: 0, last: 0, lastTerm: 0, lastTimeMs: 0, lastHash: NO_HASH },
    checkpoint: { index: 0, term: 0, timeMs: 0, rows: 0, digestLow: 0, digestHigh: 0, auditSeq: 0, auditHash: NO_HASH },
    audit: { first: 1, last: 0, lastHash: NO_HASH, openFirst: 1 },
  }
}

export function writeMarker(writer: Writer, marker: Marker): void {
  const { log, checkpoint, audit } = marker
  writeVersion(writer, FORMAT)
  writer.u64(marker.flush)
  writer.u64(marker.term)
  writer.u8(marker.votedFor === null ? 0 : 1)
  writer.text(marker.votedFor ?? '')
  writer.u64(log.first)
  writer.u64(log.baseTerm)
  writer.u64(log.last)
  writer.u64(log.lastTerm)
  writer.u64(log.lastTimeMs)
  writer.bytes(log.lastHash)
  writer.u64(checkpoint.index)
  writer.u64(checkpoint.term)
  writer.u64(checkpoint.timeMs)
  writer.u64(checkpoint.rows)
  writer.u32(checkpoint.digestLow)
  writer.u32(checkpoint.digestHigh)
  writer.u64(checkpoint.auditSeq)
  writer.bytes(checkpoint.auditHash)
  writer.u64(audit.first)
  writer.u64(audit.last)
  writer.bytes(audit.lastHash)
  writer.u64(audit.openFirst)
}

/** The marker of a row that passed its checksum. Throws Damage, or StorageRefusal (NEWER_VERSION, OLDER_VERSION). */
export function readMarker(payload: Uint8Array): Marker {
  const reader = new Reader(payload)
  const version = readVersion(reader, FORMAT, 'The data directory')
  const flush = reader.u64()
  const term = reader.u64()
  const voted = reader.u8() === 1
  const vote = reader.text()
  const marker: Marker = {
    flush,
    term,
    votedFor: voted ? vote : null,
    log: {
      first: reader.u64(),
      baseTerm: reader.u64(),
      last: reader.u64(),
      lastTerm: reader.u64(),
      lastTimeMs: reader.u64(),
      lastHash: reader.bytes(HASH_BYTES),
    },
    checkpoint: {
      index: reader.u64(),
      term: reader.u64(),
      timeMs: reader.u64(),
      rows: reader.u64(),
      digestLow: reader.u32(),
      digestHigh: reader.u32(),
      auditSeq: reader.u64(),
      auditHash: reader.bytes(HASH_BYTES),
    },
    audit: {
      first: reader.u64(),
      last: reader.u64(),
      lastHash: reader.bytes(HASH_BYTES),
      openFirst: reader.u64(),
    },
  }
  endRecord(reader, version, FORMAT)
  return marker
}
