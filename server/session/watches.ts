/**
 * The watches of one session: each is named by the id of the request that opened it, and told by pushes.
 * Must never outlive its session.
 */
import {
  type ChainedEvent,
  chainedFields,
  ERRORS,
  type ErrorCode,
  encodeCursor,
  OK,
  OP,
  type Op,
  ProtocolError,
  type Push,
  parseUnwatch,
  parseWatch,
  type RequestReader,
  type WatchQuery,
} from '@leasehold/protocol'
import type { Watch, WatchSink } from './feed.js'
import type { Session } from './session.js'
import type { Sessions } from './sessions.js'

export class SessionWatches {
  readonly #all: Sessions
  readonly #session: Session
  readonly #open = new Map<number, Watch>()

  constructor(all: Sessions, session: Session) {
    this.#all = all
    this.#session = session
  }

  /** A watch or unwatch off the wire, answered at once. */
  take(request: RequestReader): void {
    const { id, attempt } = request
    const op = request.op as Op
    try {
      if (op === OP.watch) this.#answer(op, id, attempt, OK, [this.#watch(id, parseWatch(request.fields()))])
      else {
        this.#unwatch(parseUnwatch(request.fields()))
        this.#answer(op, id, attempt, OK, [])
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      const retryAfterMs = ERRORS[error.code].status === 503 ? this.#all.intake.retryAfterMs() : 0
      this.#answer(op, id, attempt, ERRORS[error.code].wire, [error.message, retryAfterMs])
    }
  }

  /** The socket takes more again. */
  wake(): void {
    for (const watch of this.#open.values()) watch.wake()
  }

  close(): void {
    for (const watch of this.#open.values()) watch.close()
    this.#open.clear()
  }

  #answer(op: Op, id: number, attempt: number, code: number, fields: readonly unknown[]): void {
    this.#session.answer(id, attempt, code, fields)
    this.#all.intake.journal.count(op, code, fields, 0, false)
  }

  /** Opens it and returns the cursor at which it begins. A repeated request replaces its own watch. */
  #watch(id: number, query: WatchQuery): string {
    if (this.#all.intake.draining) throw new ProtocolError('SHUTTING_DOWN', 'this member is shutting down')
    this.#unwatch(id)
    if (this.#open.size >= this.#all.limits.watchesPerSessionMax)
      throw new ProtocolError('LIMIT_REACHED', `at most ${this.#all.limits.watchesPerSessionMax} watches on a session`)
    const watch = this.#all.feed.open(query, this.#sink(id))
    this.#open.set(id, watch)
    return watch.cursor
  }

  #unwatch(id: number): void {
    this.#open.get(id)?.close()
    this.#open.delete(id)
  }

  #sink(id: number): WatchSink {
    const session = this.#session
    return {
      events: (events) => this.#push(id, events),
      end: (code, detail) => this.#ended(id, code, detail),
      get congested() {
        return session.congested
      },
    }
  }

  #push(id: number, events: readonly ChainedEvent[]): void {
    const { clusterId } = this.#all.replica.status
    for (let from = 0; from < events.length; from += this.#all.limits.watchPage) {
      const pushes: Push[] = []
      for (const event of events.slice(from, from + this.#all.limits.watchPage))
        pushes.push(['event', id, encodeCursor(clusterId, event.seq), chainedFields(event)])
      this.#session.push(pushes)
    }
  }

  #ended(id: number, code: ErrorCode, detail: string): void {
    this.#open.delete(id)
    this.#session.push([['watchEnd', id, ERRORS[code].wire, detail]])
  }
}
