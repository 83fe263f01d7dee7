/**
 * What opening looks at of the audit: its end, which must be the one that the marker names; all fingerprints; and the segments
 * that no fingerprints cover yet. Damage before the end is remembered, and found again by whoever reads that page.
 */
import type { VolumeReader } from '../ports/index.js'
import type { AuditTail } from './audit.js'
import { hexOf } from './chain.js'
import { KIND, kindEnd, seqKey, seqOfKey } from './keys.js'
import type { Marker } from './marker.js'
import { lastSegment, type ReadSegment, segmentOf } from './readaudit.js'
import { Damage, StorageRefusal } from './refusal.js'
import { readRow } from './rows.js'
import { type Block, namesIn, readBlock } from './segments.js'

const CHUNK_ROWS = 64
/** Events without fingerprints are taken together in spans of this size. */
const SPAN_EVENTS = 8_192

/** Fills the tail with what is there. Returns what was found damaged. Throws Damage where the end is not as the marker says. */
export async function findAudit(
  volume: VolumeReader,
  live: number,
  marker: Marker,
  audit: AuditTail,
): Promise<string[]> {
  const end = marker.audit
  if (end.last < end.first) return []
  const tail = await lastSegment(volume, live, end.last)
  if (tail.head.last !== end.last || tail.head.hash !== hexOf(end.lastHash)) {
    throw new Damage(`Audit event ${end.last} is not the one that the marker names.`)
  }
  const notices = await findBlocks(volume, live, end, audit)
  if (end.openFirst <= end.last) notices.push(...(await findOpen(volume, live, end, audit)))
  return notices
}

async function findBlocks(
  volume: VolumeReader,
  live: number,
  end: Marker['audit'],
  audit: AuditTail,
): Promise<string[]> {
  const notices: string[] = []
  let next: number | null = null
  const gap = (from: number, to: number): void => {
    if (from > to) return
    notices.push(`The fingerprints of the audit events ${from} to ${to} are damaged; their pages read slower.`)
    for (let first = from; first <= to; first += SPAN_EVENTS) {
      const last = Math.min(to, first + SPAN_EVENTS - 1)
      audit.foundBlock({ first, last, firstMs: 0, lastMs: 0, bytes: 0, damaged: true })
    }
  }
  const range = { from: seqKey(live, KIND.block, 0), to: kindEnd(live, KIND.block), chunkRows: CHUNK_ROWS }
  await tolerant(async () => {
    for await (const chunk of volume.scan(range)) {
      for (const [key, value] of chunk) {
        const block = blockOrNull(key, value)
        if (block === null || block.last >= end.openFirst || (next !== null && block.first < next)) continue
        if (next !== null || block.first > end.first) gap(next ?? end.first, block.first - 1)
        const bytes = block.segments.reduce((sum, segment) => sum + segment.bytes, 0)
        const { first, last, firstMs, lastMs } = block
        audit.foundBlock({ first, last, firstMs, lastMs, bytes, damaged: false })
        next = last + 1
      }
    }
  })
  gap(next ?? end.first, end.openFirst - 1)
  return notices
}

function blockOrNull(key: Uint8Array, value: Uint8Array): Block | null {
  try {
    return readBlock(readRow(key, value, 'A block of the audit'))
  } catch {
    return null
  }
}

async function findOpen(volume: VolumeReader, live: number, end: Marker['audit'], audit: AuditTail): Promise<string[]> {
  const notices: string[] = []
  let next = end.openFirst
  let hash: string | null = null
  const gap = (to: number): void => {
    if (next > to) return
    notices.push(`The audit events ${next} to ${to} are damaged.`)
    audit.foundOpen({ first: next, last: to, bytes: 0, names: null }, 0, 0)
    hash = null
  }
  const [from, to] = [seqKey(live, KIND.segment, end.openFirst), seqKey(live, KIND.segment, end.last + 1)]
  await tolerant(async () => {
    for await (const chunk of volume.scan({ from, to, chunkRows: CHUNK_ROWS })) {
      for (const [key, value] of chunk) {
        const segment = segmentOrNull(key, value)
        if (segment === null) continue
        const { head, events, bytes } = segment
        gap(head.first - 1)
        if (hash !== null && head.previous !== hash)
          throw new Damage(`The audit's chain breaks at event ${head.first}.`)
        audit.foundOpen(
          { first: head.first, last: head.last, bytes, names: namesIn(events) },
          head.firstMs,
          head.lastMs,
        )
        next = head.last + 1
        hash = head.hash
      }
    }
  })
  gap(end.last)
  return notices
}

function segmentOrNull(key: Uint8Array, value: Uint8Array): ReadSegment | null {
  try {
    const segment = segmentOf(key, value)
    return segment.head.first === seqOfKey(key) ? segment : null
  } catch {
    return null
  }
}

/** A scan that the volume cannot finish has found all that it can. */
async function tolerant(scan: () => Promise<void>): Promise<void> {
  try {
    await scan()
  } catch (error) {
    if (!(error instanceof StorageRefusal) || error.code !== 'DAMAGED') throw error
  }
}
