/** What must hold in a simulated world. The first claim that breaks ends it: what comes after says nothing. */
import type { Scheduler } from './scheduler.js'
import type { Trace } from './trace.js'

export interface Breach {
  readonly step: number
  readonly atMs: number
  readonly what: string
}

export class Claims {
  breach: Breach | null = null
  readonly #scheduler: Scheduler
  readonly #trace: Trace

  constructor(scheduler: Scheduler, trace: Trace) {
    this.#scheduler = scheduler
    this.#trace = trace
  }

  /** Never throws: it is called from within code that would take that for a failure of its own. */
  hold(holds: boolean, what: string | (() => string)): void {
    if (!holds) this.broken(typeof what === 'string' ? what : what())
  }

  broken(what: string): void {
    if (this.breach !== null) return
    this.breach = { step: this.#scheduler.steps, atMs: this.#scheduler.nowMs, what }
    this.#trace.note(this.#scheduler.nowMs, 'BROKEN', what)
  }
}
