/**
 * As much of the protocol buffers' wire format as etcd's lease requests need: whole numbers, bytes and messages. Numbers
 * are below 2^53; those that come back larger are not read as numbers.
 */

const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5

export type Field = readonly [number: number, value: number | string | Uint8Array]

/** A message of these fields, in their order. */
export function message(...fields: readonly Field[]): Uint8Array {
  const out: number[] = []
  for (const [number, value] of fields) {
    if (typeof value === 'number') {
      varint(out, number * 8 + VARINT)
      varint(out, value)
      continue
    }
    const bytes = typeof value === 'string' ? Buffer.from(value) : value
    varint(out, number * 8 + BYTES)
    varint(out, bytes.length)
    for (const byte of bytes) out.push(byte)
  }
  return Uint8Array.from(out)
}

function varint(out: number[], value: number): void {
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) out.push((rest % 0x80) + 0x80)
  out.push(rest)
}

/** The first field of this number: a varint as a bigint, anything else as its bytes. Undefined where there is none. */
export function fieldOf(bytes: Uint8Array, wanted: number): bigint | Uint8Array | undefined {
  let at = 0
  const next = (): bigint => {
    let [value, shift] = [0n, 0n]
    for (;;) {
      const byte = bytes[at++]
      if (byte === undefined) throw new Error('a message ends too soon')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
      shift += 7n
    }
  }
  while (at < bytes.length) {
    const head = Number(next())
    const kind = head & 7
    if (kind === VARINT) {
      const value = next()
      if (head >> 3 === wanted) return value
      continue
    }
    const length = kind === BYTES ? Number(next()) : kind === FIXED64 ? 8 : kind === FIXED32 ? 4 : -1
    if (length < 0 || at + length > bytes.length) throw new Error('a message is not understood')
    if (head >> 3 === wanted) return bytes.subarray(at, at + length)
    at += length
  }
  return undefined
}
