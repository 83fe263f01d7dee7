/**
 * The link to the cluster: which connection is used, and when to go to another member. One connection is used at a time;
 * a move to another member dials while the old one still brings answers, and changes over once the new one has greeted.
 * Never connects before somebody wants it, never dials twice at once, and never uses a member of another cluster.
 */
import {
  ERRORS,
  type ErrorCode,
  type Hello,
  LIMITS,
  type Push,
  type Welcome,
  type WireReply,
} from '@leasehold/protocol'
import type { Timer } from './clocks.js'
import { Connection, type ConnectionOwner } from './connection.js'
import type { Endpoint, Endpoints } from './endpoints.js'
import { backoffMs } from './retry.js'
import type { World } from './world.js'

/** From the dial to the welcome, while there are endpoints that have not been tried; */
const GREETING_MS = 1_000
/** and afterwards, when slow may be all that there is. */
const GREETING_MS_MAX = 3_000
/** Longest pause between two tries to connect: within the time for which a new term ends nothing, so that holders are back in it. */
const PAUSE_MS_MAX = LIMITS.holdMs
/** A try without a pause, as after a loss, comes no sooner than this after the last one. */
const AT_ONCE_EVERY_MS = 1_000
/** While somebody waits for what the member has to say by itself, and it says nothing, it is asked this often whether it is there. */
const LISTEN_MS = 1_000
/** Nobody is asked who was heard so lately. */
const HEARD_MS = 200
/** The jitter of reconnects is that of a request with this number. */
const CONNECT_REQUEST = 0

export interface LinkOwner {
  opened(welcome: Welcome): void
  replies(replies: readonly WireReply[]): void
  pushes(pushes: readonly Push[]): void
  /** The connection is gone, or a new one takes its place. Whoever still waits for an answer calls want(). */
  lost(): void
  /** A move came to nothing: the connection that there was is used on. */
  stayed(): void
  /** Whether there still is something to connect for. */
  wanted(): boolean
  /** Whether somebody waits for what a member says by itself: the end of a wait, the next event. */
  listening(): boolean
  /** Turned away, and another try would be, too. */
  refused(code: ErrorCode, detail: string): void
  /** The cluster that this client began with; null before the first greeting. */
  clusterId(): string | null
}

export interface LinkOptions {
  readonly world: World
  readonly endpoints: Endpoints
  /** Seeds the jitter. */
  readonly seed: number
  readonly hello: () => Hello
  readonly owner: LinkOwner
}

export class Link {
  readonly #options: LinkOptions
  /** Greeted. */
  #current: Connection | null = null
  /** Dialled, and not greeted yet. */
  #coming: Connection | null = null
  /** The current one is good for answers that are on their way, and for nothing new. */
  #leaving = false
  #closed = false
  /** Connections that failed since one last brought an answer. */
  #failures = 0
  #notBeforeMs = 0
  #atOnceMs = Number.NEGATIVE_INFINITY
  /** Endpoints that a move has tried. */
  #tried = 0
  #held = false
  #pause: Timer | null = null
  #listen: Timer | null = null
  #leaderUrl: string | null = null
  #limits: Welcome['limits'] = { ...LIMITS, inFlightMax: 1 }
  #lastUrl = ''
  /** Why there is no connection, for people. */
  trouble = 'not connected yet'

  constructor(options: LinkOptions) {
    this.#options = options
  }

  /** Whether something new may be sent. */
  get open(): boolean {
    return this.#current !== null && !this.#leaving
  }
  /** What the member asks its clients to keep to. */
  get limits(): Welcome['limits'] {
    return this.#limits
  }
  /** The one that was dialled last. */
  get endpoint(): string {
    return this.#lastUrl
  }

  /** There is something to send: connects unless that is under way. */
  want(): void {
    if (this.open || this.#closed || this.#coming !== null || this.#pause !== null) return
    const waitMs = this.#notBeforeMs - this.#nowMs()
    if (waitMs <= 0) {
      this.#dial()
      return
    }
    this.#pause = this.#options.world.clocks.after(waitMs, () => {
      this.#pause = null
      if (this.#options.owner.wanted()) this.#dial()
    })
  }

  send(frame: Uint8Array): void {
    this.#current?.send(frame)
  }

  /** Whether the connection keeps the process alive. */
  hold(on: boolean): void {
    this.#held = on
    this.#current?.hold(on)
    this.#coming?.hold(on)
  }

  /** The member has executed something: it serves. */
  served(): void {
    this.#failures = 0
  }

  /** An answer is overdue: asks whether anybody is there. */
  suspect(): void {
    this.#current?.suspect(HEARD_MS)
  }

  /** Somebody waits for what the member says by itself: from now on, silence is looked into. */
  listen(): void {
    if (this.#listen !== null || this.#current === null || this.#closed) return
    this.#listen = this.#options.world.clocks.after(LISTEN_MS, () => {
      this.#listen = null
      if (!this.#options.owner.listening()) return
      this.#current?.suspect(LISTEN_MS)
      this.listen()
    })
  }

  /**
   * The member cannot serve now (it shuts down, it has no quorum, it is silent): another one shall. What is under way here may
   * still be answered until then. False where there is no other one to go to. `leaderUrl`: who would be best, as the member says.
   */
  leave(why: string, leaderUrl: string | null = null): boolean {
    if (this.#options.endpoints.count === 1 || this.#closed) return false
    const current = this.#current
    if (current === null || this.#leaving) return true
    this.#leaving = true
    this.#tried = 0
    this.#failed(current.endpoint, why)
    this.#options.endpoints.hint(leaderUrl ?? this.#leaderUrl)
    if (this.#options.owner.wanted()) this.want()
    else this.#let(current)
    return true
  }

  /** Safe to call twice. Resolves once the socket is gone, or a second has passed. */
  async close(): Promise<void> {
    this.#closed = true
    this.#pause?.cancel()
    this.#listen?.cancel()
    this.#coming?.drop()
    await this.#current?.close()
  }

  #nowMs(): number {
    return this.#options.world.clocks.monotonicMs()
  }

  #dial(): void {
    const { endpoints, world, hello } = this.#options
    const endpoint = endpoints.next(this.#nowMs(), this.#current?.endpoint ?? null)
    const greetingMs = this.#failures < endpoints.count && endpoints.count > 1 ? GREETING_MS : GREETING_MS_MAX
    this.#lastUrl = endpoint.url
    this.#tried++
    this.#coming = new Connection(world, endpoint, greetingMs, hello, this.#events)
    this.#coming.hold(this.#held)
  }

  readonly #events: ConnectionOwner = {
    welcomed: (connection, welcome) => this.#welcomed(connection, welcome),
    replies: (replies) => this.#options.owner.replies(replies),
    pushes: (pushes) => this.#options.owner.pushes(pushes),
    quiet: (connection) => {
      if (connection === this.#current) this.leave(`${connection.endpoint.url} does not answer`)
    },
    refused: (code, detail) => {
      if (!ERRORS[code].retryable) this.#options.owner.refused(code, detail)
    },
    ended: (connection, why) => this.#ended(connection, why),
  }

  #welcomed(connection: Connection, welcome: Welcome): void {
    const clusterId = this.#options.owner.clusterId()
    if (clusterId !== null && clusterId !== welcome.clusterId) {
      this.#foreign(connection, welcome.clusterId, clusterId)
      return
    }
    const before = this.#current
    this.#current = connection
    this.#coming = null
    this.#leaving = false
    this.#limits = welcome.limits
    this.#leaderUrl = welcome.leaderUrl
    connection.endpoint.foreign = false
    if (before !== null) {
      before.drop()
      this.#options.owner.lost()
    }
    this.#options.owner.opened(welcome)
    if (this.#options.owner.listening()) this.listen()
  }

  /** Nothing of one cluster means anything in another one: not a token, not a cursor, not a time. */
  #foreign(connection: Connection, theirs: string, ours: string): void {
    const { endpoint } = connection
    const { endpoints, owner, world } = this.#options
    const detail = `${endpoint.url} belongs to cluster ${theirs}; this client began with cluster ${ours}`
    if (!endpoint.foreign) world.warn?.(detail)
    endpoint.foreign = true
    connection.drop()
    if (endpoints.allForeign) owner.refused('WRONG_CLUSTER', detail)
    this.#ended(connection, detail)
  }

  /** Lets go of a connection that nobody wants any more. */
  #let(connection: Connection): void {
    this.#current = null
    this.#leaving = false
    connection.drop()
    this.#options.owner.lost()
  }

  #ended(connection: Connection, why: string): void {
    this.#failed(connection.endpoint, why)
    if (connection === this.#current) {
      this.#current = null
      this.#leaving = false
      this.#options.endpoints.hint(this.#leaderUrl)
      this.#options.owner.lost()
      return
    }
    this.#coming = null
    if (this.#current === null) this.#options.owner.lost()
    else if (this.#tried >= this.#options.endpoints.count - 1) this.#stay()
    else if (this.#options.owner.wanted()) this.want()
    else this.#let(this.#current)
  }

  /** Nobody else would have this client: better here than nowhere. */
  #stay(): void {
    this.#leaving = false
    this.#options.owner.stayed()
  }

  /** When, and where not, to try next. The first try after a loss comes at once; the pauses between more grow. */
  #failed(endpoint: Endpoint, why: string): void {
    const nowMs = this.#nowMs()
    endpoint.failedMs = nowMs
    this.trouble = why
    this.#failures++
    if (this.#failures === 1 && nowMs - this.#atOnceMs >= AT_ONCE_EVERY_MS) {
      this.#atOnceMs = nowMs
      this.#notBeforeMs = nowMs
      return
    }
    const attempt = Math.max(1, this.#failures - 1)
    this.#notBeforeMs = nowMs + backoffMs(this.#options.seed, CONNECT_REQUEST, attempt, PAUSE_MS_MAX)
  }
}
