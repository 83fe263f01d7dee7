/**
 * MessagePack for the frames and records: one encoder and one decoder for the whole process, since a codec's warm
 * buffer is most of its speed. What is plain (nearly everything is) never reaches the general encoder. Nothing is decoded that scan.ts has not looked over.
 */
import { Decoder, Encoder } from '@msgpack/msgpack'
import { LIMITS } from './limits.js'
import { PlainWriter } from './plain.js'
import { type Bounds, scanArray } from './scan.js'

const encoder = new Encoder({ maxDepth: 8 })
const plain = new PlainWriter()
// scan.ts refuses all of this before; the second lock costs nothing.
const decoder = new Decoder({
  maxStrLength: LIMITS.replyBytesMax,
  maxBinLength: LIMITS.replyBytesMax,
  maxArrayLength: LIMITS.replyBytesMax,
  maxMapLength: 0,
  maxExtLength: 0,
})

/** Within a request's body. */
export const BODY_BOUNDS: Bounds = { depthMax: LIMITS.msgpackDepthMax, itemsMax: LIMITS.requestItemsMax }
/** Of a whole frame, where the frame's and the message's own arrays surround the fields. */
export const FRAME_BOUNDS: Bounds = { depthMax: LIMITS.msgpackDepthMax + 2, itemsMax: LIMITS.replyBytesMax }

/** The encoder's own buffer: valid until the next call, to be copied at once. */
export function packShared(fields: readonly unknown[]): Uint8Array {
  return plain.write(fields) ?? encoder.encodeSharedRef(fields)
}

/** Bytes of their own. */
export function pack(fields: readonly unknown[]): Uint8Array {
  return plain.write(fields)?.slice() ?? encoder.encode(fields)
}

/** The array in bytes[start, end). Throws ProtocolError INVALID_ARGUMENT. */
export function unpack(bytes: Uint8Array, start: number, end: number, bounds: Bounds): readonly unknown[] {
  scanArray(bytes, start, end, bounds)
  return decoder.decode(bytes.subarray(start, end)) as readonly unknown[]
}
