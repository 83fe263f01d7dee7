/** Time that stands still between tasks: the driver's arithmetic is then exact. */
import type { Timing } from '#bench/driver.js'

export class VirtualTiming implements Timing {
  #nowMs = 0
  #order = 0
  #tasks: { atMs: number; order: number; task: () => void }[] = []

  now(): number {
    return this.#nowMs
  }

  later(delayMs: number, task: () => void): void {
    this.#tasks.push({ atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, task })
  }

  /** Runs task after task, in order of time, until none is left. */
  run(): void {
    for (;;) {
      this.#tasks.sort((a, b) => b.atMs - a.atMs || b.order - a.order)
      const next = this.#tasks.pop()
      if (next === undefined) return
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.task()
    }
  }
}
