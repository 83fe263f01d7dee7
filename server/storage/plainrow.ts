/**
 * Reads the MessagePack that nearly every state row is made of: one flat array of short text, whole numbers, true, false and
 * null. A million rows are read at a start, and a general decoder is a sixth of that start's time. It must never read
 * anything else than the general decoder would: for any other row it gives up.
 */

/** Why a row is not plain. Made once: giving up is no error. */
const OTHER = Symbol('other')
const U32 = 2 ** 32

export class PlainRow {
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #end = 0

  /** The fields in `bytes[from, end)`, or null where they are not plain. */
  read(bytes: Uint8Array, from: number, end = bytes.length): unknown[] | null {
    this.#bytes = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#at = from
    this.#end = end
    const count = this.#count()
    if (count < 0) return null
    const fields = new Array<unknown>(count)
    for (let i = 0; i < count; i += 1) {
      const value = this.#at < this.#end ? this.#value() : OTHER
      if (value === OTHER) return null
      fields[i] = value
    }
    return this.#at === this.#end ? fields : null
  }

  #count(): number {
    if (this.#at >= this.#end) return -1
    const head = this.#bytes[this.#at++]!
    if ((head & 0xf0) === 0x90) return head & 0x0f
    if (head !== 0xdc) return -1
    const count = this.#natural(2)
    return typeof count === 'number' ? count : -1
  }

  #value(): unknown {
    const head = this.#bytes[this.#at++]!
    if (head < 0x80) return head
    if ((head & 0xe0) === 0xa0) return this.#text(head & 0x1f)
    switch (head) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xcc:
        return this.#natural(1)
      case 0xcd:
        return this.#natural(2)
      case 0xce:
        return this.#natural(4)
      case 0xcf: {
        const high = this.#natural(4)
        const low = this.#natural(4)
        return typeof high === 'number' && typeof low === 'number' ? high * U32 + low : OTHER
      }
      case 0xd9: {
        const length = this.#natural(1)
        return typeof length === 'number' ? this.#text(length) : OTHER
      }
      default:
        return OTHER
    }
  }

  #natural(bytes: number): number | typeof OTHER {
    if (this.#at + bytes > this.#end) return OTHER
    let value = 0
    for (let i = 0; i < bytes; i += 1) value = value * 256 + this.#bytes[this.#at++]!
    return value
  }

  #text(length: number): string | typeof OTHER {
    const from = this.#at
    const to = from + length
    if (to > this.#end) return OTHER
    this.#at = to
    for (let i = from; i < to; i += 1) if (this.#bytes[i]! > 0x7f) return OTHER
    return this.#bytes.toString('latin1', from, to)
  }
}
