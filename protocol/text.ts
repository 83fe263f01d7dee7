/**
 * Sizes and pictures of values that arrived from outside. Needs no TextEncoder: protocol/ names nothing of a platform.
 * A value is never echoed at length, so that an error stays short however large its cause was.
 */

const ECHO_CHARS_MAX = 40

/** Length in UTF-8. A lone surrogate counts three bytes, as encoders replace it. */
export function utf8Bytes(text: string): number {
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    // A pair is four bytes in two units: one more for each half. Any other unit above 0x7ff takes three.
    if (unit < 0x800) bytes += 1
    else if (isPairAt(text, i)) {
      bytes += 2
      i++
    } else bytes += 2
  }
  return bytes
}

function isPairAt(text: string, i: number): boolean {
  return (text.charCodeAt(i) & 0xfc00) === 0xd800 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00
}

/** False where half of a surrogate pair stands alone: such text does not survive a trip through UTF-8. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text)
}

/** The value in a few words, for the end of "must be ..., not". */
export function describe(value: unknown): string {
  switch (typeof value) {
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value)
    case 'string':
      return `the string ${JSON.stringify(value.length > ECHO_CHARS_MAX ? `${value.slice(0, ECHO_CHARS_MAX)}...` : value)}`
    case 'boolean':
      return String(value)
    case 'bigint':
      return 'a BigInt'
    case 'undefined':
      return 'nothing'
    case 'object':
      if (value === null) return 'null'
      if (Array.isArray(value)) return 'an array'
      return value instanceof Uint8Array ? 'bytes' : 'an object'
    default:
      return `a ${typeof value}`
  }
}
