/**
 * Records what a test's clients ask and hear. Each request is written down when it is first sent, so that one that nobody
 * ever answered is in the history too.
 */
import { ERRORS, errorOfWire, OFFERED, OK, type Reply } from '@leasehold/protocol'
import type { Asked, KillHistory, KillOp, Look, Outcome } from './history.js'

/** A request under way, or done. */
export interface Recorded extends Asked {
  sentMs: number
  answeredMs: number | null
  outcome: Outcome | null
}

export interface Wish {
  readonly op: KillOp
  readonly name: string
  readonly holder: string
  readonly token?: number
  readonly to?: string
}

/** Codes that say that nothing was executed, and that asking again is right. */
const NOTHING_DONE = new Set<number>([ERRORS.OVERLOADED.wire, ERRORS.SHUTTING_DOWN.wire, ERRORS.NO_QUORUM.wire])

export class Recorder {
  readonly asked: Recorded[] = []
  readonly looks: Look[] = []
  /** Answers that acknowledge a change. */
  acknowledged = 0
  readonly now: () => number

  /** All times are of this monotonic clock. */
  constructor(now: () => number = () => performance.now()) {
    this.now = now
  }

  sending(wish: Wish): Recorded {
    const nowMs = this.now()
    const { op, name, holder, token = null, to = null } = wish
    const one: Recorded = {
      op,
      name,
      holder,
      token,
      to,
      firstSentMs: nowMs,
      sentMs: nowMs,
      answeredMs: null,
      outcome: null,
    }
    this.asked.push(one)
    return one
  }

  /** The same request is sent again. */
  again(one: Recorded): void {
    one.sentMs = this.now()
  }

  /** Returns what the reply means, or null where it says that nothing was done. */
  answered(one: Recorded, reply: Reply): Outcome | null {
    if (NOTHING_DONE.has(reply.code)) return null
    one.answeredMs = this.now()
    one.outcome = outcomeOf(one.op, reply)
    if (one.outcome.kind !== 'refused' && one.outcome.kind !== 'lost') this.acknowledged++
    return one.outcome
  }

  /** Requests that nobody has answered. */
  get unknown(): number {
    return this.asked.filter((one) => one.outcome === null).length
  }

  history(events: KillHistory['events']): KillHistory {
    return { asked: this.asked, looks: this.looks, events }
  }
}

function outcomeOf(op: KillOp, { code, fields }: Reply): Outcome {
  const first = fields[0] as number
  if (code === OFFERED) return { kind: 'offered', token: first }
  if (code === OK && (op === 'release' || op === 'transfer')) return { kind: 'ended' }
  if (code === OK) return { kind: 'granted', token: first, remainingMs: fields[2] as number }
  if (code === ERRORS.LEASE_LOST.wire) return { kind: 'lost', token: first, reason: fields[1] as string }
  return { kind: 'refused', code: errorOfWire(code) }
}
