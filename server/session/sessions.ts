/**
 * All sessions of this member: who may open one, who of them is told of a revocation, and one timer for greetings that
 * do not come. Must never let one session's end touch another's.
 */
import { type Hello, LIMITS, RequestReader, type Welcome } from '@leasehold/protocol'
import type { Intake } from '../intake/index.js'
import type { Clock, Telemetry } from '../ports/index.js'
import type { Replica } from '../replica/index.js'
import { Away } from './away.js'
import { Feed } from './feed.js'
import { SESSION_LIMITS, type SessionLimits } from './limits.js'
import { Session } from './session.js'
import { CLOSE, type Socket, type SocketHandle } from './socket.js'

export interface SessionInfo {
  /** The address at which clients reach the leader; null while it is not known. */
  readonly leaderUrl: string | null
}

export interface SessionsOptions {
  readonly replica: Replica
  readonly intake: Intake
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly info: SessionInfo
  /** Limits to use instead, in tests. */
  readonly limits?: Partial<SessionLimits>
}

export class Sessions {
  readonly replica: Replica
  readonly intake: Intake
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly limits: SessionLimits
  readonly feed: Feed
  /** One for all: frames are read one after the other, each to its end. */
  readonly reader = new RequestReader()
  readonly #info: SessionInfo
  readonly #open = new Set<Session>()
  readonly #byId = new Map<string, Session>()
  readonly #byClient = new Map<string, Set<Session>>()
  readonly #away: Away
  readonly #stops: (() => void)[]
  #closed = false

  constructor(options: SessionsOptions) {
    this.replica = options.replica
    this.intake = options.intake
    this.clock = options.clock
    this.telemetry = options.telemetry
    this.limits = { ...SESSION_LIMITS, ...options.limits }
    this.#info = options.info
    this.feed = new Feed(options.replica, options.telemetry, this.limits)
    this.#away = new Away({
      replica: options.replica,
      awayAfterMs: this.limits.awayAfterMs,
      sessions: () => this.#byId.values(),
      leaderUrl: () => options.info.leaderUrl,
    })
    this.#stops = [
      options.clock.every(this.limits.lookMs, () => this.#look()),
      options.clock.every(this.limits.tickMs, () => this.#tick()),
      options.replica.onRevoked((principal, name, token, reason) => {
        for (const session of this.#byClient.get(principal) ?? []) session.push([['ended', name, token, reason]])
      }),
    ]
  }

  get count(): number {
    return this.#open.size
  }

  /** Takes a connection over. One that is not welcome is told so and closed at once. */
  accept(socket: Socket): SocketHandle {
    const session = new Session(this, socket, this.clock.monotonicMs())
    this.#open.add(session)
    if (this.#closed || this.intake.draining)
      session.refuse('SHUTTING_DOWN', 'this member is shutting down', CLOSE.goingAway)
    else if (this.#open.size > this.limits.sessionsMax)
      session.refuse('LIMIT_REACHED', `at most ${this.limits.sessionsMax} sessions`, CLOSE.tryAgainLater)
    this.#gauge()
    return session
  }

  /** What a client is told once it has greeted. */
  welcome(): Welcome {
    const { clusterId, memberId, term, clusterMs } = this.replica.status
    return {
      clusterId,
      memberId,
      term,
      leaderUrl: this.#info.leaderUrl,
      clusterMs,
      limits: {
        frameBytesMax: LIMITS.frameBytesMax,
        frameRequestsMax: LIMITS.frameRequestsMax,
        inFlightMax: this.intake.limits.inFlightPerLaneMax,
      },
    }
  }

  /** This member goes: all are told, so that they move before anything is refused. What is under way is still answered. */
  drain(): void {
    this.#away.tell('SHUTTING_DOWN', 'this member is shutting down')
  }

  /** Says goodbye to all of them. Safe to call twice. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const stop of this.#stops) stop()
    for (const session of [...this.#open]) session.close(CLOSE.goingAway, 'shutting down')
    this.feed.close()
  }

  // for sessions

  /** A session has its name. An older connection of the same session gives way: its waiters go over to the retries. */
  greeted(session: Session, hello: Hello): void {
    this.#byId.get(hello.sessionId)?.close(CLOSE.policy, 'the session goes on on a newer connection')
    this.#byId.set(hello.sessionId, session)
    let named = this.#byClient.get(hello.clientName)
    if (named === undefined) {
      named = new Set()
      this.#byClient.set(hello.clientName, named)
    }
    named.add(session)
  }

  ended(session: Session): void {
    this.#open.delete(session)
    const { hello } = session
    if (hello !== null) {
      if (this.#byId.get(hello.sessionId) === session) this.#byId.delete(hello.sessionId)
      const named = this.#byClient.get(hello.clientName)
      named?.delete(session)
      if (named?.size === 0) this.#byClient.delete(hello.clientName)
    }
    this.#gauge()
  }

  #look(): void {
    if (!this.intake.draining) this.#away.look(this.clock.monotonicMs())
  }

  #tick(): void {
    const nowMs = this.clock.monotonicMs()
    const lateMs = nowMs - this.limits.greetingMs
    for (const session of [...this.#open]) {
      if (session.hello === null && session.openedMs <= lateMs)
        session.refuse('INVALID_ARGUMENT', `no greeting within ${this.limits.greetingMs} ms`, CLOSE.policy)
      else session.tick(nowMs)
    }
  }

  #gauge(): void {
    this.telemetry.gauge('sessions', this.#open.size)
  }
}

export function createSessions(options: SessionsOptions): Sessions {
  return new Sessions(options)
}
