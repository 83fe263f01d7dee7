/** What strings on the command line, in the environment and in configuration files must look like. Pure. */
import {
  checkIdempotencyKey,
  checkLockDelayMs,
  checkMemberId,
  checkMeta,
  checkName,
  checkPeerId,
  checkPrefix,
  checkTtlMs,
  checkWaitMs,
  durationMs,
  LIMITS,
  ProtocolError,
} from '@leasehold/protocol'
import { parseAddress } from './address.js'
import { parseCluster, parseMember } from './clusterlist.js'

/** Throws an Error whose message says what is wrong with the text. */
type Check = (text: string) => unknown

const url: Check = (text) => {
  const parsed = URL.canParse(text) ? new URL(text) : null
  if (parsed === null || (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')) {
    throw new Error(`expects a URL such as http://127.0.0.1:7420, got "${text}"`)
  }
}

/** The members of one cluster. Throws as `url` does. */
export function readUrls(text: string): readonly string[] {
  const urls = text.split(',').map((one) => one.trim())
  for (const one of urls) url(one)
  return urls
}

const token: Check = (text) => {
  const value = Number(text)
  if (!/^[0-9]+$/.test(text) || value < 1 || value > LIMITS.tokenMax) {
    throw new Error(`expects a fencing token (1 to ${LIMITS.tokenMax}), got "${text}"`)
  }
}

/** Milliseconds of `10s`, `250ms`, or a bare `5000`. Throws ProtocolError. */
export function readDuration(text: string, field = 'it'): number {
  return durationMs(/^[0-9]+(\.[0-9]+)?$/.test(text) ? Number(text) : text, field)
}

export const FORMATS = {
  name: (text) => checkName(text, 'it'),
  memberId: (text) => checkMemberId(text, 'it'),
  /** A member's name, or MEMBER@DIRECTORY. */
  peer: (text) => (text.includes('@') ? checkPeerId(text, 'it') : checkMemberId(text, 'it')),
  member: parseMember,
  cluster: parseCluster,
  prefix: (text) => checkPrefix(text, 'it'),
  duration: (text) => readDuration(text),
  ttl: (text) => checkTtlMs(readDuration(text), 'it'),
  wait: (text) => checkWaitMs(readDuration(text), 'it'),
  lockDelay: (text) => checkLockDelayMs(readDuration(text), 'it'),
  meta: (text) => checkMeta(text, 'it'),
  idempotencyKey: (text) => checkIdempotencyKey(text, 'it'),
  address: parseAddress,
  url,
  urls: readUrls,
  token,
} as const satisfies Record<string, Check>

export type FormatName = keyof typeof FORMATS

/** Null where the text has the format; else what is wrong with it, in words that follow the flag's name. */
export function fault(format: FormatName, text: string): string | null {
  try {
    FORMATS[format](text)
    return null
  } catch (error) {
    const message = (error as Error).message
    return error instanceof ProtocolError ? `"${text}": ${message}` : message
  }
}
