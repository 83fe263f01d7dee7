/**
 * Notices a disk that hangs: a member that cannot write must not go on promising. Time is gathered in clamped ticks,
 * so that waking up from a pause is no hang.
 */
import { REPLICA_LIMITS } from './limits.js'

export class Watchdog {
  readonly #fatal: (error: Error) => void
  #seenMs: number
  #hungMs = 0
  #told = false

  constructor(nowMs: number, fatal: (error: Error) => void) {
    this.#seenMs = nowMs
    this.#fatal = fatal
  }

  /** The flush in flight takes longer than an election would: not ready. */
  get slow(): boolean {
    return this.#hungMs > REPLICA_LIMITS.electionMsMax
  }

  tick(nowMs: number, flushing: boolean): void {
    const gain = Math.min(Math.max(0, nowMs - this.#seenMs), REPLICA_LIMITS.gainMsMax)
    this.#seenMs = nowMs
    this.#hungMs = flushing ? this.#hungMs + gain : 0
    if (this.#hungMs < REPLICA_LIMITS.hangMsMax || this.#told) return
    this.#told = true
    this.#fatal(new Error(`a flush hangs for ${REPLICA_LIMITS.hangMsMax / 1_000} s: the disk does not answer`))
  }

  /** A flush has come to its end. */
  progress(): void {
    this.#hungMs = 0
  }
}
