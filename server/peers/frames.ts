/**
 * Frames of a link that stands: `u32 bytes, u8 kind`, then so many bytes. Kinds 1 to 3 are the channels, each frame one message.
 * The reader takes what arrives in whatever pieces, and never holds more than one frame; a frame that breaks the contract throws.
 */
import { CHANNEL, type Channel } from '../ports/index.js'

export const FRAME_HEAD_BYTES = 5

export const CONTROL = {
  /** The dialler's first frame: it has taken the welcome, the link stands. */
  go: 16,
  /** Nothing to say, and still there. */
  ping: 17,
} as const
export type Control = (typeof CONTROL)[keyof typeof CONTROL]

const KINDS: ReadonlySet<number> = new Set([...Object.values(CHANNEL), ...Object.values(CONTROL)])
const CHANNELS: ReadonlySet<number> = new Set(Object.values(CHANNEL))

export const isChannel = (kind: Channel | Control): kind is Channel => CHANNELS.has(kind)

export function putHead(bytes: Uint8Array, at: number, length: number, kind: Channel | Control): void {
  bytes[at] = length >>> 24
  bytes[at + 1] = length >>> 16
  bytes[at + 2] = length >>> 8
  bytes[at + 3] = length
  bytes[at + 4] = kind
}

export class FrameError extends Error {
  override readonly name = 'FrameError'
}

export class FrameReader {
  readonly #frameBytesMax: number
  readonly #take: (kind: Channel | Control, bytes: Uint8Array) => void
  /** The frame that is still incomplete: its head alone, then, once its length is known, all of it in one piece of its own. */
  #frame: Uint8Array
  #held = 0
  #stopped = false

  constructor(frameBytesMax: number, take: (kind: Channel | Control, bytes: Uint8Array) => void) {
    this.#frameBytesMax = frameBytesMax
    this.#take = take
    this.#frame = new Uint8Array(FRAME_HEAD_BYTES)
  }

  /** Nothing more is taken, what stands in the same piece included. */
  stop(): void {
    this.#stopped = true
  }

  /** Frames that are whole as they stand are views of `chunk`. Throws FrameError; the reader is of no use afterwards. */
  push(chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.length && !this.#stopped) {
      if (this.#held === 0) at = this.#whole(chunk, at)
      if (at === chunk.length || this.#stopped) return
      const count = Math.min(this.#frame.length - this.#held, chunk.length - at)
      this.#frame.set(chunk.subarray(at, at + count), this.#held)
      this.#held += count
      at += count
      if (this.#held === this.#frame.length) this.#filled()
    }
  }

  /** Takes the frames that begin at `at` and are whole. Returns where they end. */
  #whole(bytes: Uint8Array, from: number): number {
    let at = from
    while (!this.#stopped && bytes.length - at >= FRAME_HEAD_BYTES) {
      const end = at + FRAME_HEAD_BYTES + this.#length(bytes, at)
      if (end > bytes.length) break
      this.#take(bytes[at + 4] as Channel | Control, bytes.subarray(at + FRAME_HEAD_BYTES, end))
      at = end
    }
    return at
  }

  #filled(): void {
    const frame = this.#frame
    const total = FRAME_HEAD_BYTES + this.#length(frame, 0)
    if (frame.length < total) {
      this.#frame = new Uint8Array(total)
      this.#frame.set(frame)
      return
    }
    this.#frame = new Uint8Array(FRAME_HEAD_BYTES)
    this.#held = 0
    this.#take(frame[4] as Channel | Control, frame.subarray(FRAME_HEAD_BYTES))
  }

  #length(bytes: Uint8Array, at: number): number {
    const length = ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
    if (length > this.#frameBytesMax) throw new FrameError(`announces a frame of ${length} bytes`)
    if (!KINDS.has(bytes[at + 4]!)) throw new FrameError(`sends a frame of the unknown kind ${bytes[at + 4]}`)
    return length
  }
}
