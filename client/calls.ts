/**
 * The requests that are not yet answered: hands them to the outbox, matches answers to attempts, tries again within the
 * budget and the deadline, and fails what has no answer by then. One layer retries, and this is it.
 */
import { ERRORS, type ErrorCode, errorOfWire, OFFERED, OK, OP, QUEUED, type WireReply } from '@leasehold/protocol'
import { type Call, type CallTable, STATE } from './call.js'
import type { Clocks, Timeline } from './clocks.js'
import type { DeadlineWheel } from './deadline.js'
import { closed, fateOf, LeaseholdError } from './errors.js'
import type { Link } from './link.js'
import { Outbox } from './outbox.js'
import { backoffMs, RetryBudget } from './retry.js'
import type { Session } from './session.js'

/** An attempt without an answer for this long is made again, budget permitting; */
export const ATTEMPT_MS = 2_000
/** for so long, somebody asks whether the member is there at all. */
export const SUSPECT_MS = 250
/** Unanswered requests of one client. */
export const CALLS_MAX = 65_536

/** A refusal of this member, not of the cluster: another one may do. */
const ELSEWHERE: ReadonlySet<ErrorCode> = new Set(['NO_QUORUM', 'SHUTTING_DOWN'])

export interface CallsParts {
  readonly clocks: Clocks
  readonly timeline: Timeline
  readonly wheel: DeadlineWheel
  readonly session: Session
  readonly link: Link
  /** Calls wait for the cluster time: ask for it, then call timed(). */
  readonly askTime: () => void
}

export class Calls implements CallTable {
  readonly #parts: CallsParts
  readonly #outbox: Outbox
  readonly #byId = new Map<number, Call>()
  /** Ids that answers still refer to after their request was answered: watches. */
  readonly #reserved = new Set<number>()
  readonly #awake = new Set<object>()
  readonly budget = new RetryBudget()
  readonly renewalBudget = new RetryBudget()
  #lastId = 0
  #inFlight = 0
  #holding = 0
  #closed = false
  /** Called when the last request has its answer. */
  whenIdle: (() => void) | null = null

  constructor(parts: CallsParts) {
    this.#parts = parts
    this.#outbox = new Outbox({
      ...parts,
      inFlight: () => this.#inFlight,
      sent: (call, nowMs) => this.#sent(call, nowMs),
      unsendable: (call, error) =>
        this.#fail(call, new LeaseholdError('INVALID_ARGUMENT', error.message, { executed: call.executed })),
    })
  }

  /** Requests without an answer. */
  get size(): number {
    return this.#byId.size
  }

  /** Hands a call in. `startMs`: not before then (it is itself a retry, and pays for it). Its end is told by answered() or failed(), later. */
  submit(call: Call, deadlineMs: number, startMs = 0): void {
    const refusal = this.#closed ? 'CLOSED' : this.#byId.size >= CALLS_MAX ? 'LIMIT_REACHED' : null
    if (refusal !== null) {
      const detail = refusal === 'CLOSED' ? null : `more than ${CALLS_MAX} requests of this client wait for an answer`
      queueMicrotask(() => call.failed(new LeaseholdError(refusal, detail, { executed: 'no' })))
      return
    }
    call.id = this.#newId()
    call.table = this
    call.deadlineMs = deadlineMs
    this.#byId.set(call.id, call)
    if (call.holds && this.#holding++ === 0) this.#hold(true)
    if (startMs > 0) {
      call.state = STATE.backoff
      this.#parts.wheel.set(call, Math.min(startMs, deadlineMs))
    } else {
      this.#parts.wheel.set(call, deadlineMs)
      this.#outbox.add(call)
    }
  }

  /** Its caller gives up: no answer is told. Safe for a call that has ended. */
  withdraw(call: Call): void {
    if (call.id !== 0 && this.#byId.get(call.id) === call) this.#remove(call)
  }

  /** Whether the process stays alive for this call's answer. */
  setHolds(call: Call, on: boolean): void {
    if (call.holds === on) return
    call.holds = on
    if (this.#byId.get(call.id) !== call) return
    if (on && this.#holding++ === 0) this.#hold(true)
    if (!on && --this.#holding === 0) this.#hold(false)
  }

  /** Keeps the process alive as long as somebody waits for what no request stands for: the next event of a watch. */
  setAwake(who: object, on: boolean): void {
    if (on === this.#awake.has(who)) return
    if (on) {
      this.#awake.add(who)
      this.#parts.link.listen()
    } else this.#awake.delete(who)
    if (on && this.#holding++ === 0) this.#hold(true)
    if (!on && --this.#holding === 0) this.#hold(false)
  }

  /** The cluster time is known, or cannot be had. */
  timed(error: LeaseholdError | null): void {
    if (error === null) {
      this.#outbox.timed()
      return
    }
    const { code, message, retryAfterMs } = error
    for (const call of this.#outbox.takeUntimed())
      this.#fail(call, new LeaseholdError(code, message, { executed: call.executed, retryAfterMs }))
  }

  /** Keeps a watch's id from being given to another request. */
  reserve(id: number): void {
    this.#reserved.add(id)
  }
  free(id: number): void {
    this.#reserved.delete(id)
  }

  /** Whether a request stands in a queue, or somebody waits for an event: the member has the word. */
  get listening(): boolean {
    if (this.#awake.size > 0) return true
    for (const call of this.#byId.values()) if (call.state === STATE.queued) return true
    return false
  }

  /** There is a connection: what was under way when the last one went is sent again, for one token of each budget. */
  opened(): void {
    const nowMs = this.#parts.clocks.monotonicMs()
    const paid = new Map<RetryBudget, boolean>()
    for (const call of this.#byId.values()) {
      if (call.state !== STATE.stranded) continue
      const budget = this.#budgetOf(call)
      if (!paid.has(budget)) paid.set(budget, budget.spend(nowMs))
      if (paid.get(budget)) this.#outbox.add(call)
      else this.#backOff(call, nowMs, budget.waitMs(nowMs))
    }
    this.#outbox.timed()
    this.#outbox.schedule()
  }

  /** The connection is gone. */
  lost(): void {
    for (const call of this.#byId.values()) {
      if (call.state === STATE.sent || call.state === STATE.queued) this.#strand(call)
    }
    if (this.#byId.size > 0) this.#parts.link.want()
  }

  /** The cluster will not have this client. */
  refused(code: ErrorCode, detail: string): void {
    for (const call of [...this.#byId.values()])
      this.#fail(call, new LeaseholdError(code, detail, { executed: call.executed }))
  }

  replies(replies: readonly WireReply[]): void {
    for (const [id, attempt, code, fields] of replies) {
      const call = this.#byId.get(id)
      if (call !== undefined) this.#reply(call, attempt, code, fields)
    }
    this.#outbox.schedule()
  }

  /** Fails every call; those that say goodbye (cancels, releases) only with `all`, after which none is taken any more. */
  close(all: boolean): void {
    this.#closed = all
    for (const call of [...this.#byId.values()]) {
      if (all || (call.op !== OP.cancelWait && call.op !== OP.release)) this.#fail(call, closed(call.executed))
    }
  }

  /** A call's moment has come: its deadline, the end of an attempt's patience, or of a pause. */
  due(call: Call, nowMs: number): void {
    if (nowMs >= call.deadlineMs) {
      this.#expire(call)
      return
    }
    if (call.state === STATE.backoff) {
      this.#again(call, nowMs)
      return
    }
    if (call.state === STATE.sent || call.state === STATE.queued) {
      this.#parts.link.suspect()
      if (call.state === STATE.sent && nowMs < call.sentMs + ATTEMPT_MS) {
        this.#parts.wheel.set(call, Math.min(call.deadlineMs, call.sentMs + ATTEMPT_MS, nowMs + SUSPECT_MS))
        return
      }
      const waitMs = this.#budgetOf(call).waitMs(nowMs)
      if (waitMs === 0) {
        this.#backOff(call, nowMs, backoffMs(this.#parts.session.seed, call.id, call.attempt))
        return
      }
    }
    this.#parts.wheel.set(call, call.deadlineMs)
  }

  #reply(call: Call, attempt: number, code: number, fields: readonly unknown[]): void {
    const mark = call.markOf(attempt)
    if (mark === null) return
    if (code === QUEUED) {
      this.#queued(call, attempt)
      return
    }
    const error = code === OK || code === OFFERED ? null : errorOfWire(code)
    if (error !== null && fateOf(error) !== 'yes') {
      this.#turnedAway(call, attempt, error, fields)
      return
    }
    this.#budgetOf(call).success()
    this.#parts.link.served()
    this.#remove(call)
    call.answered(code, fields, mark)
  }

  #queued(call: Call, attempt: number): void {
    call.queued = true
    if (attempt !== call.attempt || call.state !== STATE.sent) return
    this.#leaveFlight(call, STATE.queued)
    this.#parts.link.served()
    this.#parts.link.listen()
    const patienceMs = call.queuedForMs() + ATTEMPT_MS
    this.#parts.wheel.set(call, Math.min(call.deadlineMs, this.#parts.clocks.monotonicMs() + patienceMs))
  }

  #turnedAway(call: Call, attempt: number, code: ErrorCode, fields: readonly unknown[]): void {
    const detail = typeof fields[0] === 'string' ? fields[0] : ''
    const retryAfterMs = typeof fields[1] === 'number' && fields[1] > 0 ? fields[1] : 0
    call.refusal = { code, detail, retryAfterMs }
    if (fateOf(code) === 'no') call.open--
    if (attempt !== call.attempt || call.state === STATE.backoff || call.state === STATE.ready) return
    if (!ERRORS[code].retryable) {
      this.#fail(call, this.#errorOf(call))
      return
    }
    if (ELSEWHERE.has(code) && this.#parts.link.leave(detail)) {
      this.#strand(call)
      return
    }
    const nowMs = this.#parts.clocks.monotonicMs()
    const pauseMs = Math.max(backoffMs(this.#parts.session.seed, call.id, call.attempt), retryAfterMs)
    const poor = !call.renewal && this.budget.waitMs(nowMs) > 0
    if (poor || nowMs + pauseMs >= call.deadlineMs) {
      this.#fail(call, this.#errorOf(call))
      return
    }
    this.#backOff(call, nowMs, pauseMs)
  }

  #backOff(call: Call, nowMs: number, pauseMs: number): void {
    this.#leaveFlight(call, STATE.backoff)
    this.#parts.wheel.set(call, Math.min(call.deadlineMs, nowMs + pauseMs))
  }

  /** It is sent again with the next connection. */
  #strand(call: Call): void {
    this.#leaveFlight(call, STATE.stranded)
    this.#parts.wheel.set(call, call.deadlineMs)
  }

  /** The pause is over: another attempt, if the budget has it. Renewals wait for the budget; others fail. */
  #again(call: Call, nowMs: number): void {
    const budget = this.#budgetOf(call)
    if (budget.spend(nowMs)) {
      this.#parts.wheel.set(call, call.deadlineMs)
      this.#outbox.add(call)
      return
    }
    if (call.renewal) {
      this.#backOff(call, nowMs, budget.waitMs(nowMs))
      return
    }
    this.#fail(call, this.#errorOf(call))
  }

  #sent(call: Call, nowMs: number): void {
    call.state = STATE.sent
    this.#inFlight++
    this.#parts.wheel.set(call, Math.min(call.deadlineMs, nowMs + SUSPECT_MS))
  }

  #leaveFlight(call: Call, state: Call['state']): void {
    if (call.state === STATE.sent) this.#inFlight--
    call.state = state
  }

  #expire(call: Call): void {
    this.#fail(call, this.#errorOf(call))
  }

  /** The last refusal, or else that nobody answered. */
  #errorOf(call: Call): LeaseholdError {
    const { executed, refusal } = call
    if (refusal !== null) {
      return new LeaseholdError(refusal.code, refusal.detail, { executed, retryAfterMs: refusal.retryAfterMs })
    }
    const { link } = this.#parts
    const why = link.open ? `${link.endpoint} did not answer in time` : link.trouble
    return new LeaseholdError('UNREACHABLE', `No member could be reached in time: ${why}`, { executed })
  }

  #fail(call: Call, error: LeaseholdError): void {
    this.#remove(call)
    call.failed(error)
  }

  #remove(call: Call): void {
    this.#byId.delete(call.id)
    this.#leaveFlight(call, STATE.idle)
    this.#parts.wheel.clear(call)
    if (call.holds && --this.#holding === 0) this.#hold(false)
    if (this.#byId.size === 0) this.whenIdle?.()
  }

  #hold(on: boolean): void {
    this.#parts.link.hold(on)
    this.#parts.wheel.hold(on)
  }

  #budgetOf(call: Call): RetryBudget {
    return call.renewal ? this.renewalBudget : this.budget
  }

  #newId(): number {
    do this.#lastId = (this.#lastId + 1) >>> 0
    while (this.#lastId === 0 || this.#byId.has(this.#lastId) || this.#reserved.has(this.#lastId))
    return this.#lastId
  }
}
