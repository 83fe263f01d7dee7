/**
 * Those who were answered together ask again together: a service that works on many leases at a time sends its next commands as soon as
 * it has heard of the last ones. They come over several connections, within a fraction of a millisecond, and whoever comes first
 * would set off a flush that all others then wait for, and with it a message to each member. So after an answer to several a batch
 * waits until most of them have come back. It must never wait for longer than a moment after the answer, nor for a few.
 * What was answered last counts, so whoever waits is passed by no more answers than there are batches on their way.
 */
import type { Clock } from '../ports/index.js'
import { REPLICA_LIMITS } from './limits.js'

export class Returning {
  readonly #clock: Clock
  readonly #over: () => void
  /** Commands that were answered since the last batch closed, and when the last of them were. */
  #answered = 0
  #answeredMs = 0
  /** One timer at a time. */
  #armed = false

  /** `over`: who has not come back by now is not waited for. */
  constructor(clock: Clock, over: () => void) {
    this.#clock = clock
    this.#over = over
  }

  /** So many commands of one batch have their answers. */
  answered(count: number): void {
    if (count === 0) return
    this.#answered += count
    this.#answeredMs = this.#clock.monotonicMs()
  }

  /** A batch has closed: who comes now makes the next one. */
  closed(): void {
    this.#answered = 0
  }

  /** Whether so many, who would be written alone, wait a little for the others. */
  keeps(count: number, nowMs: number): boolean {
    if (this.#answered < REPLICA_LIMITS.returningCommands || count === 0) return false
    if (count >= this.#answered * REPLICA_LIMITS.returningShare) return false
    const leftMs = this.#answeredMs + REPLICA_LIMITS.returningMs - nowMs
    if (leftMs <= 0) return false
    if (!this.#armed) {
      this.#armed = true
      this.#clock.after(leftMs, this.#expired)
    }
    return true
  }

  readonly #expired = (): void => {
    this.#armed = false
    this.#over()
  }
}
