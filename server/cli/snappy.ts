/**
 * Unpacks Snappy, in which LevelDB packs its blocks (google/snappy, format_description.txt). Only for blocks whose checksum is
 * right: what makes no sense is a RangeError, never wrong bytes.
 */

const KIND_LITERAL = 0
const KIND_COPY_1 = 1
const KIND_COPY_2 = 2
/** Of the lengths of a literal, those from here on stand in 1 to 4 bytes of their own. */
const LITERAL_LONG = 60

/** Throws RangeError where `packed` is not the whole of some packed bytes, or would unpack to more than `bytesMax`. */
export function unpackSnappy(packed: Uint8Array, bytesMax: number): Uint8Array {
  let at = 0
  const number = (bytes: number): number => {
    let value = 0
    for (let n = 0; n < bytes; n += 1) value += byteAt(packed, at + n) * 2 ** (8 * n)
    at += bytes
    return value
  }
  let length = 0
  for (let scale = 1; ; scale *= 128) {
    const byte = number(1)
    length += (byte & 127) * scale
    if (length > bytesMax) throw new RangeError(`it unpacks to more than ${bytesMax} bytes`)
    if (byte < 128) break
  }
  const out = new Uint8Array(length)
  let end = 0
  const expectRoom = (count: number): void => {
    if (end + count > length) throw new RangeError(`it unpacks to more than its ${length} bytes`)
  }
  const copy = (count: number, back: number): void => {
    expectRoom(count)
    if (back === 0 || back > end) throw new RangeError('it repeats what was not there')
    // A copy may overlap itself: byte by byte.
    for (let n = 0; n < count; n += 1, end += 1) out[end] = out[end - back]!
  }
  while (at < packed.length) {
    const tag = number(1)
    const kind = tag & 3
    if (kind === KIND_LITERAL) {
      const short = tag >>> 2
      const count = 1 + (short < LITERAL_LONG ? short : number(short - LITERAL_LONG + 1))
      expectRoom(count)
      if (at + count > packed.length) throw new RangeError('it ends early')
      out.set(packed.subarray(at, at + count), end)
      at += count
      end += count
    } else if (kind === KIND_COPY_1) copy(4 + ((tag >>> 2) & 7), ((tag >>> 5) << 8) + number(1))
    else copy(1 + (tag >>> 2), number(kind === KIND_COPY_2 ? 2 : 4))
  }
  if (end !== length) throw new RangeError('it ends early')
  return out
}

function byteAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at]
  if (byte === undefined) throw new RangeError('it ends early')
  return byte
}
