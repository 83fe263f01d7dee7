/** A segment of the audit cut short: what is handed over ends where the state does, not where a batch did. */
import { eventBytes } from '@leasehold/protocol'
import { Writer } from './bytes.js'
import { FIRST_LIVE, KIND, seqKey } from './keys.js'
import type { ReadSegment } from './readaudit.js'
import { ROW_HEAD_BYTES, sealRow } from './rows.js'
import { writeSegment } from './segments.js'

/** The segment without its events after `last`, as a new row. */
export function cutAfter(segment: ReadSegment, last: number): { segment: ReadSegment; value: Uint8Array } {
  const events = segment.events.filter((event) => event.seq <= last)
  const end = events.at(-1)!
  const head = { ...segment.head, count: events.length, last, lastMs: end.clusterMs, hash: end.hash }
  const body = new Writer(65_536)
  for (const event of events) {
    const canonical = eventBytes(event)
    body.u32(canonical.length)
    body.bytes(canonical)
  }
  const writer = new Writer(body.length + 256)
  writer.length = ROW_HEAD_BYTES
  writeSegment(writer, head, body.view(0))
  const value = writer.view(0)
  sealRow(seqKey(FIRST_LIVE, KIND.segment, head.first), value)
  return { segment: { head, events, bytes: value.length }, value }
}
