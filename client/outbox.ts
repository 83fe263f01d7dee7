/**
 * What wants to be sent. Everything asked for in one turn of the loop travels in one frame, the urgent first; the frame
 * is written once the connection is open, and the moment before is its attempts' mark.
 * Never has more in flight than the member allows.
 */
import { OP, RequestFrameWriter } from '@leasehold/protocol'
import { type Call, STATE } from './call.js'
import type { Clocks, Timeline } from './clocks.js'
import type { Link } from './link.js'
import type { Session } from './session.js'
import type { Mark } from './validity.js'

export interface OutboxParts {
  readonly clocks: Clocks
  readonly timeline: Timeline
  readonly session: Session
  readonly link: Link
  /** Calls under way (queued ones are not). */
  readonly inFlight: () => number
  /** An attempt of this call leaves with the frame. */
  readonly sent: (call: Call, nowMs: number) => void
  /** This call cannot be written. */
  readonly unsendable: (call: Call, error: Error) => void
  /** Calls wait for the cluster time: ask for it. */
  readonly askTime: () => void
}

export class Outbox {
  readonly #parts: OutboxParts
  readonly #writer = new RequestFrameWriter()
  #urgent: Call[] = []
  #normal: Call[] = []
  #untimed: Call[] = []
  #scheduled = false
  /** The last frame carried one request. */
  #alone = false
  readonly #flushTask = () => this.#flush()

  constructor(parts: OutboxParts) {
    this.#parts = parts
  }

  /** Sends the call with the frame of this turn. */
  add(call: Call): void {
    call.state = STATE.ready
    if (call.op === OP.acquire || call.op >= OP.get) this.#normal.push(call)
    else this.#urgent.push(call)
    this.schedule()
  }

  /** There is (again) room to send, or a connection. */
  schedule(): void {
    if (this.#scheduled || this.#urgent.length + this.#normal.length === 0) return
    this.#scheduled = true
    const { clocks, inFlight } = this.#parts
    // A turn of the loop is worth its time where others come along.
    if (this.#alone && inFlight() === 0) clocks.next(this.#flushTask)
    else clocks.soon(this.#flushTask)
  }

  /** The cluster time is known: what waited for it is sent. */
  timed(): void {
    for (const call of this.takeUntimed()) this.add(call)
  }

  /** Hands over what waits for the cluster time. */
  takeUntimed(): Call[] {
    const waiting = this.#untimed.filter((call) => call.state === STATE.ready)
    this.#untimed = []
    return waiting
  }

  #flush(): void {
    this.#scheduled = false
    const { link, timeline } = this.#parts
    if (!link.open) {
      link.want()
      return
    }
    const mark = timeline.mark()
    this.#urgent = this.#write(this.#urgent, mark)
    this.#normal = this.#write(this.#normal, mark)
    this.#alone = this.#writer.count === 1
    if (this.#writer.count > 0) link.send(this.#writer.take())
    if (this.#untimed.length > 0) this.#parts.askTime()
  }

  /** Writes as many as may be in flight; returns the rest. */
  #write(calls: Call[], mark: Mark): Call[] {
    const { inFlight, link, session } = this.#parts
    let i = 0
    for (; i < calls.length && inFlight() < link.limits.inFlightMax; i++) {
      const call = calls[i]!
      if (call.state !== STATE.ready) continue
      if (call.timed && call.attempt === 0 && session.knownMs() === null) this.#untimed.push(call)
      else this.#writeOne(call, mark)
    }
    return i === calls.length ? [] : calls.slice(i)
  }

  #writeOne(call: Call, mark: Mark): void {
    const { link, sent, unsendable } = this.#parts
    const writer = this.#writer
    const nowMs = mark.monotonicMs
    const remainingMs = Math.max(1, Math.ceil(call.deadlineMs - nowMs))
    try {
      const fields = call.fields()
      if (writer.count >= link.limits.frameRequestsMax) link.send(writer.take())
      if (!writer.add(call.op, call.attempt + 1, call.id, remainingMs, fields)) {
        link.send(writer.take())
        writer.add(call.op, call.attempt + 1, call.id, remainingMs, fields)
      }
    } catch (error) {
      unsendable(call, error as Error)
      return
    }
    call.begin(mark, nowMs)
    sent(call, nowMs)
  }
}
