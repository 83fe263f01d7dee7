/**
 * JSON as it must be to be understood in one way only: bounded in depth, no key twice, no `__proto__`, valid UTF-8.
 * Must never hand on a value that another reader of the same bytes would have read differently.
 */
import { ProtocolError } from '@leasehold/protocol'

const utf8 = new TextDecoder('utf-8', { fatal: true })
const QUOTE = 0x22
const BACKSLASH = 0x5c

const refuse = (detail: string): ProtocolError => new ProtocolError('INVALID_ARGUMENT', detail)

/** Throws ProtocolError INVALID_ARGUMENT. */
export function parseJson(bytes: Uint8Array, depthMax: number): unknown {
  if (bytes.byteLength === 0) throw refuse('body: is empty')
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    throw refuse('body: is not UTF-8')
  }
  scan(text, depthMax)
  try {
    return JSON.parse(text)
  } catch {
    throw refuse('body: is not JSON')
  }
}

/** Judges depth and keys alone; whether it is JSON at all is for the parser to say. */
function scan(text: string, depthMax: number): void {
  const open: (Set<string> | null)[] = []
  let keyNext = false
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE: {
        const end = endOfString(text, i)
        if (keyNext) checkKey(text.slice(i, end), open.at(-1))
        keyNext = false
        i = end - 1
        break
      }
      case 0x7b: // {
      case 0x5b: // [
        keyNext = text.charCodeAt(i) === 0x7b
        open.push(keyNext ? new Set() : null)
        if (open.length > depthMax) throw refuse(`body: is nested deeper than ${depthMax} levels`)
        break
      case 0x7d: // }
      case 0x5d: // ]
        open.pop()
        keyNext = false
        break
      case 0x2c: // ,
        keyNext = open.at(-1) instanceof Set
        break
    }
  }
}

/** Just behind the closing quote, or the end of the text where there is none. */
function endOfString(text: string, start: number): number {
  let i = start + 1
  while (i < text.length && text.charCodeAt(i) !== QUOTE) i += text.charCodeAt(i) === BACKSLASH ? 2 : 1
  return Math.min(i + 1, text.length)
}

function checkKey(quoted: string, keys: Set<string> | null | undefined): void {
  let key: unknown
  try {
    key = JSON.parse(quoted)
  } catch {
    throw refuse('body: is not JSON')
  }
  if (typeof key !== 'string' || !(keys instanceof Set)) throw refuse('body: is not JSON')
  if (keys.has(key)) throw refuse(`body: has the key ${JSON.stringify(key.slice(0, 64))} twice`)
  if (key === '__proto__') throw refuse('body: unknown field "__proto__"')
  keys.add(key)
}
