/**
 * One sender's way through the front door: what it has in flight, in slots that are used over and over, and the one
 * recipient that the replica answers to for all of them. Must never answer a request twice, and never keep anything for
 * a request once its final answer went out.
 */
import {
  type ClientCommand,
  classOf,
  ERRORS,
  type ErrorCode,
  OK,
  OP,
  type Op,
  ProtocolError,
  parseCommand,
  parseDraw,
  parseTake,
  QUEUED,
  type Sender,
  type TakeRequest,
} from '@leasehold/protocol'
import type { Recipient } from '../replica/index.js'
import type { Intake } from './intake.js'
import { opName, outcomeOf, reasonOf } from './journal.js'
import { TICKETS } from './limits.js'
import { parseQuery, type Query, type Read, serveReads } from './reads.js'

/** Where a lane's answers go. `flush`: nothing more for now, send them. */
export interface Outlet {
  answer(id: number, attempt: number, code: number, fields: readonly unknown[]): void
  flush(): void
}

/** A request as the wire brings it: the header is there, the body is decoded when asked for. */
export interface Incoming {
  readonly op: number
  readonly attempt: number
  readonly id: number
  readonly remainingMs: number
  readonly bodyBytes: number
  fields(): readonly unknown[]
}

interface Slot {
  readonly index: number
  /** How often the slot was used: an answer that comes after its request was dropped must not reach the next one. */
  generation: number
  id: number
  attempt: number
  /** 0: free. */
  op: Op | 0
  bytes: number
  startMs: number
  depth: number
  waiting: boolean
  /** The request token's key, for an acquire; a later attempt of the same request takes its place in the queue over. */
  key: number | string | null
}

export class Lane implements Recipient {
  readonly #intake: Intake
  readonly #sender: Sender
  readonly #outlet: Outlet
  /** Its owner tells of its requests itself. */
  readonly #quiet: boolean
  readonly #slots: Slot[] = []
  readonly #free: Slot[] = []
  /** Slots of acquires that stand in a queue, by the key of their request token. */
  readonly #queued = new Map<number | string, Slot>()
  #reads: Read[] = []
  #nowMs = 0
  #unsent = false
  #closed = false
  #inFlight = 0
  #inFlightBytes = 0
  #waiting = 0
  #pages = 0
  /** Has taken or drawn: the desk may keep something for it. */
  #usesQuotas = false

  constructor(intake: Intake, sender: Sender, outlet: Outlet, quiet: boolean) {
    this.#intake = intake
    this.#sender = sender
    this.#outlet = outlet
    this.#quiet = quiet
  }

  /** Accepted and not yet answered; waiting acquires are counted apart. */
  get inFlight(): number {
    return this.#inFlight
  }

  get waiting(): number {
    return this.#waiting
  }

  /** True while the sender should not be read from: it has as much in flight as it may. */
  get full(): boolean {
    const { limits } = this.#intake
    return this.#inFlight >= limits.inFlightPerLaneMax || this.#inFlightBytes >= limits.inFlightBytesPerLaneMax
  }

  /** Before the requests of a frame: one reading of the clock for all of them. */
  begin(): void {
    this.#nowMs = this.#intake.clock.monotonicMs()
  }

  /** One request off the wire. Whatever is wrong with it is its own answer, never an exception. */
  take(request: Incoming): void {
    const op = request.op as Op
    const refusal = this.#judge(op, request.bodyBytes, request.remainingMs)
    if (refusal !== null) {
      this.#refuse(op, request.id, request.attempt, refusal, detailOf(refusal, request.remainingMs))
      return
    }
    try {
      const fields = request.fields()
      if (op <= OP.quotaDelete) this.#submit(parseCommand(op, fields, this.#sender), request)
      else if (op === OP.take || op === OP.draw) this.#quotas(op, fields, request)
      else this.#read(op, parseQuery(op, fields), request)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#refuse(op, request.id, request.attempt, error.code, error.message)
    }
  }

  /** One checked command, from HTTP. Where it is not let in, that is its answer. */
  change(command: ClientCommand, bytes: number, remainingMs: number): void {
    const refusal = this.#judge(command.op, bytes, remainingMs)
    if (refusal !== null) {
      this.#refuse(command.op, 0, 1, refusal, detailOf(refusal, remainingMs))
      return
    }
    try {
      this.#submit(command, { id: 0, attempt: 1, remainingMs, bodyBytes: bytes })
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#refuse(command.op, 0, 1, error.code, error.message)
    }
  }

  /** One checked take, from HTTP. Where it is not let in, that is its answer. */
  takeTokens(request: TakeRequest, bytes: number, remainingMs: number): void {
    const refusal = this.#judge(OP.take, bytes, remainingMs)
    if (refusal !== null) {
      this.#refuse(OP.take, 0, 1, refusal, detailOf(refusal, remainingMs))
      return
    }
    this.#takeFrom(request, { id: 0, attempt: 1, remainingMs, bodyBytes: bytes })
  }

  /** The requests of a frame are over: starts its reads, all behind one barrier, and sends what is answered already. */
  end(): void {
    if (this.#reads.length > 0) {
      const reads = this.#reads
      this.#reads = []
      void serveReads(this.#intake, reads, this)
    }
    if (this.#unsent) this.flush()
  }

  reply(ticket: number, _attempt: number, code: number, fields: readonly unknown[]): void {
    const slot = this.#slots[ticket % TICKETS]
    if (this.#closed || slot === undefined || slot.op === 0) return
    if (slot.generation * TICKETS + slot.index !== ticket) return
    if (this.#nowMs === 0) this.#nowMs = this.#intake.clock.monotonicMs()
    this.#unsent = true
    if (code === QUEUED) {
      this.#queue(slot)
      this.#outlet.answer(slot.id, slot.attempt, code, fields)
      return
    }
    const { id, attempt } = slot
    this.#finished(slot, code, fields)
    if (slot.op === OP.cancelWait && code === OK && slot.key !== null) this.#dequeue(slot.key)
    this.#release(slot)
    this.#outlet.answer(id, attempt, code, fields)
  }

  flush(): void {
    this.#nowMs = 0
    this.#unsent = false
    if (!this.#closed) this.#outlet.flush()
  }

  /** The sender is gone: nothing is answered any more; its waiters are kept a while for the same requests to come back. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#inFlight + this.#waiting > 0) this.#intake.replica.detach(this)
    if (this.#usesQuotas) this.#intake.quotas.detach(this)
    for (const slot of this.#slots) {
      if (slot.op === 0) continue
      if (!this.#quiet) this.#intake.telemetry.request(opName(slot.op), 'gone', '')
      this.#release(slot)
    }
    this.#queued.clear()
    this.#reads = []
  }

  #judge(op: Op, bytes: number, remainingMs: number): ErrorCode | null {
    const { limits } = this.#intake
    if (this.#inFlight >= limits.inFlightPerLaneMax) return 'OVERLOADED'
    if (this.#inFlightBytes + bytes > limits.inFlightBytesPerLaneMax) return 'OVERLOADED'
    if (isPage(op) && this.#pages >= limits.pagesPerLaneMax) return 'OVERLOADED'
    return this.#intake.judge(op, bytes, remainingMs)
  }

  /** Throws ProtocolError: LIMIT_REACHED for one waiter too many, INVALID_ARGUMENT for what is not served here. */
  #submit(command: ClientCommand, from: Pick<Incoming, 'id' | 'attempt' | 'remainingMs' | 'bodyBytes'>): void {
    const key = keyOf(command)
    if (command.op === OP.acquire && key !== null) this.#checkWaiters(key)
    const slot = this.#occupy(command.op, from)
    slot.key = key
    this.#intake.replica.submit(command, this, ticketOf(slot), from.attempt, this.#nowMs + from.remainingMs)
  }

  /** Throws ProtocolError for a body that is none. */
  #quotas(op: typeof OP.take | typeof OP.draw, fields: readonly unknown[], from: Incoming): void {
    if (op === OP.take) {
      this.#takeFrom(parseTake(fields), from)
      return
    }
    const request = parseDraw(fields)
    this.#usesQuotas = true
    const ticket = ticketOf(this.#occupy(OP.draw, from))
    this.#intake.quotas.draw(request, this, this, ticket, from.attempt, this.#nowMs + from.remainingMs)
  }

  #takeFrom(request: TakeRequest, from: Pick<Incoming, 'id' | 'attempt' | 'remainingMs' | 'bodyBytes'>): void {
    this.#usesQuotas = true
    const ticket = ticketOf(this.#occupy(OP.take, from))
    this.#intake.quotas.take(request, this, ticket, from.attempt, this.#nowMs + from.remainingMs)
  }

  /** A place in a queue that is taken over is no new one. */
  #checkWaiters(key: number | string): void {
    const { limits, waiting } = this.#intake
    if (this.#waiting < limits.waitingPerLaneMax && waiting < limits.waitingMax) return
    if (this.#queued.has(key)) return
    throw new ProtocolError('LIMIT_REACHED', 'too many acquires are waiting; nothing was executed')
  }

  #read(op: Op, query: Query, from: Incoming): void {
    const slot = this.#occupy(op, from)
    if (isPage(op)) this.#pages++
    this.#reads.push({ ticket: ticketOf(slot), attempt: from.attempt, query })
  }

  #occupy(op: Op, from: Pick<Incoming, 'id' | 'attempt' | 'bodyBytes'>): Slot {
    const slot = this.#free.pop() ?? this.#newSlot()
    slot.id = from.id
    slot.attempt = from.attempt
    slot.op = op
    slot.bytes = from.bodyBytes
    slot.startMs = this.#nowMs
    slot.depth = this.#intake.inFlight
    this.#inFlight++
    this.#inFlightBytes += slot.bytes
    this.#intake.inFlight++
    this.#intake.inFlightBytes += slot.bytes
    return slot
  }

  #newSlot(): Slot {
    const slot: Slot = {
      index: this.#slots.length,
      generation: 0,
      id: 0,
      attempt: 0,
      op: 0,
      bytes: 0,
      startMs: 0,
      depth: 0,
      waiting: false,
      key: null,
    }
    this.#slots.push(slot)
    return slot
  }

  #release(slot: Slot): void {
    if (slot.waiting) {
      this.#waiting--
      this.#intake.waiting--
      if (slot.key !== null && this.#queued.get(slot.key) === slot) this.#queued.delete(slot.key)
    } else this.#leaveFlight(slot)
    if (isPage(slot.op)) this.#pages--
    slot.op = 0
    slot.waiting = false
    slot.key = null
    slot.generation++
    this.#free.push(slot)
  }

  #leaveFlight(slot: Slot): void {
    this.#inFlight--
    this.#inFlightBytes -= slot.bytes
    this.#intake.inFlight--
    this.#intake.inFlightBytes -= slot.bytes
  }

  /** The acquire stands in the queue now. An earlier attempt of the same request will get no answer of its own. */
  #queue(slot: Slot): void {
    if (slot.waiting) return
    this.#leaveFlight(slot)
    slot.waiting = true
    this.#waiting++
    this.#intake.waiting++
    if (slot.key === null) return
    this.#dequeue(slot.key)
    this.#queued.set(slot.key, slot)
  }

  #dequeue(key: number | string): void {
    const earlier = this.#queued.get(key)
    if (earlier !== undefined) this.#release(earlier)
  }

  #refuse(op: Op, id: number, attempt: number, code: ErrorCode, detail: string): void {
    const retryAfterMs = ERRORS[code].status === 503 ? this.#intake.retryAfterMs() : 0
    const fields = [detail, retryAfterMs] as const
    this.#unsent = true
    this.#outlet.answer(id, attempt, ERRORS[code].wire, fields)
    if (this.#quiet) return
    if (this.#intake.journal.count(op, ERRORS[code].wire, fields, 0, false))
      this.#emit(op, id, attempt, ERRORS[code].wire, fields, 0, this.#intake.inFlight)
  }

  #finished(slot: Slot, code: number, fields: readonly unknown[]): void {
    if (this.#quiet) return
    const op = slot.op as Op
    const totalMs = this.#nowMs - slot.startMs
    if (this.#intake.journal.count(op, code, fields, totalMs, slot.waiting))
      this.#emit(op, slot.id, slot.attempt, code, fields, totalMs, slot.depth)
  }

  #emit(
    op: Op,
    id: number,
    attempt: number,
    code: number,
    fields: readonly unknown[],
    totalMs: number,
    depth: number,
  ): void {
    this.#intake.journal.emit({
      op: opName(op),
      class: classOf(op, attempt),
      outcome: outcomeOf(code),
      reason: reasonOf(code, fields),
      principal: this.#sender.principal,
      request: `${this.#sender.scope}/${id}.${attempt}`,
      ms: { total: Math.round(totalMs * 1_000) / 1_000 },
      depth,
    })
  }
}

const PAGES: ReadonlySet<Op | 0> = new Set([OP.list, OP.history, OP.quotaList, OP.quotaTop])
const isPage = (op: Op | 0): boolean => PAGES.has(op)

/** What names a waiter, for those who wait and those who give a wait up. */
function keyOf(command: ClientCommand): number | string | null {
  if (command.op === OP.cancelWait) return command.key
  return command.op === OP.acquire && command.waitMs > 0 ? (command.request?.key ?? null) : null
}

const ticketOf = (slot: Slot): number => slot.generation * TICKETS + slot.index

function detailOf(refusal: ErrorCode, remainingMs: number): string {
  if (refusal === 'SHUTTING_DOWN') return 'this member is shutting down; nothing was executed'
  if (remainingMs <= 0) return 'the deadline had passed when the request came; nothing was executed'
  return 'too many requests are in flight; nothing was executed'
}
