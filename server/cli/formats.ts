/** What strings on the command line, in the environment and in configuration files must look like. Pure. */
import {
  type Bandwidth,
  checkIdempotencyKey,
  checkInteger,
  checkLockDelayMs,
  checkMemberId,
  checkMeta,
  checkName,
  checkPeerId,
  checkPrefix,
  checkQuotaKey,
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

const RATE = /^(\d+)\/([^:]+)(?::(\d+))?$/

/** A bandwidth, of `100/s`, `1000/1h` or `1000/1h:50` (a burst of 50); its burst is 0 where it says none. Throws ProtocolError, or an Error that follows the flag's name. */
export function readRate(text: string): Bandwidth {
  const [, tokens, per = '', burst] = RATE.exec(text) ?? []
  if (tokens === undefined) throw new Error(`expects TOKENS/TIME or TOKENS/TIME:BURST, such as 100/s, got "${text}"`)
  const perMs = readDuration(/^\d/.test(per) ? per : `1${per}`)
  checkInteger(perMs, 'its time', 1, LIMITS.quotaPerMsMax)
  const whole = (digits: string, field: string) => checkInteger(Number(digits), field, 1, LIMITS.quotaTokensMax)
  return { tokens: whole(tokens, 'its tokens'), perMs, burst: burst === undefined ? 0 : whole(burst, 'its burst') }
}

/** `KEY=QUOTA`: the name of a quota has no `=`, a key may have. Throws as readRate does. */
export function readNamedKey(text: string): readonly [key: string, quota: string] {
  const at = text.lastIndexOf('=')
  if (at < 0) throw new Error(`expects KEY=QUOTA, got "${text}"`)
  return [checkQuotaKey(text.slice(0, at), 'its key'), checkName(text.slice(at + 1), 'its quota')]
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
  rate: readRate,
  quotaKey: (text) => checkQuotaKey(text, 'it'),
  namedKey: readNamedKey,
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
