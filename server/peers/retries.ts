/**
 * When to try again: at once, then after pauses that double up to a bound, each drawn between half and all of it, so that members
 * that lost each other at the same moment do not dial in step. Pure.
 */
import { PEER_LIMITS, type PeerLimits } from './limits.js'

export class Retries {
  readonly #random: () => number
  readonly #limits: PeerLimits
  #failures = 0

  /** `random` is uniform in [0, 1). */
  constructor(random: () => number, limits: PeerLimits = PEER_LIMITS) {
    this.#random = random
    this.#limits = limits
  }

  /** Milliseconds until the next try. `hopeless`: a word came that trying again soon will not help. */
  pauseMs(hopeless: boolean): number {
    const { retryMsMin, retryMsMax, refusedRetryMs } = this.#limits
    const bound = hopeless ? refusedRetryMs : Math.min(retryMsMin * 2 ** this.#failures, retryMsMax)
    if (bound < retryMsMax) this.#failures++
    return bound * (0.5 + this.#random() / 2)
  }

  /** A link stood for long enough: the next trouble is a new one. */
  settled(): void {
    this.#failures = 0
  }
}
