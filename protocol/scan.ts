/**
 * Looks over MessagePack from outside before anything is built from it: every size lies within the bytes that are
 * there, nesting and items are bounded, and there is neither map nor extension. What passes decodes without an error
 * and without memory out of proportion. Must never recurse, and never allocate.
 */
import { ProtocolError } from './fault.js'

export interface Bounds {
  /** An array within an array has depth 2. At most 15. */
  readonly depthMax: number
  /** Values in all, arrays included. */
  readonly itemsMax: number
}

const DEPTH_MAX = 15
/** Values still to come at each open level; shared, since a scan never yields. */
const open = new Uint32Array(DEPTH_MAX + 1)

const refuse = (detail: string) => new ProtocolError('INVALID_ARGUMENT', `malformed MessagePack: ${detail}`)
const half = () => refuse('it ends within a value')

/**
 * Checks that bytes[start, end) is exactly one array within `bounds`. Throws ProtocolError INVALID_ARGUMENT.
 * Formats: https://github.com/msgpack/msgpack/blob/master/spec.md
 */
export function scanArray(bytes: Uint8Array, start: number, end: number, bounds: Bounds): void {
  if (start >= end) throw refuse('there is nothing')
  if (arrayHeadBytes(bytes[start]!) === 0) throw refuse('an array is expected')
  let at = start
  let depth = 0
  let left = 1
  let items = 0
  while (true) {
    if (left === 0) {
      if (depth === 0) break
      left = open[--depth]!
      continue
    }
    if (at >= end) throw half()
    if (++items > bounds.itemsMax) throw refuse(`more than ${bounds.itemsMax} values`)
    left--
    const head = bytes[at]!
    const sizeBytes = arrayHeadBytes(head)
    if (sizeBytes === 0) {
      at = scalarEnd(bytes, at, end)
      continue
    }
    if (at + sizeBytes > end) throw half()
    const size = sizeBytes === 1 ? head & 0x0f : readSize(bytes, at + 1, sizeBytes - 1)
    at += sizeBytes
    if (depth === bounds.depthMax) throw refuse(`nested deeper than ${bounds.depthMax}`)
    open[depth++] = left
    left = size
  }
  if (at !== end) throw refuse('bytes follow the array')
}

/** Bytes of an array's head; 0 for all else. */
function arrayHeadBytes(head: number): number {
  if ((head & 0xf0) === 0x90) return 1
  if (head === 0xdc) return 3
  return head === 0xdd ? 5 : 0
}

/** Big-endian, 1, 2 or 4 bytes, which must be there. */
function readSize(bytes: Uint8Array, at: number, sizeBytes: number): number {
  if (sizeBytes === 1) return bytes[at]!
  const high = (bytes[at]! << 8) | bytes[at + 1]!
  return sizeBytes === 2 ? high : high * 0x10000 + ((bytes[at + 2]! << 8) | bytes[at + 3]!)
}

/** Bytes of a number behind its head 0xca to 0xd3: floats, unsigned, signed. */
const NUMBER_BYTES = [4, 8, 1, 2, 4, 8, 1, 2, 4, 8]

/** Where the scalar at `at` ends. */
function scalarEnd(bytes: Uint8Array, at: number, end: number): number {
  const head = bytes[at]!
  if (head < 0x80 || head >= 0xe0) return at + 1
  if (head >= 0xa0 && head < 0xc0) return textEnd(bytes, at + 1, head & 0x1f, end)
  if (head === 0xc0 || head === 0xc2 || head === 0xc3) return at + 1
  let next: number
  if (head >= 0xca && head <= 0xd3) next = at + 1 + NUMBER_BYTES[head - 0xca]!
  else if (head >= 0xd9 && head <= 0xdb) return sizedEnd(bytes, at, 1 << (head - 0xd9), end, true)
  else if (head >= 0xc4 && head <= 0xc6) return sizedEnd(bytes, at, 1 << (head - 0xc4), end, false)
  else throw refuse(head === 0xc1 ? 'byte 0xc1 is never used' : 'neither maps nor extensions are expected')
  if (next > end) throw half()
  return next
}

function sizedEnd(bytes: Uint8Array, at: number, sizeBytes: number, end: number, text: boolean): number {
  const body = at + 1 + sizeBytes
  if (body > end) throw half()
  const size = readSize(bytes, at + 1, sizeBytes)
  if (text) return textEnd(bytes, body, size, end)
  if (size > end - body) throw half()
  return body + size
}

/** Text must be UTF-8: a decoder would put something else in the place of what is not. */
function textEnd(bytes: Uint8Array, at: number, size: number, end: number): number {
  const stop = at + size
  if (stop > end) throw half()
  for (let i = at; i < stop; i++) if (bytes[i]! >= 0x80) return checkUtf8(bytes, i, stop)
  return stop
}

/** The well-formed sequences of the Unicode Standard, table 3-7: no overlong form, no surrogate, nothing past U+10FFFF. */
function checkUtf8(bytes: Uint8Array, from: number, stop: number): number {
  let at = from
  while (at < stop) {
    const lead = bytes[at++]!
    if (lead < 0x80) continue
    const more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1
    if (lead < 0xc2 || lead > 0xf4 || at + more > stop) throw notUtf8()
    const second = bytes[at]!
    const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
    const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
    if (second < low || second > high) throw notUtf8()
    for (let i = 1; i < more; i++) if ((bytes[at + i]! & 0xc0) !== 0x80) throw notUtf8()
    at += more
  }
  return stop
}

const notUtf8 = () => refuse('text is not UTF-8')
