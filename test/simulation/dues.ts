/**
 * What nobody renews ends, in true time, and while faults go on: the name of a holder that is gone can be had again. The bound is the
 * design's (its sections 3 and 6), in which only time with a working leader counts:
 *
 *   (what remained at the last renewal + one beat + a tick) at the slowest rate that a clock may have
 *   + one hold, where one was under way or has begun since then
 *   + a beat, and what was on its way, for each other leader since then (elections are time without a working leader)
 *   + the entries that end it, where each may end one lease alone
 *
 * One hold, however many leaders: the next one may begin 10 s later, and none of these leases, delays and offers lasts so long. The same
 * bound holds for an offer that nobody claims, and for a lock-delay, so that the next waiter is reached in the end.
 */
import type { Claims } from './claim.js'
import type { Times } from './health.js'
import type { Ledger } from './ledger.js'
import { NAMES } from './lives.js'
import { slowest } from './pace.js'
import type { Reigns } from './reigns.js'

const HOLD_MS = 1_000
const BEAT_MS = 250
/** Late ones included. */
const TICK_MS = 30 + 12
/** Where a leader works. */
const COMMIT_MS = 50

interface Due {
  readonly endMs: number
  /** It is over when cluster time has got so far at the slowest pace. */
  readonly dueMs: number
  /** When the last hold began, as it was first seen; NaN where one was under way: that one is allowed for. */
  readonly holdAtMs: number
  look: number
}

export class Dues {
  readonly #claims: Claims
  readonly #ledger: Ledger
  readonly #reigns: Reigns
  readonly #times: Times
  readonly #entriesMs: number
  readonly #byToken = new Map<number, Due>()
  #look = 0

  constructor(parts: { claims: Claims; ledger: Ledger; reigns: Reigns; times: Times; sweepPerEntryMax: number }) {
    this.#claims = parts.claims
    this.#ledger = parts.ledger
    this.#reigns = parts.reigns
    this.#times = parts.times
    this.#entriesMs = COMMIT_MS * Math.ceil(NAMES.length / parts.sweepPerEntryMax)
  }

  look(): void {
    const { model } = this.#ledger
    this.#look++
    for (const { token, endMs, name } of model.grants) this.#seen(token, endMs, name)
    for (const { grant, untilMs } of model.delays) this.#seen(grant.token, untilMs, grant.name)
    for (const [token, { look }] of this.#byToken) if (look !== this.#look) this.#byToken.delete(token)
  }

  #seen(token: number, endMs: number, name: string): void {
    const { model } = this.#ledger
    const nowMs = slowest(this.#times.wellMs, this.#reigns.changes)
    let due = this.#byToken.get(token)
    if (due?.endMs !== endMs) {
      const leftMs = Math.max(0, endMs - model.timeMs)
      // In the millisecond in which it begins, the horizon still equals time.
      const held = model.timeMs - model.holdAtMs < HOLD_MS
      const dueMs = nowMs + leftMs + BEAT_MS + TICK_MS + this.#entriesMs
      due = { endMs, dueMs, holdAtMs: held ? Number.NaN : model.holdAtMs, look: 0 }
      this.#byToken.set(token, due)
    }
    due.look = this.#look
    const lateMs = nowMs - due.dueMs - (due.holdAtMs === model.holdAtMs ? 0 : HOLD_MS)
    this.#claims.hold(
      lateMs <= 0,
      () =>
        `kept in office: ${name} under ${token} ends at ${endMs}, it is ${model.timeMs}, the horizon ${model.horizonMs}: ${lateMs} ms too late`,
    )
  }
}
