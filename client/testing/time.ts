/**
 * Time that a test moves. One true time; any number of machines whose clocks run at rates of their own, sleep, or are set
 * by somebody. Nothing happens by itself: what is due runs while `advance` moves on, in order, and promises settle in between.
 */
import type { Clock } from '@leasehold/server/ports'
import type { Clocks, Timer } from '../clocks.js'

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
  #soon: (() => void)[] = []

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

  /** Runs `task` once what is happening now has settled. */
  soon(task: () => void): void {
    this.#soon.push(task)
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
    for (let quiet = 0, guard = 0; quiet < 2; guard++) {
      if (guard === SETTLE_MAX) throw new Error('a world that never comes to rest')
      quiet = this.#soon.length > 0 ? 0 : quiet + 1
      const tasks = this.#soon
      this.#soon = []
      for (const task of tasks) task()
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

export interface MachineOptions {
  /** How fast its clocks run: 1.005 is half a percent fast. */
  readonly rate?: number
  readonly monotonicMs?: number
  readonly wallMs?: number
  readonly uptimeMs?: number
}

/** The clocks of one machine in that world, in the shapes that the server and the client take. */
export class TestMachine implements Clock {
  readonly #time: TestTime
  readonly #rate: number
  readonly #monotonicMs: number
  readonly #uptimeMs: number
  #wallMs: number
  #sleptMs = 0

  constructor(time: TestTime, options: MachineOptions = {}) {
    this.#time = time
    this.#rate = options.rate ?? 1
    this.#monotonicMs = options.monotonicMs ?? 1_000
    this.#wallMs = options.wallMs ?? Date.UTC(2026, 0, 1)
    this.#uptimeMs = options.uptimeMs ?? 5_000
  }

  monotonicMs(): number {
    return this.#monotonicMs + (this.#time.nowMs - this.#sleptMs) * this.#rate
  }
  wallMs(): number {
    return Math.floor(this.#wallMs + this.#time.nowMs * this.#rate)
  }
  uptimeMs(): number {
    return Math.floor((this.#uptimeMs + this.#time.nowMs * this.#rate) / 10) * 10
  }
  after(delayMs: number, task: () => void): () => void {
    return this.#time.after(delayMs / this.#rate, task)
  }
  every(periodMs: number, task: () => void): () => void {
    let cancel = () => {}
    const again = () => {
      cancel = this.after(periodMs, () => {
        again()
        task()
      })
    }
    again()
    return () => cancel()
  }
  soon(task: () => void): void {
    this.#time.soon(task)
  }

  /** Somebody moves the wall clock. */
  shiftWall(ms: number): void {
    this.#wallMs += ms
  }

  /** The machine has slept for this long: call it after true time has moved on by as much while nothing of it ran. */
  slept(ms: number): void {
    this.#sleptMs += ms
  }

  /** These clocks as a client takes them. */
  clocks(): Clocks {
    return {
      monotonicMs: () => this.monotonicMs(),
      wallMs: () => this.wallMs(),
      uptimeMs: () => this.uptimeMs(),
      soon: (task) => this.soon(task),
      after: (delayMs, task): Timer => ({ cancel: this.after(delayMs, task), hold: () => {} }),
    }
  }
}
