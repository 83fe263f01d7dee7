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
import { caughtUp } from '../intake/index.js'
import type { Watch, WatchSink } from './feed.js'
import type { Session } from './session.js'
import type { Sessions } from './sessions.js'

export class SessionWatches {
  readonly #all: Sessions
  readonly #session: Session
  readonly #open = new Map<number, Watch>()
  /** Attempts whose cursor this member has not reached yet, by the id of their watch. */
  readonly #coming = new Map<number, number>()

  constructor(all: Sessions, session: Session) {
    this.#all = all
    this.#session = session
  }

  /** A watch or unwatch off the wire, answered at once; a watch whose cursor is ahead of this member, once it has caught up. */
  take(request: RequestReader): void {
    const { id, attempt } = request
    const op = request.op as Op
    try {
      if (op === OP.watch) this.#begin(id, attempt, parseWatch(request.fields()))
      else {
        this.#unwatch(parseUnwatch(request.fields()))
        this.#answer(op, id, attempt, OK, [])
      }
    } catch (error) {
      this.#refuse(op, id, attempt, error)
    }
  }

  /** The socket takes more again. */
  wake(): void {
    for (const watch of this.#open.values()) watch.wake()
  }

  close(): void {
    for (const watch of this.#open.values()) watch.close()
    this.#open.clear()
    this.#coming.clear()
  }

  #begin(id: number, attempt: number, query: WatchQuery): void {
    this.#unwatch(id)
    const behind = caughtUp(this.#all.replica, query.cursor)
    if (behind === null) {
      this.#answer(OP.watch, id, attempt, OK, [this.#watch(id, query)])
      return
    }
    this.#checkRoom()
    this.#coming.set(id, attempt)
    void behind.then(
      () => this.#caughtUp(id, attempt, () => this.#answer(OP.watch, id, attempt, OK, [this.#watch(id, query)])),
      (error) => this.#caughtUp(id, attempt, () => this.#refuse(OP.watch, id, attempt, this.#told(error))),
    )
  }

  /** Answers, unless another attempt, an unwatch or the end of the session was faster. */
  #caughtUp(id: number, attempt: number, answer: () => void): void {
    if (this.#coming.get(id) !== attempt) return
    this.#coming.delete(id)
    try {
      answer()
    } catch (error) {
      this.#refuse(OP.watch, id, attempt, error)
    }
    this.#session.flush()
  }

  /** A barrier that fails otherwise than by saying so is a defect, and is logged. */
  #told(error: unknown): ProtocolError {
    if (error instanceof ProtocolError) return error
    this.#all.telemetry.log('error', 'watch.failed', { error })
    return new ProtocolError('INTERNAL', 'the watch could not begin')
  }

  #refuse(op: Op, id: number, attempt: number, error: unknown): void {
    if (!(error instanceof ProtocolError)) throw error
    const retryAfterMs = ERRORS[error.code].status === 503 ? this.#all.intake.retryAfterMs() : 0
    this.#answer(op, id, attempt, ERRORS[error.code].wire, [error.message, retryAfterMs])
  }

  #answer(op: Op, id: number, attempt: number, code: number, fields: readonly unknown[]): void {
    this.#session.answer(id, attempt, code, fields)
    this.#all.intake.journal.count(op, code, fields, 0, false)
  }

  /** Opens it and returns the cursor at which it begins. A repeated request replaces its own watch. */
  #watch(id: number, query: WatchQuery): string {
    if (this.#all.intake.draining) throw new ProtocolError('SHUTTING_DOWN', 'this member is shutting down')
    this.#checkRoom()
    const watch = this.#all.feed.open(query, this.#sink(id))
    this.#open.set(id, watch)
    return watch.cursor
  }

  #checkRoom(): void {
    const { watchesPerSessionMax } = this.#all.limits
    if (this.#open.size + this.#coming.size >= watchesPerSessionMax)
      throw new ProtocolError('LIMIT_REACHED', `at most ${watchesPerSessionMax} watches on a session`)
  }

  #unwatch(id: number): void {
    this.#open.get(id)?.close()
    this.#open.delete(id)
    this.#coming.delete(id)
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
