/**
 * The chunks that a snapshot or a backup is made of: numbered, each checked for itself, and chained by a running hash that the last one
 * names. So a damaged chunk is noticed as it comes, and one that is missing, doubled or exchanged before anything is used.
 *
 *   chunk     u32 CRC-32C of what follows, u8 version, u8 readable from, u8 kind, u32 number, payload
 *   head      the first one, once: what is handed over (snapshothead.ts)
 *   rows      a piece of the stream of rows: u16 bytes of the key, u32 bytes of the value, key without the live prefix, value
 *   end       the last one: u64 rows, u64 bytes of the stream of rows, u32 chunks, SHA-256 of all chunks before it
 *
 * A later version may bring kinds of its own; those from 128 on are passed over by who does not know them.
 */
import { createHash, type Hash } from 'node:crypto'
import { getU32, putU32, Reader, Writer } from './bytes.js'
import { HASH_BYTES } from './chain.js'
import { crc32c } from './crc32c.js'
import { Damage } from './refusal.js'
import { endRecord, readVersion, type Version, writeVersion } from './version.js'

export const CHUNK = { head: 1, rows: 2, end: 3, optional: 128 } as const

/** Of a whole chunk that is taken. */
export const CHUNK_BYTES_MAX = 262_144
/** Of one that is made: to check it holds a member's loop for a few milliseconds. A row that is larger is cut over several. */
const MADE_BYTES_MAX = 65_536
const HEAD_BYTES = 4 + 2 + 1 + 4
export const PAYLOAD_BYTES_MAX = MADE_BYTES_MAX - HEAD_BYTES

export const SNAPSHOT_VERSION: Version = { version: 1, readableFrom: 1, readsFrom: 1 }

const WHAT = 'The snapshot'

export interface Chunk {
  readonly version: number
  readonly kind: number
  readonly payload: Uint8Array
}

/** What the last chunk proves. */
export interface Totals {
  readonly rows: number
  readonly bytes: number
}

export class ChunkWriter {
  readonly #version: Version
  readonly #hash: Hash = createHash('sha256')
  #number = 0

  constructor(version: Version = SNAPSHOT_VERSION) {
    this.#version = version
  }

  seal(kind: number, payload: Uint8Array): Uint8Array {
    const writer = new Writer(HEAD_BYTES + payload.length)
    writer.u32(0)
    writeVersion(writer, this.#version)
    writer.u8(kind)
    writer.u32(this.#number)
    writer.bytes(payload)
    const chunk = writer.view(0)
    putU32(chunk, 0, crc32c(chunk, 4))
    this.#hash.update(chunk)
    this.#number += 1
    return chunk
  }

  end({ rows, bytes }: Totals): Uint8Array {
    const writer = new Writer(64)
    writer.u64(rows)
    writer.u64(bytes)
    writer.u32(this.#number)
    writer.bytes(this.#hash.copy().digest())
    return this.seal(CHUNK.end, writer.view(0))
  }
}

export class ChunkReader {
  readonly #known: Version
  readonly #hash: Hash = createHash('sha256')
  #number = 0

  constructor(known: Version = SNAPSHOT_VERSION) {
    this.#known = known
  }

  /** The next chunk, checked. Throws Damage, or StorageRefusal (NEWER_VERSION, OLDER_VERSION). */
  open(chunk: Uint8Array): Chunk {
    const what = `Chunk ${this.#number} of the snapshot`
    if (chunk.length < HEAD_BYTES || chunk.length > CHUNK_BYTES_MAX) throw new Damage(`${what} has a wrong length.`)
    if (getU32(chunk, 0) !== crc32c(chunk, 4) >>> 0) throw new Damage(`${what} fails its checksum.`)
    const reader = new Reader(chunk.subarray(4))
    const version = readVersion(reader, this.#known, WHAT)
    const kind = reader.u8()
    const number = reader.u32()
    if (number !== this.#number) throw new Damage(`${what} is missing: chunk ${number} came in its place.`)
    const payload = reader.bytes(reader.left)
    if (kind === CHUNK.end) return { version, kind, payload }
    this.#hash.update(chunk)
    this.#number += 1
    return { version, kind, payload }
  }

  /** The payload of the last chunk, compared with the chunks that came. Throws Damage. */
  end({ version, payload }: Chunk): Totals {
    const reader = new Reader(payload)
    const totals = { rows: reader.u64(), bytes: reader.u64() }
    const chunks = reader.u32()
    const hash = reader.bytes(HASH_BYTES)
    endRecord(reader, version, this.#known)
    if (chunks !== this.#number || Buffer.compare(hash, this.#hash.digest()) !== 0) {
      throw new Damage(`${WHAT} is not the one that its end names.`)
    }
    return totals
  }
}
