/**
 * A snapshot as it is handed over: the state of the last checkpoint and the audit up to there, out of one consistent view of the volume,
 * read as it is asked for. Every row is checked before it is sent: a member never passes its own damage on.
 */
import type { Key, Value, VolumeReader, VolumeView } from '../ports/index.js'
import { Writer } from './bytes.js'
import { hexOf } from './chain.js'
import { CHUNK, ChunkWriter, PAYLOAD_BYTES_MAX } from './chunks.js'
import { cutAfter } from './cutsegment.js'
import { Digest, markOf } from './digest.js'
import { KIND, kindEnd, plainKey, seqKey } from './keys.js'
import { readLive, readMarkerRow } from './liverows.js'
import { firstSegmentKey, segmentOf } from './readaudit.js'
import { asRefusal, Damage } from './refusal.js'
import { readRow, verifyRow } from './rows.js'
import { headOf } from './segments.js'
import { encodeHead, type SnapshotHead, snapshotHead } from './snapshothead.js'
import type { Identity, OutgoingSnapshot } from './store.js'

const STATE_ROWS = 256
const SEGMENT_ROWS = 4

export class Outgoing implements OutgoingSnapshot {
  readonly head: SnapshotHead
  readonly #view: VolumeView
  readonly #live: number
  readonly #closed: () => void
  #closing: Promise<void> | null = null
  #viewEnd: Promise<void> | null = null

  private constructor(view: VolumeView, live: number, head: SnapshotHead, closed: () => void) {
    this.#view = view
    this.#live = live
    this.head = head
    this.#closed = closed
  }

  /** Of the volume as it is now. Throws StorageRefusal. `closed` is called once. */
  static async open(view: VolumeView, identity: Identity, closed: () => void): Promise<Outgoing> {
    try {
      const live = await readLive(view)
      const marker = await readMarkerRow(view, live)
      return new Outgoing(view, live, snapshotHead(identity, marker), closed)
    } catch (error) {
      await view.close()
      closed()
      throw asRefusal(error)
    }
  }

  /** From the head to the end, once. Throws StorageRefusal where a row is damaged: there is no snapshot of this directory then. */
  async *chunks(): AsyncGenerator<Uint8Array> {
    const writer = new ChunkWriter()
    const totals = { rows: 0, bytes: 0 }
    try {
      yield writer.seal(CHUNK.head, encodeHead(this.head))
      for await (const rows of pieces(this.#rows(totals), totals)) yield writer.seal(CHUNK.rows, rows)
      yield writer.end(totals)
    } catch (error) {
      throw asRefusal(error)
    } finally {
      await this.#endView()
    }
  }

  async *#rows(totals: { rows: number }): AsyncGenerator<readonly [Key, Value]> {
    for await (const row of auditRows(this.#view, this.#live, this.head)) {
      totals.rows += 1
      yield row
    }
    const digest = new Digest()
    const [from, to] = [plainKey(this.#live, KIND.state), kindEnd(this.#live, KIND.state)]
    for await (const chunk of this.#view.scan({ from, to, chunkRows: STATE_ROWS })) {
      for (const row of chunk) {
        digest.add(markOf(verifyRow(row[0], row[1], 'A row of the state')))
        totals.rows += 1
        yield row
      }
    }
    if (!digest.agrees(this.head)) throw new Damage('The state is not the one that the marker names.')
  }

  /** Until then the log keeps what follows. */
  close(): Promise<void> {
    this.#closing ??= this.#endView().finally(this.#closed)
    return this.#closing
  }

  #endView(): Promise<void> {
    this.#viewEnd ??= this.#view.close()
    return this.#viewEnd
  }
}

/** Segments without a gap, the last one cut off where the state ends. */
async function* auditRows(
  view: VolumeReader,
  live: number,
  { auditFirst: first, auditLast: last, auditHash }: SnapshotHead,
): AsyncGenerator<readonly [Key, Value]> {
  if (first > last) return
  const from = await firstSegmentKey(view, live, first)
  let next: number | null = null
  for await (const chunk of view.scan({ from, to: seqKey(live, KIND.segment, last + 1), chunkRows: SEGMENT_ROWS })) {
    for (const row of chunk) {
      const head = headOf(readRow(row[0], row[1], 'A segment of the audit'))
      if (head.first > (next ?? first)) throw new Damage(`The audit from event ${next ?? first} on is missing.`)
      next = head.last + 1
      if (head.last > last) {
        const { segment, value } = cutAfter(segmentOf(row[0], row[1]), last)
        if (segment.head.hash !== hexOf(auditHash))
          throw new Damage(`Audit event ${last} is not the one that the marker names.`)
        yield [row[0], value]
      } else {
        yield row
      }
    }
  }
  if (next === null || next <= last) throw new Damage(`The audit from event ${next ?? first} on is missing.`)
}

/** The rows as one stream of bytes, cut into pieces that fit a chunk. */
async function* pieces(
  rows: AsyncIterable<readonly [Key, Value]>,
  totals: { bytes: number },
): AsyncGenerator<Uint8Array> {
  const writer = new Writer(PAYLOAD_BYTES_MAX * 2)
  for await (const [key, value] of rows) {
    const before = writer.length
    writer.u16(key.length - 1)
    writer.u32(value.length)
    writer.bytes(key.subarray(1))
    writer.bytes(value)
    totals.bytes += writer.length - before
    if (writer.length < PAYLOAD_BYTES_MAX) continue
    const stream = Buffer.from(writer.view(0))
    let at = 0
    for (; stream.length - at >= PAYLOAD_BYTES_MAX; at += PAYLOAD_BYTES_MAX) {
      yield stream.subarray(at, at + PAYLOAD_BYTES_MAX)
    }
    writer.clear()
    writer.bytes(stream.subarray(at))
  }
  if (writer.length > 0) yield writer.view(0)
}
