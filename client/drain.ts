/** Counts work in flight under a lease, so that a handover can wait until it has stopped. Refuses new work once asked to drain. */
import { onAbort } from './abort.js'
import type { Core } from './core.js'
import { Due } from './deadline.js'

class Limit extends Due {
  readonly #task: () => void
  constructor(task: () => void) {
    super()
    this.#task = task
  }
  override due(): void {
    this.#task()
  }
}

export class Drain {
  readonly #core: Core
  #count = 0
  #closed = false
  #whenIdle: (() => void) | null = null

  constructor(core: Core) {
    this.#core = core
  }

  /** Pieces of work in flight. */
  get count(): number {
    return this.#count
  }
  get closed(): boolean {
    return this.#closed
  }

  /** Takes new work again: the handover was called off. */
  reopen(): void {
    this.#closed = false
  }

  enter(): void {
    this.#count++
  }
  leave(): void {
    if (--this.#count === 0) this.#whenIdle?.()
  }

  /** Takes no new work; resolves with true once none is in flight, with false when a limit or a signal comes first. */
  close(limitMs: number, signals: readonly (AbortSignal | undefined)[]): Promise<boolean> {
    this.#closed = true
    if (this.#count === 0) return Promise.resolve(true)
    return new Promise((resolve) => {
      const { clocks, wheel } = this.#core
      const stops: (() => void)[] = []
      const done = () => {
        this.#whenIdle = null
        wheel.clear(limit)
        for (const stop of stops) stop()
        resolve(this.#count === 0)
      }
      const limit = new Limit(done)
      wheel.set(limit, clocks.monotonicMs() + limitMs)
      this.#whenIdle = done
      for (const signal of signals) {
        if (signal?.aborted) return done()
        stops.push(onAbort(signal, done))
      }
    })
  }
}
