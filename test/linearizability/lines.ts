/**
 * Reads a recorded history: JSON lines, each the call or the end of one operation. Nothing is guessed: whatever is not as
 * documented is a complaint with the number of its line, and then there is no history.
 */
import { TextDecoder } from 'node:util'
import type { Value } from './model.js'

export const LINES_BYTES_MAX = 256 * 1024 * 1024
export const LINE_BYTES_MAX = 16 * 1024
export const LINES_MAX = 4_000_000

/** What a line may say. */
export interface Line {
  /** From 1. */
  readonly number: number
  readonly type: 'invoke' | 'ok' | 'fail' | 'info'
  readonly process: number | string
  readonly f: string
  /** Undefined where the line has none. */
  readonly key: Value | undefined
  readonly value: Value
  readonly timeMs: number | null
}

export interface Fault {
  readonly line: number
  readonly says: string
}

const TYPES = new Set(['invoke', 'ok', 'fail', 'info'])
const FIELDS = new Set(['type', 'process', 'f', 'key', 'value', 'time', 'error'])
const NAME_CHARS_MAX = 255

/** Throws RangeError where the whole is too large to be judged. */
export function readLines(bytes: Uint8Array): { lines: Line[]; faults: Fault[] } {
  if (bytes.length > LINES_BYTES_MAX) throw new RangeError(`a history has at most ${LINES_BYTES_MAX} bytes`)
  const lines: Line[] = []
  const faults: Fault[] = []
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let from = 0
  for (let number = 1; from < bytes.length; number++) {
    if (number > LINES_MAX) throw new RangeError(`a history has at most ${LINES_MAX} lines`)
    const found = bytes.indexOf(10, from)
    const end = found === -1 ? bytes.length : found
    const line = lineOf(bytes.subarray(from, end), number, decoder)
    if (typeof line === 'string') faults.push({ line: number, says: line })
    else if (line !== null) lines.push(line)
    from = end + 1
  }
  return { lines, faults }
}

/** The line, what is wrong with it, or null where it is blank. */
function lineOf(bytes: Uint8Array, number: number, decoder: TextDecoder): Line | string | null {
  if (bytes.length > LINE_BYTES_MAX) return `longer than ${LINE_BYTES_MAX} bytes`
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch {
    return 'not UTF-8'
  }
  if (text.trim() === '') return null
  let said: unknown
  try {
    said = JSON.parse(text)
  } catch {
    return 'not JSON'
  }
  if (said === null || typeof said !== 'object' || Array.isArray(said)) return 'not a JSON object'
  const twice = repeatedField(text)
  if (twice !== null) return `the field ${JSON.stringify(twice)} stands there twice`
  return fieldsOf(said as Record<string, unknown>, number)
}

function fieldsOf(said: Record<string, unknown>, number: number): Line | string {
  const stranger = Object.keys(said).find((field) => !FIELDS.has(field))
  if (stranger !== undefined) return `unknown field ${JSON.stringify(stranger)}`
  const { type, process, f, key, value = null, time = null, error } = said
  if (typeof type !== 'string' || !TYPES.has(type)) return 'type must be invoke, ok, fail or info'
  const named = typeof process === 'string' && process.length > 0 && process.length <= NAME_CHARS_MAX
  if (!named && !(Number.isSafeInteger(process) && (process as number) >= 0))
    return `process must be a whole number from 0, or a string of 1 to ${NAME_CHARS_MAX} characters`
  if (typeof f !== 'string' || f === '') return 'f must name the operation'
  if (time !== null && !(Number.isFinite(time) && (time as number) >= 0)) return 'time must be milliseconds from 0'
  if (error !== undefined && typeof error !== 'string') return 'error must be text'
  if (key !== undefined && (key === null || !['string', 'number', 'boolean'].includes(typeof key)))
    return 'key must be a string, a number, true or false'
  return {
    number,
    type: type as Line['type'],
    process: process as number | string,
    f,
    key: key as Value | undefined,
    value: value as Value,
    timeMs: time as number | null,
  }
}

/** A name that two fields of the outermost object have; JSON.parse takes the last one in silence. */
function repeatedField(text: string): string | null {
  const names = new Set<string>()
  let depth = 0
  let awaitsName = false
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],]/g)) {
    if (token === '{' || token === '[') {
      depth++
      awaitsName = depth === 1
    } else if (token === '}' || token === ']') depth--
    else if (token === ',') awaitsName = depth === 1
    else if (depth === 1 && awaitsName) {
      awaitsName = false
      const name = JSON.parse(token) as string
      if (names.has(name)) return name
      names.add(name)
    }
  }
  return null
}
