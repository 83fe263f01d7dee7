/**
 * A backup is a snapshot in a file: eight bytes that say what it is, then chunk after chunk, each behind its length. What is cut off or
 * altered anywhere is refused, and said where.
 */
import { getU32, putU32 } from './bytes.js'
import { CHUNK_BYTES_MAX } from './chunks.js'
import { StorageRefusal } from './refusal.js'
import type { OutgoingSnapshot } from './store.js'

const MAGIC = Buffer.from('LHBACKUP')
const LENGTH_BYTES = 4

/** The bytes of a backup. The snapshot is closed at the end, or when the loop over it is left. */
export async function* backupBytes(snapshot: OutgoingSnapshot): AsyncGenerator<Uint8Array> {
  try {
    yield MAGIC
    for await (const chunk of snapshot.chunks()) {
      const head = new Uint8Array(LENGTH_BYTES)
      putU32(head, 0, chunk.length)
      yield head
      yield chunk
    }
  } finally {
    await snapshot.close()
  }
}

/** The chunks in a backup's bytes, however these are cut into pieces. Throws StorageRefusal BAD_COPY. */
export async function* backupChunks(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let bytes: Buffer = Buffer.alloc(0)
  let known = false
  let read = 0
  for await (const piece of pieces) {
    bytes = bytes.length === 0 ? Buffer.from(piece) : Buffer.concat([bytes, piece])
    if (!known) {
      if (bytes.length < MAGIC.length) continue
      if (Buffer.compare(bytes.subarray(0, MAGIC.length), MAGIC) !== 0) {
        throw new StorageRefusal('BAD_COPY', 'This is not a backup of Leasehold.')
      }
      known = true
      read = MAGIC.length
      bytes = bytes.subarray(MAGIC.length)
    }
    while (bytes.length >= LENGTH_BYTES) {
      const length = getU32(bytes, 0)
      if (length === 0 || length > CHUNK_BYTES_MAX) {
        throw new StorageRefusal('BAD_COPY', `The backup is damaged at byte ${read}.`)
      }
      if (bytes.length < LENGTH_BYTES + length) break
      yield bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length)
      bytes = bytes.subarray(LENGTH_BYTES + length)
      read += LENGTH_BYTES + length
    }
  }
  if (!known) throw new StorageRefusal('BAD_COPY', 'This is not a backup of Leasehold.')
  if (bytes.length > 0)
    throw new StorageRefusal('BAD_COPY', `The backup is cut off: it ends at byte ${read + bytes.length}.`)
}
