/**
 * A clock that tests move. Nothing happens by itself: timers fire in order of their due time while `advance` or `run`
 * moves on, `soon` tasks run when asked to. The monotonic and the wall clock move together unless a test parts them.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '@leasehold/server/ports'

interface Timer {
  readonly task: () => void
  readonly everyMs: number
  readonly order: number
  dueMs: number
}

export class VirtualClock implements Clock {
  #monotonicMs: number
  #wallMs: number
  #order = 0
  readonly #timers = new Set<Timer>()
  #soon: (() => void)[] = []

  constructor(start: { monotonicMs?: number; wallMs?: number } = {}) {
    this.#monotonicMs = start.monotonicMs ?? 1_000
    this.#wallMs = start.wallMs ?? Date.UTC(2026, 0, 1)
  }

  monotonicMs(): number {
    return this.#monotonicMs
  }
  wallMs(): number {
    return Math.floor(this.#wallMs)
  }
  after(delayMs: number, task: () => void): () => void {
    return this.#add(delayMs, 0, task)
  }
  every(periodMs: number, task: () => void): () => void {
    if (!(periodMs > 0)) throw new RangeError('a period is more than 0 ms')
    return this.#add(periodMs, periodMs, task)
  }
  next(task: () => void): void {
    this.soon(task)
  }
  soon(task: () => void): void {
    this.#soon.push(task)
  }

  /** Timers that are armed: 0 after everything was closed. */
  get timers(): number {
    return this.#timers.size
  }

  /** The process is gone: none of its timers and soon-tasks will ever run. */
  stopAll(): void {
    this.#timers.clear()
    this.#soon = []
  }

  /** Sets the wall clock alone (a person or NTP did it). */
  setWall(wallMs: number): void {
    this.#wallMs = wallMs
  }
  /** Sets the monotonic clock alone, back too: a broken clock. */
  setMonotonic(monotonicMs: number): void {
    this.#monotonicMs = monotonicMs
  }

  /** Both clocks jump ahead while nothing runs (the process was stopped, the loop was stuck); then what is due runs, once each. */
  stall(ms: number): void {
    this.#monotonicMs += ms
    this.#wallMs += ms
    this.#fireDue()
  }
  /** The machine sleeps: the wall clock moves, the monotonic one stands still. */
  sleep(ms: number): void {
    this.#wallMs += ms
  }

  /** Moves time on, firing timers and soon-tasks on the way, synchronously. */
  advance(ms: number): void {
    const endMs = this.#monotonicMs + ms
    this.runSoon()
    for (let next = this.#next(endMs); next !== undefined; next = this.#next(endMs)) {
      this.#moveTo(next.dueMs)
      this.#fire(next)
      this.runSoon()
    }
    this.#moveTo(endMs)
  }

  /** Like advance, and lets promises and in-memory I/O settle after each timer. */
  async run(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms
    await this.settle()
    for (let next = this.#next(endMs); next !== undefined; next = this.#next(endMs)) {
      this.#moveTo(next.dueMs)
      this.#fire(next)
      await this.settle()
    }
    this.#moveTo(endMs)
  }

  /** Runs soon-tasks, including those that they add. */
  runSoon(): void {
    for (let guard = 0; this.#soon.length > 0; guard++) {
      if (guard === 100_000) throw new Error('soon-tasks that never end')
      const tasks = this.#soon
      this.#soon = []
      for (const task of tasks) task()
    }
  }

  /** Runs soon-tasks and lets promises settle, until three turns of the loop bring nothing new. */
  async settle(): Promise<void> {
    for (let quiet = 0, guard = 0; quiet < 3; guard++) {
      if (guard === 2_000) throw new Error('a world that never comes to rest')
      quiet = this.#soon.length > 0 ? 0 : quiet + 1
      this.runSoon()
      await turn()
    }
  }

  #add(delayMs: number, everyMs: number, task: () => void): () => void {
    const timer: Timer = {
      task,
      everyMs,
      order: this.#order++,
      dueMs: this.#monotonicMs + Math.max(0, delayMs),
    }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  #next(endMs: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.dueMs > endMs) continue
      if (next === undefined || timer.dueMs < next.dueMs || (timer.dueMs === next.dueMs && timer.order < next.order))
        next = timer
    }
    return next
  }

  #moveTo(ms: number): void {
    if (ms <= this.#monotonicMs) return
    this.#wallMs += ms - this.#monotonicMs
    this.#monotonicMs = ms
  }

  #fire(timer: Timer): void {
    if (timer.everyMs === 0) this.#timers.delete(timer)
    else timer.dueMs = Math.max(timer.dueMs, this.#monotonicMs) + timer.everyMs
    timer.task()
  }

  #fireDue(): void {
    const due = [...this.#timers].filter((timer) => timer.dueMs <= this.#monotonicMs)
    due.sort((a, b) => a.dueMs - b.dueMs || a.order - b.order)
    for (const timer of due) if (this.#timers.has(timer)) this.#fire(timer)
    this.runSoon()
  }
}
