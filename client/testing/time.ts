/**
 * Time that a test moves. What takes no time happens by itself; what takes some happens while `advance` or `until` moves
 * on, in the order of due times, and promises settle in between.
 */

interface Task {
  readonly run: () => void
  readonly order: number
  readonly dueMs: number
  cancelled: boolean
}

const SETTLE_MAX = 100_000

export class TestTime {
  #nowMs = 0
  #order = 0
  #alive = 0
  /** A binary heap by due time, then by order. */
  readonly #heap: Task[] = []
  #soonCount = 0

  /** True time in milliseconds since this world began. */
  get nowMs(): number {
    return this.#nowMs
  }
  /** Tasks that are still to run. */
  get pending(): number {
    return this.#alive
  }

  /** Runs `run` when true time has moved on by `delayMs`. Returns how to prevent it. */
  after(delayMs: number, run: () => void): () => void {
    const task = { run, order: this.#order++, dueMs: this.#nowMs + Math.max(0, delayMs), cancelled: false }
    this.#push(task)
    this.#alive++
    return () => {
      if (task.cancelled) return
      task.cancelled = true
      this.#alive--
    }
  }

  /** Runs `task` once what is happening now has settled; true time does not move for it, and nobody needs to advance. */
  soon(task: () => void): void {
    this.#soonCount++
    setImmediate(() => {
      this.#soonCount--
      task()
    })
  }

  /** Moves true time on by `ms`, running what becomes due. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    await this.settle()
    for (let task = this.#take(endMs); task !== null; task = this.#take(endMs)) {
      this.#nowMs = Math.max(this.#nowMs, task.dueMs)
      task.run()
      await this.settle()
    }
    this.#nowMs = endMs
  }

  /** Advances until the promise has settled, for `limitMs` at most; then throws. */
  async until<T>(promise: Promise<T>, limitMs = 3_600_000): Promise<T> {
    let settled = false
    const done = () => {
      settled = true
    }
    promise.then(done, done)
    const endMs = this.#nowMs + limitMs
    await this.settle()
    while (!settled) {
      const task = this.#take(endMs)
      if (task === null) throw new Error(`not settled after ${limitMs} ms of this world`)
      this.#nowMs = Math.max(this.#nowMs, task.dueMs)
      task.run()
      await this.settle()
    }
    return promise
  }

  /** Lets what is under way come to rest without moving time: promises, soon-tasks, and real turns of the loop. */
  async settle(): Promise<void> {
    // One turn of the loop lets every promise settle; whatever asked for another turn is counted.
    for (let turns = 0; turns === 0 || this.#soonCount > 0; turns++) {
      if (turns === SETTLE_MAX) throw new Error('a world that never comes to rest')
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
  }

  /** The next task that is due by then, taken out of the heap. */
  #take(endMs: number): Task | null {
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined || (!first.cancelled && first.dueMs > endMs)) return null
      this.#pop()
      if (first.cancelled) continue
      first.cancelled = true
      this.#alive--
      return first
    }
  }

  #push(task: Task): void {
    const heap = this.#heap
    let i = heap.length
    heap.push(task)
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!before(task, heap[parent]!)) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = task
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, last)) break
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = last
  }
}

function before(a: Task, b: Task): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order)
}
