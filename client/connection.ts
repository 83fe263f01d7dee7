/**
 * One connection to one member, from the dial to its end: greets, takes frames apart, and asks whether anybody is there.
 * Tells its owner of nothing once it was given up, and never ends because of a timeout alone: only where a greeting does not
 * come, or a ping finds silence.
 */
import {
  decodePushes,
  decodeRefused,
  decodeReplies,
  decodeWelcome,
  type ErrorCode,
  encodeHello,
  errorOfWire,
  FRAME_KIND,
  type Hello,
  openFrame,
  type Push,
  type Welcome,
  type WireReply,
} from '@leasehold/protocol'
import type { Timer } from './clocks.js'
import type { Endpoint } from './endpoints.js'
import type { Socket } from './socket.js'
import type { World } from './world.js'

/** A ping that found nobody for so long makes its owner look elsewhere; */
const QUIET_MS = 250
/** for so long, it ends the connection. */
const SILENCE_MS = 3_000
const CLOSE_MS = 1_000

export interface ConnectionOwner {
  welcomed(connection: Connection, welcome: Welcome): void
  replies(replies: readonly WireReply[]): void
  pushes(pushes: readonly Push[]): void
  /** A ping has found nobody so far. */
  quiet(connection: Connection): void
  /** Turned away; `ended` follows. */
  refused(code: ErrorCode, detail: string): void
  /** Once, unless it was given up or closed before. */
  ended(connection: Connection, why: string): void
}

export class Connection {
  readonly endpoint: Endpoint
  readonly #world: World
  readonly #owner: ConnectionOwner
  readonly #hello: () => Hello
  readonly #socket: Socket
  #state: 'dialling' | 'open' | 'closing' | 'over' = 'dialling'
  #heardMs = 0
  #pinged = false
  #timer: Timer
  #whenGone: (() => void) | null = null

  /** Dials. No event comes before the constructor has returned. `greetingMs`: from now to the welcome. */
  constructor(world: World, endpoint: Endpoint, greetingMs: number, hello: () => Hello, owner: ConnectionOwner) {
    this.endpoint = endpoint
    this.#world = world
    this.#owner = owner
    this.#hello = hello
    const late = () => this.#fail(`${endpoint.url} did not greet within ${greetingMs} ms`)
    this.#timer = world.clocks.after(greetingMs, late)
    this.#socket = world.dial(endpoint.url, {
      opened: () => this.#greet(),
      message: (bytes) => this.#message(bytes),
      pong: () => this.#heard(),
      ended: (why) => this.#ended(why),
    })
  }

  get open(): boolean {
    return this.#state === 'open'
  }

  send(frame: Uint8Array): void {
    this.#socket.send(frame)
  }

  /** Whether it keeps the process alive. */
  hold(on: boolean): void {
    this.#socket.hold(on)
  }

  /** Asks whether anybody is there, unless somebody was heard within the last `sinceMs`. */
  suspect(sinceMs: number): void {
    const { clocks } = this.#world
    const askedMs = clocks.monotonicMs()
    if (this.#state !== 'open' || this.#pinged || askedMs - this.#heardMs < sinceMs) return
    this.#pinged = true
    this.#socket.ping()
    this.#after(QUIET_MS, () => {
      this.#after(SILENCE_MS - QUIET_MS, () => this.#fail(`${this.endpoint.url} does not answer`))
      this.#owner.quiet(this)
    })
  }

  /** Given up: what its socket still says is not listened to. Safe to call twice. */
  drop(): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#timer.cancel()
    this.#whenGone?.()
    this.#socket.terminate()
  }

  /** Says goodbye. Resolves once the socket is gone, or a second has passed. Safe to call twice. */
  close(): Promise<void> {
    if (this.#state === 'over' || this.#state === 'closing') return Promise.resolve()
    this.#state = 'closing'
    return new Promise((resolve) => {
      this.#after(CLOSE_MS, () => this.drop())
      this.#whenGone = resolve
      this.#socket.close()
    })
  }

  #after(delayMs: number, task: () => void): void {
    this.#timer.cancel()
    this.#timer = this.#world.clocks.after(delayMs, task)
  }

  #greet(): void {
    if (this.#state === 'dialling') this.#socket.send(encodeHello(this.#hello()))
  }

  #heard(): void {
    this.#heardMs = this.#world.clocks.monotonicMs()
    if (!this.#pinged) return
    this.#pinged = false
    if (this.#state === 'open') this.#timer.cancel()
  }

  #message(bytes: Uint8Array): void {
    if (this.#state === 'over' || this.#state === 'closing') return
    this.#heard()
    try {
      this.#frame(bytes)
    } catch (error) {
      this.#fail(`${this.endpoint.url} broke the protocol: ${(error as Error).message}`)
    }
  }

  #frame(bytes: Uint8Array): void {
    const { kind } = openFrame(bytes)
    const greeted = this.#state !== 'dialling'
    if (kind === FRAME_KIND.replies && greeted) this.#owner.replies(decodeReplies(bytes))
    else if (kind === FRAME_KIND.pushes && greeted) this.#owner.pushes(decodePushes(bytes))
    else if (kind === FRAME_KIND.welcome && !greeted) this.#welcomed(decodeWelcome(bytes))
    else if (kind === FRAME_KIND.refused) this.#refused(decodeRefused(bytes))
    else this.#fail(`${this.endpoint.url} sent a frame of kind ${kind} out of turn`)
  }

  #welcomed(welcome: Welcome): void {
    this.#timer.cancel()
    this.#state = 'open'
    this.#owner.welcomed(this, welcome)
  }

  #refused(refusal: { code: number; detail: string }): void {
    this.#owner.refused(errorOfWire(refusal.code), refusal.detail)
    this.#fail(`${this.endpoint.url} refused the session: ${refusal.detail}`)
  }

  #fail(why: string): void {
    if (this.#state === 'over') return
    this.#ended(why)
    this.#socket.terminate()
  }

  #ended(why: string): void {
    if (this.#state === 'over') return
    const closing = this.#state === 'closing'
    this.#state = 'over'
    this.#timer.cancel()
    this.#whenGone?.()
    if (!closing) this.#owner.ended(this, why)
  }
}
