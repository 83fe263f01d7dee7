/**
 * Says what is wrong with others, once in a while: who is refused asks again many times a second, and a log full of it
 * hides everything else. Bounded in memory whoever knocks.
 */
import type { Clock, Telemetry } from '../ports/index.js'
import { PEER_LIMITS, type PeerLimits } from './limits.js'

interface Complaint {
  saidMs: number
  unsaid: number
}

export class Complaints {
  readonly #clock: Clock
  readonly #telemetry: Telemetry
  readonly #limits: PeerLimits
  readonly #known = new Map<string, Complaint>()

  constructor(clock: Clock, telemetry: Telemetry, limits: PeerLimits = PEER_LIMITS) {
    this.#clock = clock
    this.#telemetry = telemetry
    this.#limits = limits
  }

  /** Warns, unless the same was said of the same (`about`) a short while ago; how often that was comes with the next one. */
  say(event: string, about: string, fields: Readonly<Record<string, unknown>>): void {
    const nowMs = this.#clock.monotonicMs()
    const key = `${event}\n${about}`
    const known = this.#known.get(key)
    if (known !== undefined && nowMs - known.saidMs < this.#limits.complaintEveryMs) {
      known.unsaid++
      return
    }
    this.#known.delete(key)
    // The oldest makes room: strangers come from many addresses.
    if (this.#known.size >= this.#limits.complaintsMax) this.#known.delete(this.#known.keys().next().value!)
    this.#known.set(key, { saidMs: nowMs, unsaid: 0 })
    this.#telemetry.log('warn', event, known === undefined ? fields : { ...fields, unsaid: known.unsaid })
  }
}
