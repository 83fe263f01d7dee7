/**
 * The leader's stamp: cluster time as `base + elapsed`. It must never outrun real time, never go back, and never count
 * time that this process did not live through tick by tick (a pause would end leases of holders that were not heard), nor time
 * without a quorum (another leader's may run meanwhile).
 *
 * Elapsed time is gathered at every tick and at every close of a batch; each gathering gains at most two ticks and
 * forgets the excess. Fractions are carried: only the stamp is floored, or the cluster would lag a busy leader.
 */
import { type ClusterMs, clusterMs } from '@leasehold/protocol'
import type { Clock } from '../ports/index.js'
import { REPLICA_LIMITS } from './limits.js'

export class ClusterClock {
  readonly #clock: Clock
  readonly #gainMsMax: number
  readonly #quorumFresh: () => boolean
  /** Whole milliseconds of base and elapsed; the fraction stands apart, so that no rounding adds up over the months. */
  #wholeMs = 0
  #fractionMs = 0
  #seenMs = 0
  #leading = false

  /** `quorumFresh`: a quorum has answered within an election timeout. What elapses while it has not is forgotten. */
  constructor(clock: Clock, quorumFresh: () => boolean, gainMsMax: number = REPLICA_LIMITS.gainMsMax) {
    this.#clock = clock
    this.#quorumFresh = quorumFresh
    this.#gainMsMax = gainMsMax
  }

  /** Starts at the moment of leading; `baseMs` is the time of the last entry of the leader's log. */
  lead(baseMs: ClusterMs): void {
    this.#wholeMs = baseMs
    this.#fractionMs = 0
    this.#seenMs = this.#clock.monotonicMs()
    this.#leading = true
  }

  follow(): void {
    this.#leading = false
  }

  /** Gathers what has elapsed. Called at every tick. Returns the gain in milliseconds, with its fraction. */
  gather(): number {
    const now = this.#clock.monotonicMs()
    const delta = now - this.#seenMs
    this.#seenMs = now
    if (!this.#leading || !(delta > 0) || !this.#quorumFresh()) return 0
    const gain = Math.min(delta, this.#gainMsMax)
    const sum = this.#fractionMs + gain
    const whole = Math.floor(sum)
    this.#wholeMs += whole
    this.#fractionMs = sum - whole
    return gain
  }

  /** The stamp of a batch that closes now. Throws when this member does not lead. */
  stamp(): ClusterMs {
    if (!this.#leading) throw new Error('only a leader stamps')
    this.gather()
    return clusterMs(this.#wholeMs)
  }
}
