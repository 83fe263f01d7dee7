/**
 * Who has much to do in one go does a share of it at a time: a member that catches up must not be deaf meanwhile. After each share it rests
 * for as long as that took, so that it leaves half of a processor to whatever serves beside it; whoever leads is in a hurry, and
 * only lets others speak.
 */
import type { Clock } from '../ports/index.js'
import { REPLICA_LIMITS } from './limits.js'

export class Breath {
  readonly #clock: Clock
  readonly #over: () => void
  #resting = false
  #soon = false

  /** `over`: the next share may begin. */
  constructor(clock: Clock, over: () => void) {
    this.#clock = clock
    this.#over = over
  }

  get resting(): boolean {
    return this.#resting
  }

  /** A share took so long, and there is more to do. */
  rest(workedMs: number): void {
    if (this.#resting) return
    this.#resting = true
    this.#clock.after(Math.min(workedMs, REPLICA_LIMITS.breathMsMax), this.#rested)
  }

  /** There is more to do, and it is urgent. */
  pause(): void {
    if (this.#soon) return
    this.#soon = true
    this.#clock.soon(this.#paused)
  }

  readonly #rested = (): void => {
    this.#resting = false
    this.#over()
  }

  readonly #paused = (): void => {
    this.#soon = false
    this.#over()
  }
}
