/** The flags that every command which asks a server shares, and the client made from them. */
import { hostname, userInfo } from 'node:os'
import { LIMITS } from '@leasehold/protocol'
import type { Io } from './command.js'
import { readDuration, readUrls } from './formats.js'
import { HttpClient } from './http.js'

export const DEFAULT_URL = 'http://127.0.0.1:7420'

export const connectionFlags = {
  url: {
    type: 'string',
    format: 'urls',
    value: 'URL',
    env: 'LEASEHOLD_URL',
    default: DEFAULT_URL,
    help: 'the server to ask',
  },
  client: {
    type: 'string',
    format: 'name',
    value: 'NAME',
    env: 'LEASEHOLD_CLIENT',
    help: 'who asks, for the audit (default: user@host)',
  },
  timeout: {
    type: 'string',
    format: 'duration',
    value: 'DURATION',
    default: '10s',
    help: 'how long to wait for an answer (a --wait comes on top)',
  },
  json: { type: 'boolean', help: "print the server's answer as JSON" },
} as const

/** What an acquire is asked with, wherever a command acquires. */
export const wishFlags = {
  ttl: { type: 'string', format: 'ttl', value: 'DURATION', default: '10s', help: 'how long it lives unless renewed' },
  wait: { type: 'string', format: 'wait', value: 'DURATION', default: '0ms', help: 'how long to wait in the queue' },
  holder: {
    type: 'string',
    format: 'name',
    value: 'HOLDER',
    env: 'LEASEHOLD_HOLDER',
    help: 'who shall hold it (default: user@host)',
  },
  priority: {
    type: 'integer',
    min: -1_000,
    max: 1_000,
    value: 'N',
    default: 0,
    help: 'higher ones are served first',
  },
} as const

interface Connection {
  readonly url: string
  readonly client: string | undefined
  readonly timeout: string
}

export function connect(settings: Connection, io: Io): HttpClient {
  return new HttpClient({
    urls: readUrls(settings.url),
    clientName: settings.client ?? whoami(),
    timeoutMs: readDuration(settings.timeout, 'timeout'),
    signal: io.signal,
  })
}

/** `user@host`, cut and mended to what names may hold. */
export function whoami(): string {
  let user = 'somebody'
  try {
    user = userInfo().username
  } catch {
    // No entry for this uid, as in many containers: the host alone says enough.
  }
  const name = `${user}@${hostname()}`.replaceAll(/[^A-Za-z0-9._:@-]/g, '-')
  return name.slice(0, LIMITS.nameBytesMax)
}
