/**
 * Frames of requests, the busiest part of the wire: writing and walking one makes no object per request but its fields.
 * All that intake needs to turn a request away stands in front of its body, which is then never decoded.
 */
import { ProtocolError } from './fault.js'
import { FRAME_KIND, openFrame, WIRE_VERSION } from './frame.js'
import { LIMITS } from './limits.js'
import { classOf, type Op } from './ops.js'
import { BODY_BOUNDS, packShared, unpack } from './pack.js'

const FRAME_HEAD_BYTES = 4
const REQUEST_HEAD_BYTES = 16
const FIRST_BUFFER_BYTES = 16_384
const U16_MAX = 0xffff
const U32_MAX = 0xffff_ffff

/** Gathers requests into one frame. Reused: take() starts the next frame. */
export class RequestFrameWriter {
  #buffer = new Uint8Array(FIRST_BUFFER_BYTES)
  #view = new DataView(this.#buffer.buffer)
  #end = FRAME_HEAD_BYTES
  #count = 0

  /** Requests in the frame so far. */
  get count(): number {
    return this.#count
  }
  /** Size of the frame so far. */
  get bytes(): number {
    return this.#end
  }

  /**
   * False, with nothing added, when the request does not fit the frame any more (a request that fits no frame throws
   * TOO_LARGE). Attempts over 65,535 and times over 2^32 - 1 ms are written as these. An id that is no u32: RangeError.
   */
  add(op: number, attempt: number, id: number, remainingMs: number, fields: readonly unknown[]): boolean {
    if (id >>> 0 !== id) throw new RangeError(`a request's id is a u32, not ${id}`)
    if (this.#count === LIMITS.frameRequestsMax) return false
    const body = packShared(fields)
    const bytes = REQUEST_HEAD_BYTES + body.length
    if (FRAME_HEAD_BYTES + bytes > LIMITS.frameBytesMax) {
      throw new ProtocolError('TOO_LARGE', `a request has at most ${LIMITS.frameBytesMax} bytes, not ${bytes}`)
    }
    if (this.#end + bytes > LIMITS.frameBytesMax) return false
    if (this.#end + bytes > this.#buffer.length) this.#grow(this.#end + bytes)
    const at = this.#end
    const view = this.#view
    view.setUint8(at, op)
    view.setUint8(at + 1, classOf(op as Op, attempt))
    view.setUint16(at + 2, Math.min(attempt, U16_MAX))
    view.setUint32(at + 4, id)
    view.setUint32(at + 8, Math.min(Math.max(remainingMs, 0), U32_MAX))
    view.setUint32(at + 12, body.length)
    this.#buffer.set(body, at + REQUEST_HEAD_BYTES)
    this.#end = at + bytes
    this.#count++
    return true
  }

  /** The frame, as bytes of its own, and a fresh start. */
  take(): Uint8Array {
    this.#view.setUint8(0, WIRE_VERSION)
    this.#view.setUint8(1, FRAME_KIND.requests)
    this.#view.setUint16(2, this.#count)
    const frame = this.#buffer.slice(0, this.#end)
    this.#end = FRAME_HEAD_BYTES
    this.#count = 0
    return frame
  }

  #grow(bytes: number): void {
    const grown = new Uint8Array(Math.min(Math.max(2 * this.#buffer.length, bytes), LIMITS.frameBytesMax))
    grown.set(this.#buffer.subarray(0, this.#end))
    this.#buffer = grown
    this.#view = new DataView(grown.buffer)
  }
}

const NO_BYTES = new Uint8Array(0)

/** Walks over the requests of one frame; headers are read without decoding a body. Reused for frame after frame. */
export class RequestReader {
  op = 0
  workClass = 0
  attempt = 0
  id = 0
  remainingMs = 0
  bodyBytes = 0
  #frame: Uint8Array = NO_BYTES
  #left = 0
  #body = 0
  #next = 0

  /**
   * Checks the whole frame's structure first: a half frame is refused before any of its requests is seen. Returns the
   * count. The frame must not change while it is walked over. Throws ProtocolError TOO_LARGE or INVALID_ARGUMENT, and
   * is then at its end.
   */
  open(frame: Uint8Array): number {
    this.#left = 0
    const { kind, count } = openFrame(frame)
    if (kind !== FRAME_KIND.requests) throw new ProtocolError('INVALID_ARGUMENT', 'a frame of requests is expected')
    let at = FRAME_HEAD_BYTES
    for (let i = 0; i < count; i++) {
      if (at + REQUEST_HEAD_BYTES > frame.length) throw halfFrame(i, count)
      at += REQUEST_HEAD_BYTES + u32(frame, at + 12)
      if (at > frame.length) throw halfFrame(i, count)
    }
    if (at !== frame.length) {
      throw new ProtocolError('INVALID_ARGUMENT', `${frame.length - at} bytes follow the last of ${count} requests`)
    }
    this.#frame = frame
    this.#left = count
    this.#next = FRAME_HEAD_BYTES
    return count
  }

  /** Moves to the next request; false at the end. */
  next(): boolean {
    if (this.#left === 0) return false
    this.#left--
    const frame = this.#frame
    const at = this.#next
    this.op = frame[at]!
    this.workClass = frame[at + 1]!
    this.attempt = (frame[at + 2]! << 8) | frame[at + 3]!
    this.id = u32(frame, at + 4)
    this.remainingMs = u32(frame, at + 8)
    this.bodyBytes = u32(frame, at + 12)
    this.#body = at + REQUEST_HEAD_BYTES
    this.#next = this.#body + this.bodyBytes
    return true
  }

  /** Decodes the body of this request: a MessagePack array of bounded depth, or ProtocolError INVALID_ARGUMENT. */
  fields(): readonly unknown[] {
    return unpack(this.#frame, this.#body, this.#next, BODY_BOUNDS)
  }
}

function halfFrame(whole: number, count: number): ProtocolError {
  return new ProtocolError('INVALID_ARGUMENT', `half a frame: it ends within request ${whole + 1} of ${count}`)
}

function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}
