/**
 * A session on the wire, bare: frames out, replies in, and nothing else. No retries, no clock rules, no reconnects; tests
 * that judge a server do not judge it through the client library.
 */
import {
  decodeReplies,
  decodeWelcome,
  encodeHello,
  FRAME_KIND,
  type Op,
  openFrame,
  QUEUED,
  type Reply,
  RequestFrameWriter,
  type Welcome,
} from '@leasehold/protocol'
import { WebSocket } from 'ws'

interface Pending {
  readonly first: (reply: Reply) => void
  readonly last: (reply: Reply) => void
  readonly lost: (error: Error) => void
}

export interface RawRequest {
  /** The first reply: QUEUED, or the answer. Rejects when the connection ends before it. */
  readonly first: Promise<Reply>
  /** The answer. Rejects when the connection ends before it. */
  readonly last: Promise<Reply>
}

const ignore = (): void => {}

export class RawSession {
  readonly welcome: Welcome
  readonly #socket: WebSocket
  readonly #pending = new Map<number, Pending>()
  readonly #writer = new RequestFrameWriter()
  #sending = false
  #nextId = 1
  /** Frames that came in: a session on which nothing moves is seen by it. */
  received = 0
  #ended: Error | null = null

  private constructor(socket: WebSocket, welcome: Welcome) {
    this.#socket = socket
    this.welcome = welcome
    socket.on('message', (data: Buffer) => this.#take(data))
    socket.on('close', () => this.#end(new Error('the connection ended')))
  }

  /** `url` is the server's, http. Resolves once the server has greeted; rejects when it does not. */
  static connect(url: string, clientName: string, sessionId: string): Promise<RawSession> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/v1/session`)
      socket.binaryType = 'nodebuffer'
      socket.once('open', () => {
        socket.send(encodeHello({ clientName, sessionId, lowestUnanswered: 1, credential: null }))
      })
      socket.once('message', (data: Buffer) => {
        try {
          const session = new RawSession(socket, decodeWelcome(data))
          socket.off('close', early)
          resolve(session)
        } catch (error) {
          socket.terminate()
          reject(error)
        }
      })
      const early = (): void => reject(new Error('closed before the greeting'))
      socket.once('close', early)
      socket.on('error', reject)
    })
  }

  get open(): boolean {
    return this.#ended === null
  }
  /** Requests that still wait for an answer. */
  get pending(): number {
    return this.#pending.size
  }

  /** All requests of one turn of the loop travel in one frame. */
  send(op: Op, fields: readonly unknown[], attempt = 1, remainingMs = 30_000): RawRequest {
    if (this.#ended !== null) {
      const last = Promise.reject(this.#ended)
      last.catch(ignore)
      return { first: last, last }
    }
    const id = this.#nextId++
    let pending!: Pending
    const first = new Promise<Reply>((resolve, reject) => {
      pending = { first: resolve, last: ignore, lost: reject }
    })
    const last = new Promise<Reply>((resolve, reject) => {
      const { first: onFirst, lost } = pending
      pending = {
        first: onFirst,
        last: resolve,
        lost: (error) => {
          lost(error)
          reject(error)
        },
      }
    })
    first.catch(ignore)
    last.catch(ignore)
    this.#pending.set(id, pending)
    if (!this.#writer.add(op, attempt, id, remainingMs, fields)) {
      this.#flush()
      this.#writer.add(op, attempt, id, remainingMs, fields)
    }
    if (!this.#sending) {
      this.#sending = true
      queueMicrotask(() => this.#flush())
    }
    return { first, last }
  }

  /** Breaks the connection off. */
  terminate(): void {
    this.#socket.terminate()
    this.#end(new Error('terminated'))
  }

  /** Closes politely, and resolves once the connection is gone. */
  async close(): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return
    const closed = new Promise((resolve) => this.#socket.once('close', resolve))
    this.#socket.close()
    await closed
  }

  #flush(): void {
    this.#sending = false
    if (this.#writer.count > 0 && this.#ended === null) this.#socket.send(this.#writer.take())
  }

  #take(data: Buffer): void {
    this.received++
    if (openFrame(data).kind !== FRAME_KIND.replies) return
    for (const [id, , code, fields] of decodeReplies(data)) {
      const pending = this.#pending.get(id)
      if (pending === undefined) continue
      const reply = { code, fields }
      pending.first(reply)
      if (code === QUEUED) continue
      this.#pending.delete(id)
      pending.last(reply)
    }
  }

  #end(error: Error): void {
    if (this.#ended !== null) return
    this.#ended = error
    for (const pending of this.#pending.values()) pending.lost(error)
    this.#pending.clear()
  }
}
