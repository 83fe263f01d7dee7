/**
 * MessagePack, but only of what nearly every frame, entry and event is made of: nested arrays of ASCII text, whole numbers
 * from 0 to 2^53 - 1, true, false and null, each in its shortest form. Several times as fast as a general encoder.
 * Must never write anything but the bytes that the general encoder would: for any other value it gives up.
 */

const START_BYTES = 16_384
/** Given back once a large frame has gone out. */
const KEPT_BYTES = 2_097_152
/** The longest head: 0xcf and eight bytes. */
const HEAD_BYTES_MAX = 9
const U32 = 2 ** 32

export class PlainWriter {
  #bytes = new Uint8Array(START_BYTES)
  #length = 0

  /** The bytes, valid until the next call; null where a value is not plain. */
  write(fields: readonly unknown[]): Uint8Array | null {
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = new Uint8Array(START_BYTES)
    this.#length = 0
    return this.#array(fields) ? this.#bytes.subarray(0, this.#length) : null
  }

  #array(fields: readonly unknown[]): boolean {
    const count = fields.length
    this.#reserve(HEAD_BYTES_MAX)
    if (count < 16) this.#bytes[this.#length++] = 0x90 | count
    else if (count < 65_536) this.#head16(0xdc, count)
    else this.#head32(0xdd, count)
    for (let i = 0; i < count; i++) if (!this.#value(fields[i])) return false
    return true
  }

  #value(value: unknown): boolean {
    if (typeof value === 'string') return this.#text(value)
    this.#reserve(HEAD_BYTES_MAX)
    if (typeof value === 'number') return this.#natural(value)
    if (value === null) this.#bytes[this.#length++] = 0xc0
    else if (value === true) this.#bytes[this.#length++] = 0xc3
    else if (value === false) this.#bytes[this.#length++] = 0xc2
    else return Array.isArray(value) && this.#array(value)
    return true
  }

  #text(text: string): boolean {
    const count = text.length
    this.#reserve(HEAD_BYTES_MAX + count)
    if (count < 32) this.#bytes[this.#length++] = 0xa0 | count
    else if (count < 256) {
      this.#bytes[this.#length++] = 0xd9
      this.#bytes[this.#length++] = count
    } else if (count < 65_536) this.#head16(0xda, count)
    else this.#head32(0xdb, count)
    const bytes = this.#bytes
    let at = this.#length
    for (let i = 0; i < count; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 0x7f) return false
      bytes[at++] = unit
    }
    this.#length = at
    return true
  }

  #natural(value: number): boolean {
    if (!(value >= 0) || !Number.isSafeInteger(value) || Object.is(value, -0)) return false
    if (value < 128) this.#bytes[this.#length++] = value
    else if (value < 256) {
      this.#bytes[this.#length++] = 0xcc
      this.#bytes[this.#length++] = value
    } else if (value < 65_536) this.#head16(0xcd, value)
    else if (value < U32) this.#head32(0xce, value)
    else {
      const high = Math.floor(value / U32)
      this.#head32(0xcf, high)
      this.#u32(value - high * U32)
    }
    return true
  }

  #head16(head: number, value: number): void {
    const bytes = this.#bytes
    bytes[this.#length++] = head
    bytes[this.#length++] = value >>> 8
    bytes[this.#length++] = value
  }

  #head32(head: number, value: number): void {
    this.#bytes[this.#length++] = head
    this.#u32(value)
  }

  #u32(value: number): void {
    const bytes = this.#bytes
    bytes[this.#length++] = value >>> 24
    bytes[this.#length++] = value >>> 16
    bytes[this.#length++] = value >>> 8
    bytes[this.#length++] = value
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + count))
    larger.set(this.#bytes)
    this.#bytes = larger
  }
}
