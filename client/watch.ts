/**
 * A resumable stream of changes. It goes on from the last event that was handed over, through any number of connections,
 * and says CURSOR_COMPACTED when it cannot. Bounded: a slow reader is dropped by the server's side of it, and resumes.
 * Never skips an event, and keeps the process alive only while somebody waits for the next one.
 */
import {
  chainedFromFields,
  checkPrefix,
  checkVisible,
  errorOfWire,
  LIMITS,
  OP,
  type WatchFields,
} from '@leasehold/protocol'
import { onAbort } from './abort.js'
import { ask, isOk, outcomeError } from './ask.js'
import { Call } from './call.js'
import type { Core } from './core.js'
import { aborted, closed, LeaseholdError, refusedHere } from './errors.js'
import { backoffMs } from './retry.js'
import type { LeaseEvent, WatchOptions } from './types.js'
import type { Watching } from './watches.js'

/** Events that wait for a slow reader; with more, the watch is given up and resumed once they are read. */
const BUFFER_MAX = 4_096

interface Waiting {
  resolve(result: IteratorResult<LeaseEvent, undefined>): void
  reject(error: unknown): void
}

/** Opens the watch on this connection; its id names it there. */
class WatchCall extends Call {
  override readonly op = OP.watch
  readonly #watch: Watch
  readonly #body: readonly unknown[]
  constructor(watch: Watch, body: readonly unknown[], holds: boolean) {
    super()
    this.#watch = watch
    this.#body = body
    this.holds = holds
  }
  override fields(): readonly unknown[] {
    // Pushes may come in the same turn as the reply: whom they are for is known from the first attempt on.
    this.#watch.opening(this)
    return this.#body
  }
  override answered(code: number, fields: readonly unknown[]): void {
    this.#watch.opened(this, code, fields)
  }
  override failed(error: LeaseholdError): void {
    this.#watch.failed(this, error)
  }
}

export class Watch implements AsyncIterableIterator<LeaseEvent>, Watching {
  readonly #core: Core
  readonly #prefix: string
  readonly #stopListening: () => void
  #cursor: string | null
  readonly #events: LeaseEvent[] = []
  readonly #waiting: Waiting[] = []
  #call: WatchCall | null = null
  #openId = 0
  #lastSeq = 0
  #failures = 0
  #resumeMs = 0
  #end: { error: unknown } | null = null

  constructor(core: Core, options: WatchOptions) {
    try {
      this.#prefix = checkPrefix(options.prefix ?? '', 'prefix')
      this.#cursor = options.after === undefined ? null : checkVisible(options.after, 'after', LIMITS.cursorBytesMax)
    } catch (error) {
      throw refusedHere(error)
    }
    this.#core = core
    this.#stopListening = onAbort(options.signal, () => this.#finish(aborted(options.signal!, 'no')))
    if (options.signal?.aborted) this.#finish(aborted(options.signal, 'no'))
  }

  /** Where another watch would go on. Null until the first answer where it began without one. */
  get cursor(): string | null {
    return this.#cursor
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<LeaseEvent, undefined>> {
    const event = this.#events.shift()
    if (event !== undefined) {
      this.#cursor = event.cursor
      return Promise.resolve({ done: false, value: event })
    }
    if (this.#end !== null) return this.#ended()
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#core.calls.setAwake(this, true)
      this.#open()
    })
  }

  /** Ends the watch: also what `break` out of a `for await` does. */
  return(): Promise<IteratorResult<LeaseEvent, undefined>> {
    this.#finish(null)
    return Promise.resolve({ done: true, value: undefined })
  }

  event(cursor: string, fields: readonly unknown[]): void {
    if (this.#end !== null) return
    const event: LeaseEvent = { ...chainedFromFields(fields), cursor }
    // A watch that was opened twice, since the first answer was late, brings its events twice.
    if (event.seq <= this.#lastSeq) return
    this.#lastSeq = event.seq
    this.#failures = 0
    const waiting = this.#waiting.shift()
    if (waiting !== undefined) {
      this.#cursor = cursor
      waiting.resolve({ done: false, value: event })
      if (this.#waiting.length === 0) this.#core.calls.setAwake(this, false)
      return
    }
    this.#events.push(event)
    // What does not fit is read again later, from the last event that did.
    if (this.#events.length >= BUFFER_MAX) this.#leave()
  }

  ended(code: number, detail: string): void {
    this.#detach()
    // It may end before the answer that it was opened has been read.
    if (this.#call !== null) this.#core.calls.withdraw(this.#call)
    this.#call = null
    const error = new LeaseholdError(errorOfWire(code), detail, { executed: 'yes' })
    if (error.retryable) this.#resumeLater()
    else this.#finish(error)
  }

  lost(): void {
    this.#openId = 0
    this.#resume()
  }

  opening(call: WatchCall): void {
    this.#core.watches.add(call.id, this)
    this.#openId = call.id
  }

  opened(call: WatchCall, code: number, fields: readonly unknown[]): void {
    if (this.#call !== call) return
    this.#call = null
    if (!isOk(code)) {
      this.#detach()
      this.#finish(outcomeError(code, fields))
      return
    }
    this.#core.calls.reserve(call.id)
    if (this.#cursor === null && this.#events.length === 0) this.#cursor = (fields as WatchFields)[0]
  }

  failed(call: WatchCall, error: LeaseholdError): void {
    if (this.#call !== call) return
    this.#call = null
    this.#detach()
    if (!error.retryable) {
      this.#finish(error.code === 'CLOSED' ? closed('no') : error)
      return
    }
    this.#resumeLater()
  }

  /** After a pause that doubles while no event comes through. */
  #resumeLater(): void {
    const { clocks, session } = this.#core
    this.#failures++
    this.#resumeMs = clocks.monotonicMs() + backoffMs(session.seed, this.#lastSeq, this.#failures)
    this.#resume()
  }

  /** Goes on where somebody waits for it; otherwise with the next call of next(). */
  #resume(): void {
    if (this.#end === null && this.#waiting.length > 0) this.#open()
  }

  #open(): void {
    if (this.#call !== null || this.#openId !== 0 || this.#end !== null) return
    const { calls, clocks, timeoutMs } = this.#core
    const call = new WatchCall(this, [this.#prefix, this.#cursor], false)
    this.#call = call
    const nowMs = clocks.monotonicMs()
    const startMs = this.#resumeMs > nowMs ? this.#resumeMs : 0
    calls.submit(call, Math.max(startMs, nowMs) + timeoutMs, startMs)
  }

  /** Gives the watch on this connection up. The server's pushes that are on their way find nobody. */
  #leave(): void {
    const id = this.#openId
    this.#detach()
    if (this.#call !== null) this.#core.calls.withdraw(this.#call)
    this.#call = null
    if (id === 0 || !this.#core.link.open) return
    const request = { op: OP.unwatch, body: () => [id], read: () => undefined, holds: false }
    ask(this.#core, request, { timeoutMs: this.#core.timeoutMs }).catch(() => {})
  }

  #detach(): void {
    if (this.#openId === 0) return
    this.#core.watches.remove(this.#openId)
    this.#core.calls.free(this.#openId)
    this.#openId = 0
  }

  /** Null: it was left by its reader. */
  #finish(error: unknown): void {
    if (this.#end !== null) return
    // Who waits now is told; otherwise whoever asks next.
    this.#end = { error: this.#waiting.length > 0 ? null : error }
    this.#leave()
    this.#stopListening()
    this.#core.calls.setAwake(this, false)
    for (const waiting of this.#waiting.splice(0)) {
      if (error === null) waiting.resolve({ done: true, value: undefined })
      else waiting.reject(error)
    }
  }

  /** The error is told once; after that the stream is just over. */
  #ended(): Promise<IteratorResult<LeaseEvent, undefined>> {
    const error = this.#end?.error ?? null
    this.#end = { error: null }
    return error === null ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error)
  }
}
