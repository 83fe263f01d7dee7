/**
 * The bytes of a snapshot's way from a leader to a member that lags too far (CHANNEL.bulk): chunks one way, acknowledgements and
 * refusals the other. Decoding throws ProtocolError for what is none.
 *
 *   u8 kind, u32 transfer, u32 seq of the chunk (0, 1, 2 ...), then the chunk
 */
import { ProtocolError } from '@leasehold/protocol'

export const BULK = {
  chunk: 1,
  /** This chunk is taken: there is room for another. */
  taken: 2,
  /** The receiver gave it up, or needs none. */
  refused: 3,
} as const
export type BulkKind = (typeof BULK)[keyof typeof BULK]

export interface Bulk {
  readonly kind: BulkKind
  readonly transfer: number
  readonly seq: number
  /** A view; empty but for chunks. */
  readonly chunk: Uint8Array
}

const HEAD_BYTES = 9
const NOTHING = new Uint8Array(0)

export function encodeBulk(kind: BulkKind, transfer: number, seq: number, chunk: Uint8Array = NOTHING): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + chunk.length)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, kind)
  view.setUint32(1, transfer)
  view.setUint32(5, seq)
  bytes.set(chunk, HEAD_BYTES)
  return bytes
}

export function decodeBulk(bytes: Uint8Array): Bulk {
  if (bytes.length < HEAD_BYTES) throw new ProtocolError('INVALID_ARGUMENT', 'a piece of a snapshot is cut short')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const kind = view.getUint8(0)
  if (kind !== BULK.chunk && kind !== BULK.taken && kind !== BULK.refused) {
    throw new ProtocolError('INVALID_ARGUMENT', 'a piece of a snapshot has a kind that this version does not know')
  }
  return { kind, transfer: view.getUint32(1), seq: view.getUint32(5), chunk: bytes.subarray(HEAD_BYTES) }
}
