/** Reading single rows of the audit back. Whatever is not as it was written is Damage, a missing row included. */
import type { ChainedEvent } from '@leasehold/protocol'
import type { VolumeReader } from '../ports/index.js'
import { KIND, seqKey, seqOfKey } from './keys.js'
import { Damage } from './refusal.js'
import { readRow } from './rows.js'
import { type Block, readBlock, readSegment, type SegmentHead } from './segments.js'

export interface ReadSegment {
  readonly head: SegmentHead
  readonly events: readonly ChainedEvent[]
  /** Of its row's value. */
  readonly bytes: number
}

export function segmentOf(key: Uint8Array, value: Uint8Array): ReadSegment {
  return { ...readSegment(readRow(key, value, 'A segment of the audit')), bytes: value.length }
}

export async function segmentAt(volume: VolumeReader, live: number, first: number): Promise<ReadSegment> {
  const key = seqKey(live, KIND.segment, first)
  const value = await volume.get(key)
  if (value === undefined) throw new Damage(`The audit from event ${first} on is missing.`)
  const segment = segmentOf(key, value)
  if (segment.head.first !== first) throw new Damage(`Audit event ${first} is not where it belongs.`)
  return segment
}

export async function blockAt(volume: VolumeReader, live: number, first: number): Promise<Block> {
  const key = seqKey(live, KIND.block, first)
  const value = await volume.get(key)
  if (value === undefined) throw new Damage(`The fingerprints of audit event ${first} are missing.`)
  const block = readBlock(readRow(key, value, 'A block of the audit'))
  if (block.first !== first) throw new Damage(`The fingerprints of audit event ${first} are not where they belong.`)
  return block
}

/** Segments from the one that holds event `from` on, in order and without a gap, until `to` is covered. */
export async function* segmentsFrom(
  volume: VolumeReader,
  live: number,
  from: number,
  to: number,
  chunkRows: number,
): AsyncGenerator<ReadSegment> {
  let next: number | null = null
  const start = await firstSegmentKey(volume, live, from)
  for await (const chunk of volume.scan({ from: start, to: seqKey(live, KIND.segment, to + 1), chunkRows })) {
    for (const [key, value] of chunk) {
      const segment = segmentOf(key, value)
      const { head } = segment
      if (next === null ? head.first > from || head.last < from : head.first !== next) {
        throw new Damage(`The audit from event ${next ?? from} on is missing.`)
      }
      next = head.last + 1
      yield segment
      if (next > to) return
    }
  }
  throw new Damage(`The audit from event ${next ?? from} on is missing.`)
}

/** The last segment that begins at or before event `seq`. */
export async function lastSegment(volume: VolumeReader, live: number, seq: number): Promise<ReadSegment> {
  const key = await firstSegmentKey(volume, live, seq)
  return segmentAt(volume, live, seqOfKey(key))
}

/** Key of the last segment that begins at or before event `seq`. */
export async function firstSegmentKey(volume: VolumeReader, live: number, seq: number): Promise<Uint8Array> {
  const range = { from: seqKey(live, KIND.segment, 0), to: seqKey(live, KIND.segment, seq + 1), reverse: true }
  for await (const chunk of volume.scan({ ...range, chunkRows: 1 })) if (chunk.length > 0) return chunk[0]![0]
  throw new Damage(`The audit from event ${seq} on is missing.`)
}
