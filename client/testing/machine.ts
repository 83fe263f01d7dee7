/**
 * The clocks of one machine in a world whose time a test moves: they run at a rate of their own, somebody may set the wall
 * clock, and the machine may sleep, while the monotonic clock stands still and nothing of it runs.
 */
import type { Clock } from '@leasehold/server/ports'
import type { Clocks, Timer } from '../clocks.js'
import type { TestTime } from './time.js'

export interface MachineOptions {
  /** How fast its clocks run: 1.005 is half a percent fast. */
  readonly rate?: number
  readonly monotonicMs?: number
  readonly wallMs?: number
  readonly uptimeMs?: number
}

export class TestMachine implements Clock {
  readonly #time: TestTime
  readonly #rate: number
  readonly #monotonicMs: number
  readonly #uptimeMs: number
  #wallMs: number
  /** True time slept, without a sleep that is still going on. */
  #sleptMs = 0
  #sleepFromMs = 0
  #wakeMs = 0
  #dead = false

  constructor(time: TestTime, options: MachineOptions = {}) {
    this.#time = time
    this.#rate = options.rate ?? 1
    this.#monotonicMs = options.monotonicMs ?? 1_000
    this.#wallMs = options.wallMs ?? Date.UTC(2026, 0, 1)
    this.#uptimeMs = options.uptimeMs ?? 5_120
  }

  monotonicMs(): number {
    const { nowMs } = this.#time
    const sleepingMs = nowMs < this.#wakeMs ? nowMs - this.#sleepFromMs : this.#wakeMs - this.#sleepFromMs
    return this.#monotonicMs + (nowMs - this.#sleptMs - sleepingMs) * this.#rate
  }
  wallMs(): number {
    return Math.floor(this.#wallMs + this.#time.nowMs * this.#rate)
  }
  /** Counts sleep, in hundredths of a second, as Linux does. */
  uptimeMs(): number {
    return Math.floor((this.#uptimeMs + this.#time.nowMs * this.#rate) / 10) * 10
  }

  after(delayMs: number, task: () => void): () => void {
    const dueMs = this.monotonicMs() + Math.max(0, delayMs)
    let cancel = () => {}
    const arm = () => {
      const leftMs = dueMs - this.monotonicMs()
      cancel = this.#time.after(Math.max(leftMs / this.#rate, 0), () => {
        // A sleep held the monotonic clock up. What is left of rounding counts as due.
        if (dueMs - this.monotonicMs() > 1e-6) arm()
        else this.run(task)
      })
    }
    arm()
    return () => cancel()
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

  next(task: () => void): void {
    this.soon(task)
  }

  soon(task: () => void): void {
    this.#time.soon(() => this.run(task))
  }

  /** Runs a task of this machine: now, or when it wakes; never when it is dead. */
  run(task: () => void): void {
    if (this.#dead) return
    if (this.#time.nowMs >= this.#wakeMs) task()
    else this.#time.after(this.#wakeMs - this.#time.nowMs, () => this.run(task))
  }

  /** Somebody sets the wall clock forward, or back. */
  shiftWall(ms: number): void {
    this.#wallMs += ms
  }

  /** From now on, for so long of true time, nothing of this machine runs. */
  sleep(ms: number): void {
    const { nowMs } = this.#time
    if (nowMs < this.#wakeMs) throw new Error('it sleeps already')
    this.#sleptMs += this.#wakeMs - this.#sleepFromMs
    this.#sleepFromMs = nowMs
    this.#wakeMs = nowMs + ms
  }

  /** Power off: nothing that it had planned ever runs. */
  kill(): void {
    this.#dead = true
  }

  /** These clocks as a client takes them. */
  clocks(): Clocks {
    return {
      monotonicMs: () => this.monotonicMs(),
      wallMs: () => this.wallMs(),
      uptimeMs: () => this.uptimeMs(),
      next: (task) => this.next(task),
      soon: (task) => this.soon(task),
      after: (delayMs, task): Timer => ({ cancel: this.after(delayMs, task), hold: () => {} }),
    }
  }
}
