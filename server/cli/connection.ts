/** The flags that every command which asks a server shares, and the client made from them. */
import { hostname, userInfo } from 'node:os'
import { LIMITS } from '@leasehold/protocol'
import type { Io } from './command.js'
import { readDuration } from './formats.js'
import { HttpClient } from './http.js'

export const DEFAULT_URL = 'http://127.0.0.1:7420'

export const connectionFlags = {
  url: {
    type: 'string',
    format: 'url',
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

interface Connection {
  readonly url: string
  readonly client: string | undefined
  readonly timeout: string
}

export function connect(settings: Connection, io: Io): HttpClient {
  return new HttpClient({
    url: settings.url,
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
