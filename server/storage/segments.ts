/**
 * The audit on disk. A segment is one row with the events of one batch, in order. A block is one row with the fingerprints of
 * a run of segments: for each of them, which names it mentions, as 32-bit hashes. So the history of a name reads
 * a few blocks and the segments that mention it, not everything.
 *
 *   segment   u8 version, u8 readable from, u32 count, u64 first, u64 last, u64 first ms, u64 last ms, previous hash, last hash,
 *             then per event: u32 bytes, its canonical bytes
 *   block     u8 version, u8 readable from, u64 first, u64 last, u64 first ms, u64 last ms, u32 segments,
 *             then per segment: u64 first, u64 last, u32 bytes, u32 names, u32 hash of each name
 */

import { type AuditEvent, type ChainedEvent, eventFromFields } from '@leasehold/protocol'
import { decode } from '@msgpack/msgpack'
import { Reader, Writer } from './bytes.js'
import { Chain, HASH_BYTES, hexOf } from './chain.js'
import { KIND, seqKey } from './keys.js'
import { Damage } from './refusal.js'
import { ROW_HEAD_BYTES, sealRow } from './rows.js'
import { endRecord, readVersion, type Version, writeVersion } from './version.js'

const VERSION: Version = { version: 2, readableFrom: 2, readsFrom: 2 }
export const SEGMENT_EVENTS_MAX = 4_096
export const SEGMENT_BYTES_MAX = 1_048_576
/** A block is closed once it has this many events or segments. */
const BLOCK_EVENTS = 4_096
const BLOCK_SEGMENTS = 1_024

/** What a block says of one segment. */
export interface SegmentMention {
  readonly first: number
  readonly last: number
  /** Of its row's value. */
  readonly bytes: number
  /** Distinct hashes of the names in it; null where the segment is damaged: it has to be read to tell. */
  readonly names: readonly number[] | null
}

export interface Block {
  readonly first: number
  readonly last: number
  /** Cluster time of its first and last event. */
  readonly firstMs: number
  readonly lastMs: number
  readonly segments: readonly SegmentMention[]
}

/** In place of a count of names that nobody knows. */
const NAMES_UNKNOWN = 0xffffffff

/** 32-bit hash of a name (FNV-1a, scrambled once more): it may collide, so a hit is only a hint. */
export function nameHash(name: string): number {
  let h = 0x811c9dc5
  for (let at = 0; at < name.length; at += 1) h = Math.imul(h ^ name.charCodeAt(at), 0x01000193)
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
  return (h ^ (h >>> 12)) >>> 0
}

export interface SegmentHead {
  readonly count: number
  readonly first: number
  readonly last: number
  readonly firstMs: number
  readonly lastMs: number
  readonly previous: string
  readonly hash: string
}

export function writeSegment(writer: Writer, head: SegmentHead, body: Uint8Array): void {
  writeVersion(writer, VERSION)
  writer.u32(head.count)
  writer.u64(head.first)
  writer.u64(head.last)
  writer.u64(head.firstMs)
  writer.u64(head.lastMs)
  writer.bytes(Buffer.from(head.previous, 'hex'))
  writer.bytes(Buffer.from(head.hash, 'hex'))
  writer.bytes(body)
}

/** What a segment says of itself, its events unseen. Throws Damage. */
export function headOf(payload: Uint8Array): SegmentHead {
  const reader = new Reader(payload)
  readVersion(reader, VERSION, 'An audit segment')
  return readHead(reader)
}

function readHead(reader: Reader): SegmentHead {
  return {
    count: reader.u32(),
    first: reader.u64(),
    last: reader.u64(),
    firstMs: reader.u64(),
    lastMs: reader.u64(),
    previous: hexOf(reader.bytes(HASH_BYTES)),
    hash: hexOf(reader.bytes(HASH_BYTES)),
  }
}

/** The events of a segment that passed its checksum, each with its hashes, the chain verified. Throws Damage. */
export function readSegment(payload: Uint8Array): { head: SegmentHead; events: ChainedEvent[] } {
  const reader = new Reader(payload)
  const version = readVersion(reader, VERSION, 'An audit segment')
  const head = readHead(reader)
  if (head.count === 0 || head.last !== head.first + head.count - 1) throw new Damage('An audit segment miscounts.')
  const chain = new Chain(head.previous)
  const events: ChainedEvent[] = []
  for (let seq = head.first; seq <= head.last; seq += 1) {
    const canonical = reader.bytes(reader.u32())
    const previousHash = chain.head
    const hash = chain.add(canonical)
    const event = understood(canonical)
    if (event.seq !== seq) throw new Damage(`Audit event ${seq} is not where it belongs.`)
    // Not spread: of an object that may have any shape that is a walk over its names, and costs more than all the rest.
    events.push(Object.assign(event, { previousHash, hash }))
  }
  endRecord(reader, version, VERSION)
  if (chain.head !== head.hash) throw new Damage(`The audit's chain breaks between ${head.first} and ${head.last}.`)
  return { head, events }
}

function understood(canonical: Uint8Array): AuditEvent {
  try {
    return eventFromFields(decode(canonical) as unknown[])
  } catch (error) {
    throw new Damage(`An audit event cannot be understood: ${(error as Error).message}.`)
  }
}

/** A block's row. */
export function encodeBlock(live: number, block: Block): { key: Uint8Array; value: Uint8Array } {
  const writer = new Writer(32 * block.segments.length + 4 * BLOCK_EVENTS)
  writer.length = ROW_HEAD_BYTES
  writeBlock(writer, block)
  const key = seqKey(live, KIND.block, block.first)
  const value = writer.view(0)
  sealRow(key, value)
  return { key, value }
}

function writeBlock(writer: Writer, block: Block): void {
  writeVersion(writer, VERSION)
  writer.u64(block.first)
  writer.u64(block.last)
  writer.u64(block.firstMs)
  writer.u64(block.lastMs)
  writer.u32(block.segments.length)
  for (const segment of block.segments) {
    writer.u64(segment.first)
    writer.u64(segment.last)
    writer.u32(segment.bytes)
    writer.u32(segment.names?.length ?? NAMES_UNKNOWN)
    for (const name of segment.names ?? []) writer.u32(name)
  }
}

function readNames(reader: Reader): number[] | null {
  const count = reader.u32()
  if (count === NAMES_UNKNOWN) return null
  const names: number[] = []
  for (let left = count; left > 0; left -= 1) names.push(reader.u32())
  return names
}

/** The distinct hashes of the names that events mention. */
export function namesIn(events: readonly AuditEvent[]): number[] {
  return [...new Set(events.map((event) => nameHash(event.name)))]
}

/** The block of a row that passed its checksum; its segments follow each other without a gap. Throws Damage. */
export function readBlock(payload: Uint8Array): Block {
  const reader = new Reader(payload)
  const version = readVersion(reader, VERSION, 'An audit block')
  const [first, last, firstMs, lastMs] = [reader.u64(), reader.u64(), reader.u64(), reader.u64()]
  const segments: SegmentMention[] = []
  let next = first
  for (let left = reader.u32(); left > 0; left -= 1) {
    const segment = { first: reader.u64(), last: reader.u64(), bytes: reader.u32(), names: readNames(reader) }
    if (segment.first !== next || segment.last < segment.first) throw new Damage('An audit block has a gap.')
    next = segment.last + 1
    segments.push(segment)
  }
  endRecord(reader, version, VERSION)
  if (next !== last + 1) throw new Damage('An audit block has a gap.')
  return { first, last, firstMs, lastMs, segments }
}

/** A block being gathered. */
export class OpenBlock {
  #segments: SegmentMention[] = []
  #firstMs = 0
  #lastMs = 0
  /** Of its segments' rows. */
  bytes = 0

  add(segment: SegmentMention, firstMs: number, lastMs: number): void {
    if (this.#segments.length === 0) this.#firstMs = firstMs
    this.#lastMs = lastMs
    this.#segments.push(segment)
    this.bytes += segment.bytes
  }

  get segments(): readonly SegmentMention[] {
    return this.#segments
  }
  /** Its first event; null while it is empty. */
  get first(): number | null {
    return this.#segments[0]?.first ?? null
  }
  get firstMs(): number {
    return this.#firstMs
  }

  /** True once it is to be closed. */
  get full(): boolean {
    const last = this.#segments.at(-1)
    if (last === undefined) return false
    return last.last - this.#segments[0]!.first + 1 >= BLOCK_EVENTS || this.#segments.length >= BLOCK_SEGMENTS
  }

  /** The block of what was gathered; another one begins. */
  close(): Block {
    const segments = this.#segments
    const [first, last] = [segments[0]!.first, segments.at(-1)!.last]
    this.#segments = []
    this.bytes = 0
    return { first, last, firstMs: this.#firstMs, lastMs: this.#lastMs, segments }
  }
}
