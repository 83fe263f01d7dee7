/**
 * Clocks of a simulated machine: their rates are wrong, within what is assumed; their wall clocks jump. A process sees them through
 * the port, with timers that are never early and often a little late.
 */
import type { Clock } from '@leasehold/server/ports'
import type { Dice } from './dice.js'
import type { Process } from './process.js'
import type { Scheduler } from './scheduler.js'

/** The fastest and slowest clocks that are assumed. */
export const RATE_ERROR = 0.005
const BIRTH_MS = Date.UTC(2026, 0, 1)
const LATE_MS = 1
const LATE_MS_MAX = 12

/** The hardware: it outlives processes. */
export class Oscillator {
  readonly #scheduler: Scheduler
  rate: number
  #baseMs = 0
  #baseTrueMs: number
  #wallShiftMs: number

  constructor(scheduler: Scheduler, dice: Dice) {
    this.#scheduler = scheduler
    this.rate = dice.between(1 - RATE_ERROR, 1 + RATE_ERROR)
    this.#baseTrueMs = scheduler.nowMs
    this.#wallShiftMs = BIRTH_MS + dice.between(-5_000, 5_000)
  }

  monotonicMs(): number {
    return this.#baseMs + (this.#scheduler.nowMs - this.#baseTrueMs) * this.rate
  }
  wallMs(): number {
    return Math.floor(this.monotonicMs() + this.#wallShiftMs)
  }
  /** From now on it goes at another rate. */
  setRate(rate: number): void {
    this.#baseMs = this.monotonicMs()
    this.#baseTrueMs = this.#scheduler.nowMs
    this.rate = rate
  }
  /** Somebody sets the wall clock. */
  jump(byMs: number): void {
    this.#wallShiftMs += byMs
  }
}

export class ProcessClock implements Clock {
  readonly #process: Process
  readonly #oscillator: Oscillator
  readonly #scheduler: Scheduler
  readonly #dice: Dice
  /** Each process counts from its own start. */
  readonly #startMs: number

  constructor(process: Process, oscillator: Oscillator, scheduler: Scheduler, dice: Dice) {
    this.#process = process
    this.#oscillator = oscillator
    this.#scheduler = scheduler
    this.#dice = dice
    this.#startMs = oscillator.monotonicMs() - dice.between(20, 60)
  }

  monotonicMs(): number {
    return this.#oscillator.monotonicMs() - this.#startMs
  }
  wallMs(): number {
    return this.#oscillator.wallMs()
  }

  after(delayMs: number, task: () => void): () => void {
    return this.#arm(delayMs, 0, task)
  }

  every(periodMs: number, task: () => void): () => void {
    if (!(periodMs > 0)) throw new RangeError('a period is more than 0 ms')
    return this.#arm(periodMs, periodMs, task)
  }

  next(task: () => void): void {
    this.soon(task)
  }

  soon(task: () => void): void {
    if (this.#process.effect()) this.#process.at(this.#scheduler.nowMs, task)
  }

  #arm(delayMs: number, periodMs: number, task: () => void): () => void {
    if (!this.#process.effect()) return () => {}
    let dueMs = this.monotonicMs() + Math.max(0, delayMs)
    const fire = (): void => {
      const earlyMs = dueMs - this.monotonicMs()
      // The rate has changed since it was armed.
      if (earlyMs > 1e-6) armed = this.#process.after(earlyMs / this.#oscillator.rate, fire)
      else {
        if (periodMs > 0) {
          dueMs = this.monotonicMs() + periodMs
          armed = this.#process.after(this.#delay(periodMs), fire)
        }
        task()
      }
    }
    let armed = this.#process.after(this.#delay(Math.max(0, delayMs)), fire)
    return () => armed()
  }

  #delay(ms: number): number {
    return ms / this.#oscillator.rate + this.#dice.tailed(LATE_MS, LATE_MS_MAX)
  }
}
