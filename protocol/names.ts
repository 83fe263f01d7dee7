/**
 * Names of leases, holders and clients: 1 to 255 bytes of `A-Z a-z 0-9 . _ : @ / -`, no empty, `.` or `..` segment.
 * The last rule stands because URL parsers fold such segments away: another name would arrive than the one that was sent.
 */
import { checkText } from './checks.js'
import { ProtocolError } from './fault.js'
import { LIMITS } from './limits.js'
import { utf8Bytes } from './text.js'

const ALLOWED = 'A-Z a-z 0-9 . _ : @ / -'
// Segment and separator share no character, so both walk a name once, whatever it is.
const NAME = /^[A-Za-z0-9._:@-]+(?:\/[A-Za-z0-9._:@-]+)*$/
const PREFIX = /^(?:[A-Za-z0-9._:@-]+\/)*[A-Za-z0-9._:@-]*$/
const DOT_SEGMENT = /(?:^|\/)\.\.?(?:\/|$)/
const DOT_SEGMENT_BEFORE_LAST = /(?:^|\/)\.\.?\//
const BAD_CHARACTER = /[^A-Za-z0-9._:@/-]/u

const refuse = (detail: string) => new ProtocolError('INVALID_ARGUMENT', detail)

/** Returns the name, or throws ProtocolError INVALID_ARGUMENT that names `field` and what is wrong. */
export function checkName(value: unknown, field: string): string {
  const name = checkSize(value, field)
  if (name === '') throw refuse(`${field} must not be empty`)
  if (!NAME.test(name)) throw wrongCharacters(name, field)
  if (name.includes('.') && DOT_SEGMENT.test(name)) throw refuse(`${field} must not have a segment '.' or '..'`)
  return name
}

/** Like checkName, for a prefix of names: may be empty, may end in `/` or within a segment. */
export function checkPrefix(value: unknown, field: string): string {
  const prefix = checkSize(value, field)
  if (!PREFIX.test(prefix)) throw wrongCharacters(prefix, field)
  if (DOT_SEGMENT_BEFORE_LAST.test(prefix)) throw refuse(`${field} must not have a segment '.' or '..'`)
  return prefix
}

function checkSize(value: unknown, field: string): string {
  const text = checkText(value, field)
  // Every allowed character is one byte; other ones are counted only to say the true size.
  if (text.length > LIMITS.nameBytesMax) {
    throw refuse(`${field} must be at most ${LIMITS.nameBytesMax} bytes, not ${utf8Bytes(text)}`)
  }
  return text
}

function wrongCharacters(name: string, field: string): ProtocolError {
  const bad = BAD_CHARACTER.exec(name)
  if (bad === null) return refuse(`${field} must not have an empty segment (a '/' at either end, or two in a row)`)
  const point = bad[0].codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')
  return refuse(`${field} may only have ${ALLOWED}, not ${JSON.stringify(bad[0])} (U+${point}) at ${bad.index}`)
}
