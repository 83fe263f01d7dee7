/**
 * What a snapshot is of, in its first chunk: the marker's part that the receiver needs. Everything that comes after it is compared
 * with it.
 *
 *   u8 version, u8 readable from, text cluster, text member, text directory, then the checkpoint (u64 index, term, timeMs, rows, u32 low and
 *   high of the digest) and the audit as of the checkpoint (u64 first, u64 last, hash of the last one)
 */
import {
  type AuditSeq,
  auditSeq,
  type ClusterMs,
  clusterMs,
  type LogIndex,
  logIndex,
  type Term,
  term,
} from '@leasehold/protocol'
import { Reader, Writer } from './bytes.js'
import { HASH_BYTES, NO_HASH } from './chain.js'
import { SNAPSHOT_VERSION } from './chunks.js'
import { emptyMarker, type Marker } from './marker.js'
import type { Identity } from './store.js'
import { endRecord, readVersion, type Version, writeVersion } from './version.js'

export interface SnapshotHead {
  readonly clusterId: string
  /** Who made it. */
  readonly memberId: string
  readonly directoryId: string
  /** The state as of this entry. */
  readonly index: LogIndex
  readonly term: Term
  readonly timeMs: ClusterMs
  /** Rows of the state, and their digest. */
  readonly rows: number
  readonly digestLow: number
  readonly digestHigh: number
  /** The audit that comes with it: none where first > last. */
  readonly auditFirst: AuditSeq
  readonly auditLast: AuditSeq
  readonly auditHash: Uint8Array
}

/** Of what stands in a directory. */
export function snapshotHead(identity: Identity, { checkpoint, audit }: Marker): SnapshotHead {
  const { clusterId, memberId, directoryId } = identity
  return {
    clusterId,
    memberId,
    directoryId,
    index: logIndex(checkpoint.index),
    term: term(checkpoint.term),
    timeMs: clusterMs(checkpoint.timeMs),
    rows: checkpoint.rows,
    digestLow: checkpoint.digestLow,
    digestHigh: checkpoint.digestHigh,
    // Events after the checkpoint are brought forth anew by the entries after it.
    auditFirst: auditSeq(Math.min(audit.first, checkpoint.auditSeq + 1)),
    auditLast: auditSeq(checkpoint.auditSeq),
    auditHash: checkpoint.auditHash,
  }
}

/** The marker of a directory that holds nothing but the snapshot: its log is empty, and goes on after it. */
export function markerOfHead(head: SnapshotHead): Marker {
  const { index, term, timeMs, rows, digestLow, digestHigh } = head
  const [auditSeq, auditHash] = [head.auditLast, head.auditHash]
  return {
    ...emptyMarker(),
    term,
    log: { first: index + 1, baseTerm: term, last: index, lastTerm: term, lastTimeMs: timeMs, lastHash: NO_HASH },
    checkpoint: { index, term, timeMs, rows, digestLow, digestHigh, auditSeq, auditHash },
    audit: { first: head.auditFirst, last: auditSeq, lastHash: auditHash, openFirst: head.auditFirst },
  }
}

export function encodeHead(head: SnapshotHead, version: Version = SNAPSHOT_VERSION): Uint8Array {
  const writer = new Writer(1_024)
  writeVersion(writer, version)
  writer.text(head.clusterId)
  writer.text(head.memberId)
  writer.text(head.directoryId)
  writer.u64(head.index)
  writer.u64(head.term)
  writer.u64(head.timeMs)
  writer.u64(head.rows)
  writer.u32(head.digestLow)
  writer.u32(head.digestHigh)
  writer.u64(head.auditFirst)
  writer.u64(head.auditLast)
  writer.bytes(head.auditHash)
  return writer.view(0)
}

/** Throws Damage, or StorageRefusal (NEWER_VERSION, OLDER_VERSION). */
export function decodeHead(payload: Uint8Array, known: Version = SNAPSHOT_VERSION): SnapshotHead {
  const reader = new Reader(payload)
  const version = readVersion(reader, known, 'The snapshot')
  const head = {
    clusterId: reader.text(),
    memberId: reader.text(),
    directoryId: reader.text(),
    index: logIndex(reader.u64()),
    term: term(reader.u64()),
    timeMs: clusterMs(reader.u64()),
    rows: reader.u64(),
    digestLow: reader.u32(),
    digestHigh: reader.u32(),
    auditFirst: auditSeq(reader.u64()),
    auditLast: auditSeq(reader.u64()),
    auditHash: reader.bytes(HASH_BYTES),
  }
  endRecord(reader, version, known)
  return head
}
