/**
 * One run of a member's process. Whatever it asked the world for comes back through here: held up while it is paused, and never
 * once it has ended. Code that is still running in the step of a crash finds that nothing it does has an effect.
 */
import type { Scheduler } from './scheduler.js'

export class Process {
  readonly #scheduler: Scheduler
  readonly #crash: () => void
  /** How often it was paused and has gone on. */
  wakes = 0
  #alive = true
  /** What has come while it was paused, in order; null while it runs. */
  #held: (() => void)[] | null = null
  /** Effects until a crash that was chosen beforehand. */
  #effectsLeft = Number.POSITIVE_INFINITY

  /** `crash` ends it and does what else there is to do. */
  constructor(scheduler: Scheduler, crash: () => void) {
    this.#scheduler = scheduler
    this.#crash = crash
  }

  get alive(): boolean {
    return this.#alive
  }
  get paused(): boolean {
    return this.#held !== null
  }

  /** A step of this process at a moment of true time, or when it wakes up. Returns how to call it off. */
  at(timeMs: number, task: () => void): () => void {
    let wanted = true
    const step = (): void => {
      if (!this.#alive || !wanted) return
      if (this.#held === null) task()
      else this.#held.push(step)
    }
    const one = this.#scheduler.at(timeMs, step)
    return () => {
      wanted = false
      one.task = null
    }
  }

  after(delayMs: number, task: () => void): () => void {
    return this.at(this.#scheduler.nowMs + delayMs, task)
  }

  pause(): void {
    if (this.#alive) this.#held ??= []
  }

  /** Everything that came in the meantime happens now, each in a step of its own. */
  resume(): void {
    const held = this.#held
    if (held === null) return
    this.#held = null
    this.wakes++
    for (const step of held) this.#scheduler.at(this.#scheduler.nowMs, step)
  }

  /** Ends it at one of its next effects (a write, a message, a timer set): in the midst of whatever it does then. */
  crashAfter(effects: number): void {
    this.#effectsLeft = effects
  }

  /** Before each effect on the world: false where it has no effect any more. */
  effect(): boolean {
    if (!this.#alive) return false
    this.#effectsLeft--
    if (this.#effectsLeft > 0) return true
    this.#crash()
    return false
  }

  end(): void {
    this.#alive = false
    this.#held = null
  }
}
