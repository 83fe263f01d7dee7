/** What createClient was asked for, checked. Nothing else reads options. */
import { hostname } from 'node:os'
import { checkName, checkVisible, durationMs, LIMITS } from '@leasehold/protocol'
import { LeaseholdError, refusedHere } from './errors.js'
import type { ClientOptions } from './types.js'
import { checkDrift } from './validity.js'

export interface Config {
  /** Origins, without a path. */
  readonly endpoints: readonly string[]
  readonly name: string
  /** Null: made from the name and the session. */
  readonly holder: string | null
  readonly credential: string | null
  readonly drift: number
  readonly timeoutMs: number
}

const ENDPOINTS_MAX = 16
const TIMEOUT_MS = 10_000
const TIMEOUT_MS_MAX = LIMITS.waitMsMax
const KNOWN: ReadonlySet<string> = new Set(['endpoints', 'name', 'holder', 'credential', 'drift', 'timeout'])

/** Throws LeaseholdError INVALID_ARGUMENT naming the option. */
export function checkOptions(options: ClientOptions): Config {
  for (const option of Object.keys(options)) if (!KNOWN.has(option)) throw wrong(`there is no option ${option}`)
  try {
    return {
      endpoints: checkEndpoints(options.endpoints),
      name: checkName(options.name ?? machineName(), 'name'),
      holder: options.holder === undefined ? null : checkName(options.holder, 'holder'),
      credential:
        options.credential === undefined
          ? null
          : checkVisible(options.credential, 'credential', LIMITS.credentialBytesMax),
      drift: checkDrift(options.drift ?? LIMITS.driftMin),
      timeoutMs: checkTimeoutMs(durationMs(options.timeout ?? TIMEOUT_MS, 'timeout')),
    }
  } catch (error) {
    throw error instanceof RangeError ? wrong(error.message) : refusedHere(error)
  }
}

function wrong(detail: string): LeaseholdError {
  return new LeaseholdError('INVALID_ARGUMENT', detail, { executed: 'no' })
}

function checkTimeoutMs(timeoutMs: number): number {
  if (timeoutMs >= 1 && timeoutMs <= TIMEOUT_MS_MAX) return timeoutMs
  throw wrong(`timeout must be 1 ms to ${TIMEOUT_MS_MAX} ms, not ${timeoutMs} ms`)
}

function checkEndpoints(endpoints: unknown): readonly string[] {
  if (!Array.isArray(endpoints) || endpoints.length === 0 || endpoints.length > ENDPOINTS_MAX)
    throw wrong(`endpoints must be an array of 1 to ${ENDPOINTS_MAX} addresses such as 'http://127.0.0.1:7420'`)
  return endpoints.map((endpoint, i) => origin(endpoint, `endpoints[${i}]`))
}

function origin(endpoint: unknown, field: string): string {
  const url = typeof endpoint === 'string' && URL.canParse(endpoint) ? new URL(endpoint) : null
  const http = url !== null && (url.protocol === 'http:' || url.protocol === 'https:')
  if (
    !http ||
    url.pathname !== '/' ||
    url.search !== '' ||
    url.hash !== '' ||
    url.username !== '' ||
    url.password !== ''
  )
    throw wrong(`${field} must be an address such as 'http://127.0.0.1:7420', without path, query or password`)
  return url.origin
}

/** The machine's name, as far as it is a valid name. */
function machineName(): string {
  const name = hostname()
    .replaceAll(/[^A-Za-z0-9_-]+/g, '-')
    .slice(0, 63)
  return name === '' ? 'client' : name
}
