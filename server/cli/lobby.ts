/**
 * Answers clients while a member cannot serve yet: alive, not ready, and why. Holds the port until the real front takes it over,
 * and must never do more than that: it knows nothing of the cluster, and keeps nothing of what it reads.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { HTTP_LIMITS } from '../http/limits.js'
import { problem } from '../http/problem.js'
import { refuseExpectation, refuseRaw } from '../http/raw.js'
import type { Address } from './address.js'

/** Whoever is told to come back comes back after so long. */
const RETRY_AFTER_MS = 1_000
const HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', connection: 'close' } as const

export class Lobby {
  readonly #host: string
  /** As asked for until it listened; then the port that the system chose, for good. */
  #port: number
  #server: Server | null = null
  #why = 'starting'

  constructor({ host, port }: Address) {
    this.#host = host
    this.#port = port
  }

  get address(): Address {
    return { host: this.#host, port: this.#port }
  }

  /** Rejects where it cannot listen. Does nothing while it is open. */
  async open(): Promise<void> {
    if (this.#server !== null) return
    const server = createServer(
      {
        maxHeaderSize: HTTP_LIMITS.headerBytesMax,
        headersTimeout: HTTP_LIMITS.headersMs,
        requestTimeout: HTTP_LIMITS.requestMs,
        connectionsCheckingInterval: HTTP_LIMITS.checkConnectionsMs,
      },
      (request, response) => {
        // Read to its end, or else whoever still sends may lose the answer with the connection.
        request.once('end', () => this.#answer(request, response)).resume()
      },
    )
    server.maxConnections = HTTP_LIMITS.connectionsMax
    server.on('checkExpectation', refuseExpectation)
    server.on('clientError', refuseRaw)
    // It keeps no process alive: what is waited for does.
    server.unref()
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: this.#host, port: this.#port }, () => {
        server.off('error', reject)
        server.on('error', () => undefined)
        resolve()
      })
    })
    this.#server = server
    this.#port = (server.address() as AddressInfo).port
  }

  /** Why nobody is served, for whoever asks from now on. */
  say(why: string): void {
    this.#why = why
  }

  /** The port is free when it resolves. Safe to call twice; it may be opened again. */
  async close(): Promise<void> {
    const server = this.#server
    this.#server = null
    if (server === null) return
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    server.closeAllConnections()
    await closed
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url?.replace(/\?.*$/, '')
    if (path === '/healthz' && (request.method === 'GET' || request.method === 'HEAD')) {
      response.writeHead(200, { ...HEADERS, 'content-type': 'application/json' }).end('{"ok":true}')
      return
    }
    const body = JSON.stringify(problem('NO_QUORUM', this.#why, {}, RETRY_AFTER_MS))
    const headers = {
      ...HEADERS,
      'content-type': 'application/problem+json',
      'retry-after': String(RETRY_AFTER_MS / 1_000),
    }
    response.writeHead(503, headers).end(body)
  }
}
