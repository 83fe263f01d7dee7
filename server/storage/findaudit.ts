/**
 * What opening looks at of the audit: all fingerprints, and every segment after them up to the end that the marker names.
 * A lost or wrong end is Damage. Damage in the middle is remembered, and found again by whoever reads that page.
 */
import type { Volume } from '../ports/index.js'
import type { AuditTail } from './audit.js'
import { hexOf } from './chain.js'
import { KIND, kindEnd, seqKey } from './keys.js'
import type { Marker } from './marker.js'
import { segmentsFrom } from './readaudit.js'
import { Damage } from './refusal.js'
import { readRow } from './rows.js'
import { type Block, nameHash, readBlock } from './segments.js'

const CHUNK_ROWS = 64

/** Throws Damage where the end is not the one that the marker names. */
export async function findAudit(volume: Volume, live: number, marker: Marker, audit: AuditTail): Promise<void> {
  await findBlocks(volume, live, marker.audit, audit)
  await findOpen(volume, live, marker.audit, audit)
}

async function findBlocks(volume: Volume, live: number, end: Marker['audit'], audit: AuditTail): Promise<void> {
  let next: number | null = null
  const gap = (to: number): void => {
    if (next === null) next = end.first
    if (next > to) return
    audit.foundBlock({ first: next, last: to, firstMs: 0, lastMs: 0, bytes: 0, damaged: true })
  }
  const range = { from: seqKey(live, KIND.block, 0), to: kindEnd(live, KIND.block), chunkRows: CHUNK_ROWS }
  for await (const chunk of volume.scan(range)) {
    for (const [key, value] of chunk) {
      const block = blockOrNull(key, value)
      if (block === null || (next !== null && block.first < next) || block.last >= end.openFirst) continue
      if (next !== null || block.first > end.first) gap(block.first - 1)
      const bytes = block.segments.reduce((sum, segment) => sum + segment.bytes, 0)
      const { first, last, firstMs, lastMs } = block
      audit.foundBlock({ first, last, firstMs, lastMs, bytes, damaged: false })
      next = block.last + 1
    }
  }
  gap(end.openFirst - 1)
}

function blockOrNull(key: Uint8Array, value: Uint8Array): Block | null {
  try {
    return readBlock(readRow(key, value, 'A block of the audit'))
  } catch {
    return null
  }
}

async function findOpen(volume: Volume, live: number, end: Marker['audit'], audit: AuditTail): Promise<void> {
  if (end.openFirst > end.last) return
  let hash: string | null = null
  for await (const { head, events, bytes } of segmentsFrom(volume, live, end.openFirst, end.last, CHUNK_ROWS)) {
    if (hash !== null && head.previous !== hash) throw new Damage(`The audit's chain breaks at event ${head.first}.`)
    hash = head.hash
    const names = [...new Set(events.map((event) => nameHash(event.name)))]
    audit.foundOpen({ first: head.first, last: head.last, bytes, names }, head.firstMs, head.lastMs)
    if (head.last > end.last) throw new Damage(`The audit goes on after event ${end.last}, its end.`)
  }
  if (hash !== hexOf(end.lastHash)) throw new Damage(`Audit event ${end.last} is not the one that the marker names.`)
}
