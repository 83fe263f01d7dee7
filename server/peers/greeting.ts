/**
 * What two processes say to each other before a link stands: who they are, which cluster they belong to, which formats they speak.
 * Rare, so it is JSON behind a magic word and a length; fields that a version does not know are passed over, so that neighbours
 * understand each other's greetings for good. Pure. Whatever the bytes are, reading throws GreetingError and nothing else.
 *
 *   4 bytes "LHG1", u32 bytes, JSON: an object with `kind`
 *   dialler: hello              listener: welcome | refused      then link frames (frames.ts), the first one the dialler's `go`
 *   founder: ask                listener: answer  | refused      (forming.ts)
 */
import { FORMATS, type Formats } from '@leasehold/protocol'
import type { PeerName } from '../ports/index.js'
import { PEER_LIMITS } from './limits.js'

const MAGIC = Buffer.from('LHG1', 'latin1')
export const GREETING_HEAD_BYTES = 8

/** Formats that are spoken on a link. */
export type Versions = Formats
export const VERSIONS: Versions = FORMATS

export interface Hello {
  readonly kind: 'hello'
  readonly versions: Versions
  readonly clusterId: string
  readonly from: PeerName
  /** Whom the dialler expects here. */
  readonly to: PeerName
  /** Drawn at each start of the process, hex: a link of another run is another process's. */
  readonly nonce: string
}

export interface Welcome {
  readonly kind: 'welcome'
  /** The one that both will speak. */
  readonly version: number
  readonly clusterId: string
  readonly from: PeerName
  readonly nonce: string
}

/** Why a connection is turned away. The first ones pass by themselves. */
export const REFUSED = {
  simultaneous: 'SIMULTANEOUS',
  forming: 'FORMING',
  closing: 'CLOSING',
  version: 'VERSION',
  wrongCluster: 'WRONG_CLUSTER',
  wrongPeer: 'WRONG_PEER',
  unknownPeer: 'UNKNOWN_PEER',
  malformed: 'MALFORMED',
} as const
export type RefusedCode = (typeof REFUSED)[keyof typeof REFUSED]

export interface Refused {
  readonly kind: 'refused'
  readonly code: RefusedCode
  /** For people. */
  readonly detail: string
}

/** A question of somebody who has no cluster yet; `ask` is forming.ts's, unread here. */
export interface AskFrame {
  readonly kind: 'ask'
  readonly ask: unknown
}
export interface AnswerFrame {
  readonly kind: 'answer'
  readonly answer: unknown
}

export type Greeting = Hello | Welcome | Refused | AskFrame | AnswerFrame

export class GreetingError extends Error {
  override readonly name = 'GreetingError'
}

export function encodeGreeting(greeting: Greeting): Uint8Array {
  const body = Buffer.from(JSON.stringify(greeting), 'utf8')
  if (body.length > PEER_LIMITS.greetingBytesMax) throw new RangeError(`a greeting of ${body.length} bytes`)
  const bytes = Buffer.allocUnsafe(GREETING_HEAD_BYTES + body.length)
  MAGIC.copy(bytes)
  bytes.writeUInt32BE(body.length, MAGIC.length)
  body.copy(bytes, GREETING_HEAD_BYTES)
  return bytes
}

/** Length of the greeting that begins the bytes, head included; null where too little is there to tell. Throws as soon as it can be none. */
export function greetingBytes(bytes: Uint8Array): number | null {
  const seen = Math.min(bytes.length, MAGIC.length)
  if (MAGIC.compare(bytes, 0, seen, 0, seen) !== 0) throw new GreetingError('does not speak this protocol')
  if (bytes.length < GREETING_HEAD_BYTES) return null
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).readUInt32BE(MAGIC.length)
  if (body > PEER_LIMITS.greetingBytesMax) throw new GreetingError(`announces a greeting of ${body} bytes`)
  return GREETING_HEAD_BYTES + body
}

/** A whole greeting, head included. */
export function decodeGreeting(bytes: Uint8Array): Greeting {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8', GREETING_HEAD_BYTES)
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    throw new GreetingError('greets with what is no JSON')
  }
  const fields = checkObject(value, 'greeting')
  switch (fields.kind) {
    case 'hello':
      return {
        kind: 'hello',
        versions: checkVersions(fields.versions),
        clusterId: checkName(fields.clusterId, 'clusterId'),
        from: checkName(fields.from, 'from'),
        to: checkName(fields.to, 'to'),
        nonce: checkName(fields.nonce, 'nonce'),
      }
    case 'welcome':
      return {
        kind: 'welcome',
        version: checkVersion(fields.version),
        clusterId: checkName(fields.clusterId, 'clusterId'),
        from: checkName(fields.from, 'from'),
        nonce: checkName(fields.nonce, 'nonce'),
      }
    case 'refused':
      return {
        kind: 'refused',
        code: Object.values(REFUSED).find((code) => code === fields.code) ?? REFUSED.malformed,
        detail: checkName(fields.detail, 'detail'),
      }
    case 'ask':
      return { kind: 'ask', ask: fields.ask }
    case 'answer':
      return { kind: 'answer', answer: fields.answer }
    default:
      throw new GreetingError('greets with a kind that is not known here')
  }
}

/** The newest format that both speak, or null. */
export function commonVersion(a: Versions, b: Versions): number | null {
  const version = Math.min(a.max, b.max)
  return version >= Math.max(a.min, b.min) ? version : null
}

export function checkObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new GreetingError(`${what} must be an object`)
}

/** Text of 1 to 512 characters: a name, an id, a sentence. */
export function checkName(value: unknown, what: string): string {
  if (typeof value === 'string' && value.length > 0 && value.length <= PEER_LIMITS.nameBytesMax) return value
  throw new GreetingError(`${what} must be a short text`)
}

function checkVersion(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value
  throw new GreetingError('a version must be a whole number from 1')
}

export function checkVersions(value: unknown): Versions {
  const { min, max } = checkObject(value, 'versions')
  return { min: checkVersion(min), max: checkVersion(max) }
}
