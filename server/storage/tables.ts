/**
 * State rows: what of the machine's tables is written down, and read back. A row's value is the MessagePack array that its
 * table makes of it. Rows are written when they have changed, never all at once; the digest follows.
 */
import { packShared } from '@leasehold/protocol'
import { Decoder } from '@msgpack/msgpack'
import type { StoredTable } from '../machine/index.js'
import type { Volume, VolumeBatch } from '../ports/index.js'
import type { Writer } from './bytes.js'
import { Digest, markOf } from './digest.js'
import { KIND, kindEnd, plainKey, tablePrefix } from './keys.js'
import { PlainRow } from './plainrow.js'
import { StorageRefusal } from './refusal.js'
import { ROW_HEAD_BYTES, sealRow, verifyPacked } from './rows.js'

export const KEY_BYTES_MAX = 1_024
const CHUNK_ROWS = 4_096

/** One for all rows: a decoder's warmth is most of its speed. */
const decoder = new Decoder()
const plain = new PlainRow()

export class StateTables {
  readonly #tables: readonly { readonly table: StoredTable; readonly prefix: Uint8Array }[]
  readonly #live: number
  digest: Digest

  constructor(tables: readonly StoredTable[], live: number) {
    this.#tables = tables.map((table) => ({ table, prefix: tablePrefix(live, table.name) }))
    if (new Set(tables.map((table) => table.name)).size < tables.length) throw new RangeError('two tables share a name')
    this.#live = live
    this.digest = new Digest()
  }

  /** Puts all changes since the last call into the batch; keys and values stand in `writer`. */
  stage(batch: VolumeBatch, writer: Writer): void {
    for (const { table, prefix } of this.#tables) {
      if (table.changeCount === 0) continue
      for (const { key, row, removed } of table.takeChanges()) {
        if (row.saved !== 0) this.digest.remove(row.saved)
        else if (removed) continue
        const keyFrom = writer.length
        writer.bytes(prefix)
        writer.raw(key)
        const keyTo = writer.length
        if (keyTo - keyFrom - prefix.length > KEY_BYTES_MAX)
          throw new RangeError(`a key of "${table.name}" is too long`)
        if (removed) {
          row.saved = 0
          batch.del(writer.view(keyFrom, keyTo))
          continue
        }
        const payload = packShared(table.encode(row))
        writer.reserve(ROW_HEAD_BYTES + payload.length)
        writer.length += ROW_HEAD_BYTES
        writer.bytes(payload)
        const rowKey = writer.view(keyFrom, keyTo)
        const value = writer.view(keyTo)
        row.saved = markOf(sealRow(rowKey, value))
        this.digest.add(row.saved)
        batch.put(rowKey, value)
      }
    }
  }

  /** Loads all rows into the tables and gathers their digest. Throws Damage, or StorageRefusal NEWER_VERSION. */
  async load(volume: Volume): Promise<void> {
    this.digest = new Digest()
    const range = { from: plainKey(this.#live, KIND.state), to: kindEnd(this.#live, KIND.state), chunkRows: CHUNK_ROWS }
    let current: { readonly table: StoredTable; readonly prefix: Uint8Array } | undefined
    for await (const { bytes, ends } of volume.scanPacked(range)) {
      const packed = bufferOf(bytes)
      let from = 0
      for (let at = 0; at < ends.length; at += 2) {
        const valueFrom = ends[at]!
        const to = ends[at + 1]!
        const mark = markOf(verifyPacked(packed, from, valueFrom, to, 'A row of the state'))
        if (current === undefined || !startsWith(packed, current.prefix, from, valueFrom)) {
          current = this.#tableOf(packed.subarray(from, valueFrom))
        }
        this.digest.add(mark)
        const key = packed.toString('utf8', from + current.prefix.length, valueFrom)
        loadRow(current.table, key, packed, valueFrom + ROW_HEAD_BYTES, to, mark)
        from = to
      }
    }
  }

  /** True for a row of one of these tables. */
  owns(key: Uint8Array): boolean {
    return this.#tables.some(({ prefix }) => startsWith(key, prefix))
  }

  /** Loads one row that was checked. */
  loadOne(key: Uint8Array, value: Uint8Array, mark: number): void {
    const { table, prefix } = this.#tableOf(key)
    loadRow(table, bufferOf(key).toString('utf8', prefix.length), value, ROW_HEAD_BYTES, value.length, mark)
  }

  #tableOf(key: Uint8Array): { readonly table: StoredTable; readonly prefix: Uint8Array } {
    const found = this.#tables.find(({ prefix }) => startsWith(key, prefix))
    if (found) return found
    const name = Buffer.from(key.subarray(2, Math.max(2, key.indexOf(0, 2)))).toString('utf8')
    throw new StorageRefusal('NEWER_VERSION', `The state holds rows of "${name}", which this version does not know.`)
  }
}

/** The fields stand in `bytes[from, to)`. */
function loadRow(table: StoredTable, key: string, bytes: Uint8Array, from: number, to: number, mark: number): void {
  try {
    const fields = plain.read(bytes, from, to) ?? (decoder.decode(bytes.subarray(from, to)) as unknown[])
    table.load(key, fields, mark)
  } catch (error) {
    // Its checksum is right: it is as some other version wrote it.
    throw new StorageRefusal('NEWER_VERSION', `This version does not understand a row: ${(error as Error).message}.`)
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** Whether the key in `bytes[from, to)` does. */
function startsWith(bytes: Uint8Array, prefix: Uint8Array, from = 0, to = bytes.length): boolean {
  if (to - from < prefix.length) return false
  for (let at = 0; at < prefix.length; at += 1) if (bytes[from + at] !== prefix[at]) return false
  return true
}
