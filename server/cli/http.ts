/**
 * A thin wrapper around node:http for the commands: one request, one answer. It is repeated only while nobody leads, which lasts for
 * moments when a leader goes; then nothing was executed. Problem documents become one clear line and an exit code. Not `fetch`: that one gives up on an answer after five minutes, and a wait may last an hour.
 */
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { ERRORS, type ErrorCode } from '@leasehold/protocol'
import { CliError, EXIT } from './command.js'
import { seconds } from './output.js'

/** An answer may hold a page of events, each under 4 KiB. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024

/** Temporary Redirect: the same request at another place. Leadership may change twice before it gives up. */
const ELSEWHERE = 307
const HOPS_MAX = 3

/** Between two questions while nobody leads: as the members wish, within these bounds. */
const PAUSE_MS = { min: 100, max: 1_000 } as const

export interface HttpClientOptions {
  /** Members of one cluster, one at least. */
  readonly urls: readonly string[]
  readonly clientName: string
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

export interface Query {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** Already percent-encoded. */
  readonly path: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Comes on top of the client's timeout. */
  readonly waitMs?: number
  /** Statuses that are answers although they are no success. */
  readonly expect?: readonly number[]
}

export interface Answer<Body> {
  readonly status: number
  readonly body: Body
  /** The body as it came. */
  readonly text: string
}

interface Problem {
  readonly code: ErrorCode
  readonly status?: number
  readonly title?: string
  readonly detail?: string
  readonly retryAfterMs?: number
  readonly holder?: string
  readonly remainingMs?: number
  readonly reason?: string
  readonly token?: number
}

export class HttpClient {
  readonly #options: HttpClientOptions
  constructor(options: HttpClientOptions) {
    this.#options = options
  }

  /**
   * Asks the first member that can be reached and serves: what another one turned away was not executed. While nobody leads it asks
   * again, until the client's timeout. Throws CliError for refusals (exit code 1) and when no answer comes (3).
   */
  async ask<Body>(query: Query): Promise<Answer<Body>> {
    const timeoutMs = this.#options.timeoutMs + (query.waitMs ?? 0)
    const timeout = AbortSignal.timeout(timeoutMs)
    const signal = AbortSignal.any([this.#options.signal, timeout])
    const patientUntilMs = performance.now() + this.#options.timeoutMs
    let at = ''
    try {
      for (;;) {
        try {
          return await this.#first((url) => {
            at = url
            return this.#once<Body>(url, query, signal)
          })
        } catch (error) {
          const pauseMs = pauseAfter(error)
          if (pauseMs === null || performance.now() + pauseMs > patientUntilMs) throw error
          await sleep(pauseMs, undefined, { signal })
        }
      }
    } catch (error) {
      if (error instanceof CliError) throw error
      throw this.#unavailable(at, error as Error, timeout.aborted ? timeoutMs : null, query.method !== 'GET')
    }
  }

  async #once<Body>(url: string, query: Query, signal: AbortSignal): Promise<Answer<Body>> {
    const response = await this.#follow(url, query, signal)
    const text = await readAll(response)
    const status = response.statusCode ?? 0
    const body = parseBody(text)
    const ok = (status >= 200 && status < 300) || query.expect?.includes(status)
    if (!ok) throw refusalOf(status, body, url)
    return { status, body: body as Body, text }
  }

  /** The bytes of an answer, as they come; cut off where its end does not come. Throws CliError. */
  async *bytes(path: string): AsyncGenerator<Uint8Array> {
    const opened = await this.#open(path, {})
    try {
      yield* opened.response as AsyncIterable<Uint8Array>
    } catch (error) {
      throw this.#unavailable(opened.url, error as Error, null, false)
    }
  }

  /** The lines of a stream that ends when the server, or the signal, ends it. Throws CliError. */
  async *lines(path: string, headers: Readonly<Record<string, string>>): AsyncGenerator<string> {
    let at = ''
    try {
      const opened = await this.#open(path, headers)
      at = opened.url
      let rest = ''
      for await (const chunk of opened.response.setEncoding('utf8') as AsyncIterable<string>) {
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() ?? ''
        if (rest.length > ANSWER_BYTES_MAX) throw new Error('a line of the stream is too long')
        for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line
      }
    } catch (error) {
      if (this.#options.signal.aborted) return
      if (error instanceof CliError) throw error
      throw this.#unavailable(at, error as Error, null, false)
    }
  }

  /** A stream's beginning, of the first member that serves it. Throws CliError. */
  async #open(path: string, headers: Readonly<Record<string, string>>) {
    let at = ''
    try {
      return await this.#first(async (url) => {
        at = url
        const response = await this.#send(url, { method: 'GET', path, headers }, this.#options.signal)
        const status = response.statusCode ?? 0
        if (status !== 200) throw refusalOf(status, parseBody(await readAll(response)), url)
        return { url, response }
      })
    } catch (error) {
      if (error instanceof CliError) throw error
      throw this.#unavailable(at, error as Error, null, false)
    }
  }

  /** Goes on to the next member where nothing can have been executed at this one. What one of them said is told rather than that one is not there. */
  async #first<T>(ask: (url: string) => Promise<T>): Promise<T> {
    let away: unknown = null
    for (const url of this.#options.urls) {
      try {
        return await ask(url)
      } catch (error) {
        if (!isAway(error)) throw error
        if (!(away instanceof CliError) || error instanceof CliError) away = error
      }
    }
    throw away
  }

  /** Members send changes that are the leader's on to it. */
  async #follow(url: string, query: Query, signal: AbortSignal): Promise<IncomingMessage> {
    let response = await this.#send(url, query, signal)
    for (let hops = 0; response.statusCode === ELSEWHERE && hops < HOPS_MAX; hops++) {
      const { location } = response.headers
      if (location === undefined || !URL.canParse(location)) break
      response.resume()
      const { origin, pathname, search } = new URL(location)
      response = await this.#send(origin, { ...query, path: pathname + search }, signal)
    }
    return response
  }

  #send(url: string, query: Query, signal: AbortSignal): Promise<IncomingMessage> {
    const target = new URL(url)
    const body = query.body === undefined ? null : JSON.stringify(query.body)
    return new Promise((resolve, reject) => {
      const send = target.protocol === 'https:' ? requestHttps : requestHttp
      const request = send(
        {
          protocol: target.protocol,
          hostname: target.hostname.replaceAll(/[[\]]/g, ''),
          port: target.port,
          path: target.pathname.replace(/\/$/, '') + query.path,
          method: query.method,
          agent: false,
          signal,
          headers: {
            accept: 'application/json',
            'leasehold-client': this.#options.clientName,
            ...(body !== null && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
            ...query.headers,
          },
        },
        resolve,
      )
      request.on('error', reject)
      request.end(body)
    })
  }

  #unavailable(url: string, error: Error, timedOutMs: number | null, change: boolean): CliError {
    const { signal } = this.#options
    const code = (error as { code?: string }).code ?? ''
    const executed = change ? '; the request may or may not have been executed' : ''
    if (signal.aborted) return new CliError(EXIT.unavailable, `interrupted${executed}`)
    if (timedOutMs !== null) {
      return new CliError(EXIT.unavailable, `no answer from ${url} within ${seconds(timedOutMs)}${executed}`)
    }
    if (code === 'ECONNREFUSED') {
      return new CliError(EXIT.unavailable, `nothing listens at ${url}: start a server with "leasehold serve"`)
    }
    if (code === 'ECONNRESET') return new CliError(EXIT.unavailable, `${url} closed the connection${executed}`)
    return new CliError(EXIT.unavailable, `cannot reach ${url}: ${error.message || code}`)
  }
}

/** Nobody was there to execute anything. */
const ABSENT: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN'])

/** The member was not there, or turned the request away for itself. */
function isAway(error: unknown): boolean {
  if (!(error instanceof CliError)) return ABSENT.has((error as { code?: unknown }).code)
  const { code } = (error.body ?? {}) as Partial<Problem>
  return code === 'NO_QUORUM' || code === 'SHUTTING_DOWN'
}

/** How long to wait before asking again; null where that would be of no use, or might do something twice. */
function pauseAfter(error: unknown): number | null {
  if (!(error instanceof CliError)) return null
  const { code, retryAfterMs = 0 } = (error.body ?? {}) as Partial<Problem>
  return code === 'NO_QUORUM' ? Math.min(Math.max(retryAfterMs, PAUSE_MS.min), PAUSE_MS.max) : null
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer is over ${ANSWER_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** A problem document as one line. Exit code 3 where the server is not able to answer now, 1 where it said no. */
export function refusal(problem: Problem, hint = '', status = problem.status ?? 0): CliError {
  const exit = status >= 500 && problem.code !== 'AUDIT_CORRUPT' ? EXIT.unavailable : EXIT.refused
  return new CliError(exit, `${sentence(problem)}${hint}`, problem)
}

function refusalOf(status: number, body: unknown, url: string): CliError {
  if (typeof body === 'object' && body !== null && 'code' in body) return refusal(body as Problem, '', status)
  return new CliError(EXIT.unavailable, `${url} answered ${status}, but not as a Leasehold server would`)
}

function sentence(problem: Problem): string {
  const { code } = problem
  if (code === 'LEASE_HELD' && problem.holder !== undefined) {
    return `held by ${problem.holder} for another ${seconds(problem.remainingMs ?? 0)} (${code})`
  }
  if (code === 'LEASE_LOST')
    return `the grant with token ${problem.token ?? '?'} has ended: ${problem.reason} (${code})`
  const row: { title: string; help: string } | undefined = ERRORS[code]
  const said = problem.detail ?? problem.title ?? row?.title ?? 'refused'
  const hint = problem.retryAfterMs ? `; try again in ${seconds(problem.retryAfterMs)}` : ''
  return `${said.replace(/\.$/, '')} (${code})${hint}`
}
