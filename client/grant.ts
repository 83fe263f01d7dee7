/**
 * One grant as its holder knows it: until when it may be used, and why it ended. Pure bookkeeping on the client's
 * timeline; sends nothing. An ended grant never comes back to life, whatever reply comes late.
 */
import type { GrantedFields, LossReason } from '@leasehold/protocol'
import type { Timeline } from './clocks.js'
import { type DeadlineWheel, Due } from './deadline.js'
import { LeaseLostError } from './errors.js'
import type { Renewal } from './renewals.js'
import { type Mark, validityMs } from './validity.js'

/** What is the same for all grants of a client. */
export interface GrantParts {
  readonly timeline: Timeline
  readonly wheel: DeadlineWheel
  readonly drift: number
  /** Told once, when the grant has ended. */
  ended(grant: Grant): void
}

export interface Granted {
  readonly name: string
  readonly token: number
  readonly holder: string
  readonly meta: string | null
  readonly ttlMs: number
}

/** In the wheel it stands for its lost signal, at its local end. */
export class Grant extends Due {
  is: Granted
  readonly #parts: GrantParts
  #mark: Mark
  #validityMs = 0
  /** Why it has ended. The error is made when somebody wants it: most grants end by a release, and nobody does. */
  #ended: LossReason | null = null
  #lost: LeaseLostError | null = null
  #loss: AbortController | null = null
  /** The renewal under way. */
  renewal: Renewal | null = null
  /** Renewals that failed since the last that succeeded. */
  failures = 0
  /** The next renewal is not sent before this moment. */
  notBeforeMs = 0

  /** Not usable before a reply says so: see renewed(). */
  constructor(parts: GrantParts, is: Granted, mark: Mark) {
    super()
    this.#parts = parts
    this.is = is
    this.#mark = mark
  }

  /** Whole milliseconds for which it may be used, by this process's own clocks; 0 once it has ended. Ends it when its time is over. */
  remainingMs(): number {
    if (this.#ended !== null) return 0
    const leftMs = this.#parts.timeline.leftMs(this.#mark, this.#validityMs)
    if (leftMs >= 1) return Math.floor(leftMs)
    this.#lapse()
    return 0
  }

  /** Whether anything is left of it. Unlike a check, it ends nothing: for a grant that nobody has seen yet. */
  get usable(): boolean {
    return this.#ended === null && this.#parts.timeline.leftMs(this.#mark, this.#validityMs) >= 1
  }

  /** Its answer came too late to be of use. */
  expired(): LeaseLostError {
    this.lose('expired')
    return this.lost!
  }

  get lossReason(): LossReason | null {
    return this.#ended
  }

  /** The same error each time. */
  get lost(): LeaseLostError | null {
    if (this.#ended !== null) this.#lost ??= new LeaseLostError(this.is.name, this.is.token, this.#ended)
    return this.#lost
  }

  /** A reply gave it more time, counted from before that attempt was sent. Ignored where it has ended. */
  renewed(mark: Mark, [, ttlMs, remainingMs, , holder]: GrantedFields): void {
    if (this.#ended !== null) return
    this.failures = 0
    if (this.is.ttlMs !== ttlMs) this.is = { ...this.is, ttlMs, holder }
    const forMs = validityMs(remainingMs, this.#parts.drift)
    // Replies may come out of order; each is a promise of its own, and the longest counts.
    if (mark.epoch === this.#mark.epoch && mark.monotonicMs + forMs <= this.#mark.monotonicMs + this.#validityMs) return
    this.#mark = mark
    this.#validityMs = forMs
  }

  /** It has ended. The first reason stays. */
  lose(reason: LossReason): void {
    if (this.#ended !== null) return
    this.#ended = reason
    this.#parts.wheel.clear(this)
    this.#parts.ended(this)
    this.renewal?.abandon()
    this.renewal = null
    this.#loss?.abort(this.lost)
  }

  /** Fires when the grant ends, at its local end at the latest; the reason is the LeaseLostError. */
  lossSignal(): AbortSignal {
    if (this.#loss === null) {
      this.#loss = new AbortController()
      if (this.remainingMs() > 0) this.#arm()
      else this.#loss.abort(this.lost)
    }
    return this.#loss.signal
  }

  /** A new object for the same grant, as the cluster has kept it although this one was told to end. */
  again(): Grant {
    const grant = new Grant(this.#parts, this.is, this.#mark)
    grant.#validityMs = this.#validityMs
    return grant
  }

  /** The local end may have come: or a renewal has moved it. */
  override due(): void {
    if (this.remainingMs() > 0) this.#arm()
  }

  #arm(): void {
    this.#parts.wheel.set(this, this.#parts.timeline.endMs(this.#mark, this.#validityMs))
  }

  #lapse(): void {
    const slept = this.#parts.timeline.suspended(this.#mark, this.#validityMs)
    const tried = this.renewal !== null || this.failures > 0
    this.lose(slept ? 'suspended' : tried ? 'unreachable' : 'expired')
  }
}
