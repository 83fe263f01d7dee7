/**
 * True time of a simulated world, and the order in which everything happens. Nothing runs but what was scheduled here, one
 * step after the other; between two steps all promises settle. Must never touch a real timer, or real I/O.
 */

export interface Scheduled {
  readonly timeMs: number
  readonly order: number
  /** Null once it was called off. */
  task: (() => void) | null
}

const before = (a: Scheduled, b: Scheduled): boolean =>
  a.timeMs < b.timeMs || (a.timeMs === b.timeMs && a.order < b.order)

export class Scheduler {
  /** Milliseconds since the world began, as no clock in it shows them. */
  nowMs = 0
  steps = 0
  #order = 0
  /** A binary heap. */
  readonly #heap: Scheduled[] = []

  at(timeMs: number, task: () => void): Scheduled {
    const one: Scheduled = { timeMs: Math.max(timeMs, this.nowMs), order: this.#order++, task }
    this.#push(one)
    return one
  }

  after(delayMs: number, task: () => void): Scheduled {
    return this.at(this.nowMs + delayMs, task)
  }

  /** Resolves after so much true time. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve))
  }

  /**
   * Runs until `over` says so, or nothing is left. `settled` runs after each step, once all promises have settled. Microtasks run
   * to their end before the next tick of the process: that is what parts the steps, at a fraction of a turn of the loop.
   */
  run(over: () => boolean, settled: (orderOfStep: number) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      let order = 0
      const go = (): void => {
        try {
          settled(order)
          const next = over() ? null : this.#pop()
          if (next === null) {
            resolve()
            return
          }
          this.nowMs = next.timeMs
          this.steps++
          order = next.order
          next.task!()
          queueMicrotask(tick)
        } catch (error) {
          reject(error)
        }
      }
      const tick = (): void => process.nextTick(go)
      queueMicrotask(tick)
    })
  }

  #push(one: Scheduled): void {
    const heap = this.#heap
    let at = heap.length
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(one, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = one
  }

  /** The next step that was not called off. */
  #pop(): Scheduled | null {
    while (this.#heap.length > 0) {
      const first = this.#heap[0]!
      const last = this.#heap.pop()!
      if (this.#heap.length > 0) this.#sink(last)
      if (first.task !== null) return first
    }
    return null
  }

  #sink(one: Scheduled): void {
    const heap = this.#heap
    const half = heap.length >> 1
    let at = 0
    while (at < half) {
      let child = 2 * at + 1
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, one)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = one
  }
}
