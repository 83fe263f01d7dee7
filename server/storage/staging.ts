/**
 * What is received of a snapshot, written under a prefix that is not live, in bounded batches. Every row is checked as it comes; at the end
 * the whole is compared with what the head and the end of the snapshot name: counts, the digest of the state, the audit's
 * chain. The fingerprints of the audit are made anew. Nothing of it counts before the live prefix is switched.
 */
import type { Key, Value, Volume } from '../ports/index.js'
import { getU32 } from './bytes.js'
import { hexOf } from './chain.js'
import { CHUNK, type Chunk, ChunkReader } from './chunks.js'
import { Digest, markOf } from './digest.js'
import { Filling } from './filling.js'
import { KIND, SEQ_KEY_BYTES, seqKey, seqOfKey } from './keys.js'
import type { Marker } from './marker.js'
import { segmentOf } from './readaudit.js'
import { Damage } from './refusal.js'
import { verifyRow } from './rows.js'
import { encodeBlock, namesIn, OpenBlock } from './segments.js'
import { decodeHead, markerOfHead, type SnapshotHead } from './snapshothead.js'

const ROW_HEAD = 6
const KEY_BYTES_MAX = 4_096
/** Far more than any row has: a length beyond it is damage. */
const VALUE_BYTES_MAX = 268_435_456

export class Staging {
  readonly #live: number
  readonly #filling: Filling
  readonly #reader = new ChunkReader()
  #head: SnapshotHead | null = null
  #complete = false
  /** A row that is not whole yet. */
  #rest: Uint8Array = new Uint8Array(0)
  #rows = 0
  #bytes = 0
  #lastKey: Uint8Array = new Uint8Array(0)
  readonly #digest = new Digest()
  readonly #open = new OpenBlock()
  /** Where the audit goes on; null before its first segment. */
  #next: { readonly seq: number; readonly hash: string } | null = null

  /** The prefix must be empty. */
  constructor(volume: Volume, live: number) {
    this.#live = live
    this.#filling = new Filling(volume)
  }

  get head(): SnapshotHead | null {
    return this.#head
  }
  /** The end has come, and the whole is what it should be, durably. */
  get complete(): boolean {
    return this.#complete
  }
  /** Of the rows that were staged, once they are complete. */
  get marker(): Marker {
    const marker = markerOfHead(this.#head!)
    marker.audit.openFirst = this.#open.first ?? marker.audit.last + 1
    return marker
  }

  /** The next chunk. Throws Damage, or what the volume throws; all is in vain then. */
  async add(chunk: Uint8Array): Promise<void> {
    if (this.#complete) throw new Damage('The snapshot goes on after its end.')
    const opened = this.#reader.open(chunk)
    const { kind, payload } = opened
    if (kind === CHUNK.head && this.#head === null) this.#head = decodeHead(payload)
    else if (this.#head === null) throw new Damage('The snapshot does not begin with its head.')
    else if (kind === CHUNK.rows) await this.#addRows(payload)
    else if (kind === CHUNK.end) await this.#finish(opened)
    else if (kind < CHUNK.optional) throw new Damage(`The snapshot has a chunk of the unknown kind ${kind}.`)
  }

  async #addRows(payload: Uint8Array): Promise<void> {
    this.#bytes += payload.length
    const bytes = this.#rest.length === 0 ? payload : Buffer.concat([this.#rest, payload])
    let at = 0
    while (bytes.length - at >= ROW_HEAD) {
      const keyBytes = (bytes[at]! << 8) | bytes[at + 1]!
      const valueBytes = getU32(bytes, at + 2)
      if (keyBytes === 0 || keyBytes > KEY_BYTES_MAX || valueBytes > VALUE_BYTES_MAX) {
        throw new Damage('The snapshot has a row of an impossible length.')
      }
      const valueAt = at + ROW_HEAD + keyBytes
      if (bytes.length - valueAt < valueBytes) break
      const key = new Uint8Array(1 + keyBytes)
      key[0] = this.#live
      key.set(bytes.subarray(at + ROW_HEAD, valueAt), 1)
      at = valueAt + valueBytes
      await this.#addRow(key, bytes.subarray(valueAt, at))
    }
    this.#rest = bytes.subarray(at)
  }

  async #addRow(key: Key, value: Value): Promise<void> {
    if (Buffer.compare(key, this.#lastKey) <= 0) throw new Damage('The rows of the snapshot are out of order.')
    this.#lastKey = key
    this.#rows += 1
    if (key[1] === KIND.state) this.#digest.add(markOf(verifyRow(key, value, 'A row of the state')))
    else if (key[1] === KIND.segment && key.length === SEQ_KEY_BYTES) await this.#addSegment(key, value)
    else throw new Damage('The snapshot has a row that belongs to no snapshot.')
    await this.#filling.put(key, value)
  }

  async #addSegment(key: Key, value: Value): Promise<void> {
    const { head, events, bytes } = segmentOf(key, value)
    const { auditFirst, auditLast } = this.#head!
    const begins = this.#next === null && head.first <= auditFirst && head.last >= auditFirst
    const follows = head.first === this.#next?.seq && head.previous === this.#next.hash
    if (!(begins || follows) || head.first !== seqOfKey(key) || head.last > auditLast) {
      throw new Damage(`The audit's chain breaks at event ${head.first}.`)
    }
    this.#next = { seq: head.last + 1, hash: head.hash }
    const { first, last, firstMs, lastMs } = head
    this.#open.add({ first, last, bytes, names: namesIn(events) }, firstMs, lastMs)
    if (!this.#open.full) return
    const block = this.#open.close()
    await this.#filling.put(seqKey(this.#live, KIND.block, block.first), encodeBlock(this.#live, block).value)
  }

  async #finish(end: Chunk): Promise<void> {
    const { rows, bytes } = this.#reader.end(end)
    if (rows !== this.#rows || bytes !== this.#bytes || this.#rest.length > 0) {
      throw new Damage(
        `The snapshot has ${this.#rows} rows in ${this.#bytes} bytes, and its end names ${rows} in ${bytes}.`,
      )
    }
    const head = this.#head!
    if (!this.#digest.agrees(head)) throw new Damage('The state is not the one that the head of the snapshot names.')
    if (head.auditFirst <= head.auditLast) {
      const reached = this.#next?.seq === head.auditLast + 1 && this.#next.hash === hexOf(head.auditHash)
      if (!reached)
        throw new Damage(`Audit event ${head.auditLast} is not the one that the head of the snapshot names.`)
    }
    await this.#filling.end()
    this.#complete = true
  }
}
