/**
 * The connection to the cluster, one at a time: dials, greets, takes frames apart, and comes back after a loss, with
 * jitter, at the next endpoint. Never connects before somebody wants it, and never closes because of a timeout alone:
 * only where a ping, sent because an answer is overdue, finds silence.
 */
import {
  decodePushes,
  decodeRefused,
  decodeReplies,
  decodeWelcome,
  ERRORS,
  type ErrorCode,
  encodeHello,
  errorOfWire,
  FRAME_KIND,
  type Hello,
  LIMITS,
  openFrame,
  type Push,
  type Welcome,
  type WireReply,
} from '@leasehold/protocol'
import type { Timer } from './clocks.js'
import { backoffMs } from './retry.js'
import type { Socket, SocketEvents } from './socket.js'
import type { World } from './world.js'

/** From the first packet to the welcome. */
const GREETING_MS = 3_000
/** A ping that finds nobody for this long ends the connection. */
const SILENCE_MS = 3_000
const CLOSE_MS = 1_000
/** Longest pause between two tries to connect: within the time for which a new term ends nothing, so that holders are back in it. */
const PAUSE_MS_MAX = LIMITS.holdMs
/** The jitter of reconnects is that of a request with this number. */
const CONNECT_REQUEST = 0

export interface LinkOwner {
  opened(welcome: Welcome): void
  replies(replies: readonly WireReply[]): void
  pushes(pushes: readonly Push[]): void
  /** The connection is gone. Whoever still waits for an answer calls want(). */
  lost(): void
  /** Whether there still is something to connect for. */
  wanted(): boolean
  /** Turned away, and another try would be, too. */
  refused(code: ErrorCode, detail: string): void
}

export interface LinkOptions {
  readonly world: World
  readonly endpoints: readonly string[]
  /** Seeds the jitter, and the endpoint to begin with. */
  readonly seed: number
  readonly hello: () => Hello
  readonly owner: LinkOwner
}

type State = 'idle' | 'pause' | 'dialling' | 'open' | 'closed'

export class Link {
  readonly #options: LinkOptions
  #state: State = 'idle'
  #socket: Socket | null = null
  /** Counts connections; events of earlier ones are not listened to. */
  #generation = 0
  #endpoint: number
  /** Connections that failed since one last brought an answer. */
  #failures = 0
  #notBeforeMs = 0
  #heardMs = 0
  #pinged = false
  #held = false
  #timer: Timer | null = null
  #whenEnded: (() => void) | null = null
  #limits: Welcome['limits'] = { ...LIMITS, inFlightMax: 1 }
  /** Why there is no connection, for people. */
  trouble = 'not connected yet'

  constructor(options: LinkOptions) {
    this.#options = options
    this.#endpoint = (options.seed >>> 0) % options.endpoints.length
  }

  get open(): boolean {
    return this.#state === 'open'
  }
  /** What the member asks its clients to keep to. */
  get limits(): Welcome['limits'] {
    return this.#limits
  }
  get endpoint(): string {
    return this.#options.endpoints[this.#endpoint]!
  }

  /** There is something to send: connects unless that is under way. */
  want(): void {
    if (this.#state !== 'idle') return
    const waitMs = this.#notBeforeMs - this.#options.world.clocks.monotonicMs()
    if (waitMs <= 0) {
      this.#dial()
      return
    }
    this.#state = 'pause'
    this.#after(waitMs, () => {
      this.#state = 'idle'
      if (this.#options.owner.wanted()) this.#dial()
    })
  }

  send(frame: Uint8Array): void {
    this.#socket?.send(frame)
  }

  /** Whether the connection keeps the process alive. */
  hold(on: boolean): void {
    this.#held = on
    this.#socket?.hold(on)
  }

  /** An answer is overdue: asks whether anybody is there. */
  suspect(): void {
    if (this.#state !== 'open' || this.#pinged) return
    const generation = this.#generation
    const askedMs = this.#options.world.clocks.monotonicMs()
    this.#pinged = true
    this.#socket?.ping()
    this.#after(SILENCE_MS, () => {
      this.#pinged = false
      if (generation === this.#generation && this.#heardMs < askedMs) this.#end(`${this.endpoint} does not answer`)
    })
  }

  /** Safe to call twice. Resolves once the socket is gone, or a second has passed. */
  close(): Promise<void> {
    this.#timer?.cancel()
    const socket = this.#socket
    this.#state = 'closed'
    if (socket === null) return Promise.resolve()
    return new Promise((resolve) => {
      this.#after(CLOSE_MS, () => socket.terminate())
      this.#whenEnded = resolve
      socket.close()
    })
  }

  #after(delayMs: number, task: () => void): void {
    this.#timer?.cancel()
    this.#timer = this.#options.world.clocks.after(delayMs, task)
  }

  #dial(): void {
    this.#state = 'dialling'
    const generation = ++this.#generation
    const current = () => generation === this.#generation
    const events: SocketEvents = {
      opened: () => {
        if (current() && this.#state === 'dialling') this.#socket?.send(encodeHello(this.#options.hello()))
      },
      message: (bytes) => {
        if (current() && this.#state !== 'closed') this.#message(bytes)
      },
      pong: () => {
        this.#heardMs = this.#options.world.clocks.monotonicMs()
      },
      ended: (why) => {
        if (current()) this.#ended(why)
      },
    }
    this.#after(GREETING_MS, () => this.#end(`${this.endpoint} did not greet within ${GREETING_MS} ms`))
    this.#socket = this.#options.world.dial(this.endpoint, events)
    this.#socket.hold(this.#held)
  }

  #message(bytes: Uint8Array): void {
    this.#heardMs = this.#options.world.clocks.monotonicMs()
    const { owner } = this.#options
    try {
      const { kind } = openFrame(bytes)
      if (kind === FRAME_KIND.replies && this.#state === 'open') {
        this.#failures = 0
        owner.replies(decodeReplies(bytes))
      } else if (kind === FRAME_KIND.pushes && this.#state === 'open') owner.pushes(decodePushes(bytes))
      else if (kind === FRAME_KIND.welcome && this.#state === 'dialling') this.#welcomed(decodeWelcome(bytes))
      else if (kind === FRAME_KIND.refused) this.#refused(decodeRefused(bytes))
      else this.#end(`${this.endpoint} sent a frame of kind ${kind} out of turn`)
    } catch (error) {
      this.#end(`${this.endpoint} broke the protocol: ${(error as Error).message}`)
    }
  }

  #welcomed(welcome: Welcome): void {
    this.#timer?.cancel()
    this.#state = 'open'
    this.#pinged = false
    this.#limits = welcome.limits
    this.#options.owner.opened(welcome)
  }

  #refused(refusal: { code: number; detail: string }): void {
    const code = errorOfWire(refusal.code)
    this.#end(`${this.endpoint} refused the session: ${refusal.detail}`)
    if (!ERRORS[code].retryable) this.#options.owner.refused(code, refusal.detail)
  }

  /** Gives this connection up; what its socket still says is not listened to. */
  #end(why: string): void {
    this.#socket?.terminate()
    this.#ended(why)
  }

  #ended(why: string): void {
    const wasClosed = this.#state === 'closed'
    this.#generation++
    this.#timer?.cancel()
    this.#socket = null
    this.#pinged = false
    this.trouble = why
    this.#whenEnded?.()
    if (wasClosed) return
    this.#state = 'idle'
    this.#failures++
    this.#endpoint = (this.#endpoint + 1) % this.#options.endpoints.length
    const pauseMs = backoffMs(this.#options.seed, CONNECT_REQUEST, this.#failures, PAUSE_MS_MAX)
    this.#notBeforeMs = this.#options.world.clocks.monotonicMs() + pauseMs
    this.#options.owner.lost()
  }
}
