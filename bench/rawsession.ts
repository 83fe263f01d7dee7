/**
 * A session that speaks the frame codec directly, without the client library: for loads that the library's manners
 * exist to prevent (it renews only when half the ttl is gone, and only what somebody uses). Requests made in one turn
 * of the loop travel in one frame, as the library's do. No retries, no reconnects: whatever fails is reported as such.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  decodeReplies,
  decodeWelcome,
  encodeHello,
  FRAME_KIND,
  OK,
  OP,
  openFrame,
  QUEUED,
  RequestFrameWriter,
  TAKE,
  type Welcome,
} from '@leasehold/protocol'
import WebSocket from 'ws'
import { BENCH } from './limits.js'

/** The final answer to one request: `code` is OK, OFFERED, or an error's number on the wire; -1 when the connection is gone. */
export type Answer = (code: number, fields: readonly unknown[]) => void

export const GONE = -1
const MASK = BENCH.sessionPendingMax - 1
const DEADLINE_MS = 30_000
/** Well under half the time that a session's known time may lag behind the cluster's. */
const KNOWN_EVERY_MS = 60_000

export class RawSession {
  #pending: (Answer | undefined)[] = new Array(BENCH.sessionPendingMax).fill(undefined)
  #ids = new Uint32Array(BENCH.sessionPendingMax)
  #sequences = new Float64Array(BENCH.sessionPendingMax)
  #inFlight = 0
  #nextId = 1
  #nextSequence = 1
  #lowest = 1
  #answered = new Uint8Array(BENCH.sessionPendingMax)
  #knownMs: number
  #knownAtMs = performance.now()
  #asksTime = false
  #writer = new RequestFrameWriter()
  #flushing = false
  readonly #socket: WebSocket
  readonly welcome: Welcome
  readonly #flush = () => this.#send()

  private constructor(socket: WebSocket, welcome: Welcome) {
    this.#socket = socket
    this.welcome = welcome
    this.#knownMs = welcome.clusterMs
    socket.on('message', (data: Buffer) => this.#received(data))
    socket.on('close', () => this.#lost())
    socket.on('error', () => socket.terminate())
  }

  /** Rejects when the server does not answer with a welcome. `url` is the server's http one. */
  static async open(url: string, name: string): Promise<RawSession> {
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/v1/session`, { perMessageDeflate: false })
    try {
      await once(socket, 'open')
      const sessionId = randomBytes(16).toString('hex')
      socket.send(encodeHello({ clientName: name, sessionId, lowestUnanswered: 1, credential: null }))
      const [frame] = (await once(socket, 'message')) as [Buffer]
      return new RawSession(socket, decodeWelcome(frame))
    } catch (error) {
      socket.terminate()
      throw error
    }
  }

  get inFlight(): number {
    return this.#inFlight
  }

  acquire(name: string, holder: string, ttlMs: number, answer: Answer): void {
    const sequence = this.#nextSequence
    if (sequence - this.#lowest >= BENCH.sessionPendingMax) throw new RangeError('a request hangs: too many after it')
    this.#nextSequence++
    this.#answered[sequence & MASK] = 0
    const fields = [sequence, this.#lowest, this.#knownMs, name, holder, ttlMs, 0, 0, 0, null]
    this.#add(OP.acquire, fields, sequence, answer)
    if (performance.now() - this.#knownAtMs > KNOWN_EVERY_MS) this.#askTime()
  }

  renew(name: string, token: number, answer: Answer): void {
    this.#add(OP.renew, [name, token], 0, answer)
  }

  release(name: string, token: number, answer: Answer): void {
    this.#add(OP.release, [name, token], 0, answer)
  }

  get(name: string, answer: Answer): void {
    this.#add(OP.get, [name], 0, answer)
  }

  /** One decision of the member's: `key` for a quota that has one bucket for each. */
  take(quota: string, cost: number, key: string | null, answer: Answer): void {
    this.#add(OP.take, [TAKE.all, quota, cost, key], 0, answer)
  }

  #askTime(): void {
    if (this.#asksTime) return
    this.#asksTime = true
    this.#add(OP.time, [], 0, (code, fields) => {
      this.#asksTime = false
      if (code !== OK) return
      this.#knownMs = fields[0] as number
      this.#knownAtMs = performance.now()
    })
  }

  #add(op: number, fields: readonly unknown[], sequence: number, answer: Answer): void {
    if (this.#inFlight >= BENCH.sessionPendingMax / 2) throw new RangeError('too many requests in flight')
    let id = this.#nextId
    while (this.#pending[id & MASK] !== undefined) id++
    this.#nextId = id + 1
    this.#pending[id & MASK] = answer
    this.#ids[id & MASK] = id
    this.#sequences[id & MASK] = sequence
    this.#inFlight++
    if (!this.#writer.add(op, 1, id, DEADLINE_MS, fields)) {
      this.#send()
      this.#writer.add(op, 1, id, DEADLINE_MS, fields)
    }
    if (this.#flushing) return
    this.#flushing = true
    queueMicrotask(this.#flush)
  }

  #send(): void {
    this.#flushing = false
    if (this.#writer.count === 0) return
    const frame = this.#writer.take()
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(frame)
  }

  #received(frame: Buffer): void {
    if (openFrame(frame).kind !== FRAME_KIND.replies) return
    for (const [id, , code, fields] of decodeReplies(frame)) {
      const at = id & MASK
      const answer = this.#pending[at]
      if (answer === undefined || this.#ids[at] !== id || code === QUEUED) continue
      this.#settle(at)
      answer(code, fields)
    }
  }

  #settle(at: number): void {
    this.#pending[at] = undefined
    this.#inFlight--
    const sequence = this.#sequences[at]!
    if (sequence === 0) return
    this.#answered[sequence & MASK] = 1
    while (this.#lowest < this.#nextSequence && this.#answered[this.#lowest & MASK] === 1) this.#lowest++
  }

  #lost(): void {
    for (let at = 0; at <= MASK; at++) {
      const answer = this.#pending[at]
      if (answer === undefined) continue
      this.#settle(at)
      answer(GONE, [])
    }
  }

  /** Closes without a farewell; what is in flight is answered GONE. */
  close(): void {
    this.#socket.terminate()
  }
}

/** Sessions that a load is spread over evenly. */
export async function openSessions(url: string, count: number, name: string): Promise<RawSession[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => RawSession.open(url, `${name}-${i}`)))
}
