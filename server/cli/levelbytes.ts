/** What LevelDB's files share: numbers in as few bytes as they need, and masked checksums. Reading beyond an end is a RangeError. */
import { crc32c } from '../storage/index.js'

const MASK_DELTA = 0xa282ead8

/** Reads a range of bytes from front to end. */
export class LevelBytes {
  readonly #bytes: Uint8Array
  readonly #end: number
  at: number

  constructor(bytes: Uint8Array, from = 0, to = bytes.length) {
    this.#bytes = bytes
    this.#end = to
    this.at = from
  }

  get done(): boolean {
    return this.at >= this.#end
  }

  /** Seven bits a byte, the lowest first. Exact below 2^53. */
  varint(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      if (this.done) throw new RangeError('a number ends early')
      const byte = this.#bytes[this.at]!
      this.at += 1
      value += (byte & 127) * scale
      if (byte < 128) break
    }
    if (!Number.isSafeInteger(value)) throw new RangeError('a number is too large')
    return value
  }

  skip(count: number): void {
    if (this.at + count > this.#end) throw new RangeError('bytes end early')
    this.at += count
  }

  /** Passes over bytes with their count in front. */
  skipCounted(): void {
    this.skip(this.varint())
  }
}

/** Whether the four bytes at `where` are the masked checksum of `bytes[from, to)`. */
export function isChecked(bytes: Uint8Array, from: number, to: number, where: number): boolean {
  const checksum = crc32c(bytes, from, to)
  const masked = (((checksum >>> 15) | (checksum << 17)) + MASK_DELTA) | 0
  return masked === (u32(bytes, where) | 0)
}

/** Lowest byte first. */
export function u32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}
