/**
 * One client's session: greeting, frames of requests in, frames of replies and pushes out. Whatever arrives that breaks
 * the contract ends this session with a word that says why. Must never throw into its socket, and never touch another one.
 */
import {
  decodeHello,
  ERRORS,
  type ErrorCode,
  encodePushes,
  encodeRefused,
  encodeWelcome,
  type Hello,
  LIMITS,
  OP,
  ProtocolError,
  type Push,
} from '@leasehold/protocol'
import type { Lane, Outlet } from '../intake/index.js'
import { Outbox } from './outbox.js'
import type { Sessions } from './sessions.js'
import { CLOSE, type Socket, type SocketHandle } from './socket.js'
import { SessionWatches } from './watches.js'

export class Session implements SocketHandle, Outlet {
  readonly #all: Sessions
  readonly #socket: Socket
  readonly #outbox = new Outbox()
  readonly #watches: SessionWatches
  readonly #send: (frame: Uint8Array) => void
  #lane: Lane | null = null
  #hello: Hello | null = null
  #paused = false
  /** Since when more waits to be sent than should; 0: it does not. */
  #stuckSinceMs = 0
  #closed = false
  readonly openedMs: number

  constructor(all: Sessions, socket: Socket, openedMs: number) {
    this.#all = all
    this.#socket = socket
    this.openedMs = openedMs
    this.#watches = new SessionWatches(all, this)
    this.#send = (frame) => socket.send(frame)
  }

  /** Null before the greeting. */
  get hello(): Hello | null {
    return this.#hello
  }

  message(data: Uint8Array | string): void {
    if (this.#closed) return
    try {
      if (typeof data === 'string')
        this.refuse('INVALID_ARGUMENT', 'frame: must be binary, not text', CLOSE.unsupported)
      else if (data.byteLength > LIMITS.frameBytesMax)
        this.refuse('TOO_LARGE', `frame: ${data.byteLength} bytes, at most ${LIMITS.frameBytesMax}`, CLOSE.tooBig)
      else if (this.#lane === null) this.#greet(decodeHello(data))
      else this.#requests(data, this.#lane)
    } catch (error) {
      this.#failed(error)
    }
  }

  drained(): void {
    if (!this.#closed) this.#pace()
  }

  /** Now and then: a peer that has not read for long is gone, whatever its connection says. */
  tick(nowMs: number): void {
    if (!this.congested) this.#stuckSinceMs = 0
    else if (this.#stuckSinceMs === 0) this.#stuckSinceMs = nowMs
    else if (nowMs - this.#stuckSinceMs >= this.#all.limits.stuckMs) this.#drop(this.#socket.bufferedBytes)
    this.drained()
  }

  closed(): void {
    this.#end()
  }

  /** Says why, and closes. */
  refuse(code: ErrorCode, detail: string, closeCode: number): void {
    if (this.#closed) return
    this.#socket.send(encodeRefused(ERRORS[code].wire, detail))
    this.close(closeCode, code)
  }

  close(closeCode: number, reason: string): void {
    if (this.#closed) return
    this.#end()
    this.#socket.close(closeCode, reason)
  }

  // as the outlet of its lane

  answer(id: number, attempt: number, code: number, fields: readonly unknown[]): void {
    this.#outbox.add(id, attempt, code, fields)
  }

  flush(): void {
    if (this.#closed) return
    this.#outbox.flush(this.#send)
    this.#pace()
  }

  push(pushes: readonly Push[]): void {
    if (this.#closed) return
    this.#socket.send(encodePushes(pushes))
    this.#pace()
  }

  /** More waits to be sent than a push should add to. */
  get congested(): boolean {
    return this.#socket.bufferedBytes > this.#all.limits.pauseBytes
  }

  #greet(hello: Hello): void {
    this.#hello = hello
    this.#lane = this.#all.intake.lane({ principal: hello.clientName, scope: `s:${hello.sessionId}` }, this)
    this.#all.greeted(this, hello)
    this.#socket.send(encodeWelcome(this.#all.welcome()))
  }

  #requests(frame: Uint8Array, lane: Lane): void {
    const { reader, intake, clock } = this.#all
    reader.open(frame)
    lane.begin()
    const startMs = clock.monotonicMs()
    while (reader.next()) {
      if (reader.op === OP.watch || reader.op === OP.unwatch) this.#watches.take(reader)
      else lane.take(reader)
    }
    lane.end()
    if (!this.#outbox.empty) this.flush()
    intake.telemetry.stage('intake', (clock.monotonicMs() - startMs) / 1_000)
    if (lane.full) this.#pace()
  }

  /** Reads on, or not: by what is in flight, and by what the peer has not taken yet. */
  #pace(): void {
    const buffered = this.#socket.bufferedBytes
    if (buffered > this.#all.limits.outBytesMax) {
      this.#drop(buffered)
      return
    }
    const congested = buffered > this.#all.limits.pauseBytes
    if (!congested) this.#watches.wake()
    const full = congested || (this.#lane?.full ?? false)
    if (full === this.#paused) return
    this.#paused = full
    if (full) this.#socket.pause()
    else this.#socket.resume()
  }

  #drop(bufferedBytes: number): void {
    this.#all.telemetry.log('warn', 'session.slow', { client: this.#hello?.clientName, bufferedBytes })
    this.#end()
    this.#socket.drop()
  }

  #failed(error: unknown): void {
    if (!(error instanceof ProtocolError)) {
      this.#all.telemetry.log('error', 'session.defect', { client: this.#hello?.clientName, error })
      this.refuse('INTERNAL', 'the frame could not be handled', CLOSE.internal)
    } else if (error.code === 'TOO_LARGE') this.refuse(error.code, error.message, CLOSE.tooBig)
    else if (error.code === 'LIMIT_REACHED' || error.code === 'OVERLOADED')
      this.refuse(error.code, error.message, CLOSE.tryAgainLater)
    else this.refuse(error.code, error.message, CLOSE.protocolError)
  }

  #end(): void {
    if (this.#closed) return
    this.#closed = true
    this.#watches.close()
    this.#lane?.close()
    this.#outbox.clear()
    this.#all.ended(this)
  }
}
