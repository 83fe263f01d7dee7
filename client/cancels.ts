/**
 * Requests that were given up while the cluster may still hold, queue or grant them. Each is cancelled, which also gives
 * back a grant that raced it, and counts as unanswered until the cancel is answered, over any number of connections.
 */
import { LIMITS, OP } from '@leasehold/protocol'
import { Call } from './call.js'
import type { Calls } from './calls.js'
import type { Clocks, Timeline } from './clocks.js'
import type { Session } from './session.js'
import type { Mark } from './validity.js'

const CANCEL_MS = 5_000
/** Older than this, a request is STALE wherever it turns up: nothing is left to cancel. */
const FORGET_MS = LIMITS.retentionMs + 60_000
const OWED_MAX = 65_536

export interface CancelsParts {
  readonly clocks: Clocks
  readonly timeline: Timeline
  readonly session: Session
  readonly calls: Calls
}

class Owed {
  readonly seq: number
  readonly mark: Mark
  underWay = false
  constructor(seq: number, mark: Mark) {
    this.seq = seq
    this.mark = mark
  }
}

class CancelCall extends Call {
  override readonly op = OP.cancelWait
  readonly #seq: number
  readonly #done: (answered: boolean) => void
  constructor(seq: number, holds: boolean, done: (answered: boolean) => void) {
    super()
    this.#seq = seq
    this.#done = done
    this.holds = holds
  }
  override fields(): readonly unknown[] {
    return [this.#seq]
  }
  override answered(): void {
    this.#done(true)
  }
  override failed(): void {
    this.#done(false)
  }
}

export class Cancels {
  readonly #parts: CancelsParts
  readonly #owed = new Map<number, Owed>()

  constructor(parts: CancelsParts) {
    this.#parts = parts
  }

  /** Cancels whose answer has not come. */
  get size(): number {
    return this.#owed.size
  }

  /** The request with this sequence number is given up, and an attempt of it was sent. */
  giveUp(seq: number): void {
    const oldest = this.#owed.size >= OWED_MAX ? this.#owed.values().next().value : undefined
    if (oldest !== undefined) this.#forget(oldest)
    const owed = new Owed(seq, this.#parts.timeline.mark())
    this.#owed.set(seq, owed)
    this.#send(owed, true)
  }

  /** There is a new connection: tries again what an earlier one left without an answer. Keeps no process alive for it. */
  opened(): void {
    for (const owed of [...this.#owed.values()]) {
      if (owed.underWay) continue
      if (this.#parts.timeline.leftMs(owed.mark, FORGET_MS) <= 0) this.#forget(owed)
      else this.#send(owed, false)
    }
  }

  #send(owed: Owed, holds: boolean): void {
    const { calls, clocks } = this.#parts
    owed.underWay = true
    const call = new CancelCall(owed.seq, holds, (answered) => {
      owed.underWay = false
      if (answered) this.#forget(owed)
    })
    calls.submit(call, clocks.monotonicMs() + CANCEL_MS)
  }

  #forget(owed: Owed): void {
    if (!this.#owed.delete(owed.seq)) return
    this.#parts.session.answered(owed.seq)
  }
}
