/**
 * Writing and reading binary records. A writer grows; views of what was written stay valid, and never change, because a
 * grown writer continues in a new buffer and leaves the old one to its views. A reader never reads past its end.
 * Integers are big-endian, so that keys sort by number; counts up to 2^53 take eight bytes.
 */
import { Damage } from './refusal.js'

const WORD = 2 ** 32

export class Writer {
  buffer: Buffer
  length = 0

  constructor(capacityBytes: number) {
    this.buffer = Buffer.allocUnsafeSlow(capacityBytes)
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    if (this.length + count <= this.buffer.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.length + count))
    this.buffer.copy(grown, 0, 0, this.length)
    this.buffer = grown
  }

  u8(value: number): void {
    this.reserve(1)
    this.buffer[this.length] = value
    this.length += 1
  }

  u16(value: number): void {
    this.reserve(2)
    this.length = this.buffer.writeUInt16BE(value, this.length)
  }

  /** Takes signed 32-bit integers as well. */
  u32(value: number): void {
    this.reserve(4)
    this.length = putU32(this.buffer, this.length, value)
  }

  u64(value: number): void {
    this.reserve(8)
    this.length = putU64(this.buffer, this.length, value)
  }

  bytes(value: Uint8Array): void {
    this.reserve(value.length)
    this.buffer.set(value, this.length)
    this.length += value.length
  }

  /** UTF-8 without a length. */
  raw(text: string): void {
    this.reserve(text.length * 3)
    this.length += this.buffer.write(text, this.length, 'utf8')
  }

  /** UTF-8 with its length in front, at most 65,535 bytes. */
  text(text: string): void {
    this.reserve(2 + text.length * 3)
    const count = this.buffer.write(text, this.length + 2, 'utf8')
    if (count > 65_535) throw new RangeError(`a text of ${count} bytes does not fit a record`)
    this.buffer.writeUInt16BE(count, this.length)
    this.length += 2 + count
  }

  view(from: number, to = this.length): Uint8Array {
    return this.buffer.subarray(from, to)
  }

  /** Forgets what was written. Only once nobody needs its views any more. */
  clear(): void {
    this.length = 0
  }
}

export function putU32(buffer: Uint8Array, at: number, value: number): number {
  buffer[at] = value >>> 24
  buffer[at + 1] = value >>> 16
  buffer[at + 2] = value >>> 8
  buffer[at + 3] = value
  return at + 4
}

export function putU64(buffer: Uint8Array, at: number, value: number): number {
  putU32(buffer, at, Math.floor(value / WORD))
  return putU32(buffer, at + 4, value % WORD)
}

export function getU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}

export function getU64(bytes: Uint8Array, at: number): number {
  return getU32(bytes, at) * WORD + getU32(bytes, at + 4)
}

export class Reader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  #take(count: number): number {
    const at = this.#at
    if (at + count > this.#bytes.length) throw new Damage('A record ends before its fields do.')
    this.#at = at + count
    return at
  }

  u8(): number {
    return this.#bytes[this.#take(1)]!
  }

  u16(): number {
    const at = this.#take(2)
    return (this.#bytes[at]! << 8) | this.#bytes[at + 1]!
  }

  u32(): number {
    return getU32(this.#bytes, this.#take(4))
  }

  u64(): number {
    const value = getU64(this.#bytes, this.#take(8))
    if (!Number.isSafeInteger(value)) throw new Damage('A record holds a number that is out of range.')
    return value
  }

  bytes(count: number): Uint8Array {
    const at = this.#take(count)
    return this.#bytes.subarray(at, at + count)
  }

  text(): string {
    return Buffer.from(this.bytes(this.u16())).toString('utf8')
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  /** Every byte of a record has a meaning. */
  end(): void {
    if (this.left > 0) throw new Damage('A record goes on after its fields.')
  }
}
