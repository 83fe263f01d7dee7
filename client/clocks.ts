/**
 * The clocks of the library, and the timeline that grants are measured on. Tests and simulations bring their own clocks.
 * Never starts a timer by itself, and no timer keeps a process alive unless it is told to.
 */
import { uptime } from 'node:os'
import {
  ACCOUNT_MS,
  type Account,
  firstAccount,
  type Mark,
  PARTING_MS,
  parted,
  type Reading,
  settle,
} from './validity.js'

export interface Timer {
  /** Safe to call twice, also after it fired. */
  cancel(): void
  /** Whether this timer keeps the process alive. At first it does not. */
  hold(on: boolean): void
}

export interface Clocks {
  /** Milliseconds with fractions; never goes back; may stand still while the machine sleeps. */
  monotonicMs(): number
  /** Milliseconds since 1970; may jump. */
  wallMs(): number
  /** Milliseconds since the machine started, sleep included; NaN where it cannot be had. Slow to read. */
  uptimeMs(): number
  /** Calls `task` once, after at least `delayMs`. */
  after(delayMs: number, task: () => void): Timer
  /** Calls `task` once what runs now has come to its end, before anything else that has arrived is looked at. */
  next(task: () => void): void
  /** Calls `task` once this turn of the loop has handled what had already arrived. */
  soon(task: () => void): void
}

function readUptimeMs(): number {
  try {
    return Math.round(uptime() * 1_000)
  } catch {
    return Number.NaN
  }
}

const TIMER_MS_MAX = 2 ** 31 - 1

export const systemClocks: Clocks = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  uptimeMs: readUptimeMs,
  after(delayMs, task) {
    const timer = setTimeout(task, Math.min(Math.max(0, Math.ceil(delayMs)), TIMER_MS_MAX))
    timer.unref()
    return {
      cancel: () => clearTimeout(timer),
      hold: (on) => {
        if (on) timer.ref()
        else timer.unref()
      },
    }
  },
  next(task) {
    queueMicrotask(task)
  },
  soon(task) {
    setImmediate(task)
  },
}

/** Marks moments and tells how much of a validity is left. One per client: all its grants share the account. */
export class Timeline {
  readonly #clocks: Clocks
  #account: Account | null = null
  // Copies of what the hot path needs, so that a check touches two clocks and a few numbers.
  #offsetMs = 0
  #shiftMs = 0
  #epoch = 0

  constructor(clocks: Clocks) {
    this.#clocks = clocks
  }

  /** Now. Taken before an attempt is sent, it is what the validity of its answer counts from. */
  mark(): Mark {
    const account = this.#account
    const monotonicMs = this.#clocks.monotonicMs()
    const wallMs = this.#clocks.wallMs()
    if (account === null || monotonicMs - account.monotonicMs > ACCOUNT_MS || parted(account, monotonicMs, wallMs))
      return this.#settled()
    return { monotonicMs, steadyMs: wallMs + this.#shiftMs, epoch: this.#epoch }
  }

  /** What is left of `validityMs` that began at `mark`; not a number above 0 where it is over, or cannot be told. No allocation. */
  leftMs(mark: Mark, validityMs: number): number {
    const monotonicMs = this.#clocks.monotonicMs()
    const wallMs = this.#clocks.wallMs()
    const gapMs = wallMs - monotonicMs - this.#offsetMs
    if (!(gapMs <= PARTING_MS && gapMs >= -PARTING_MS)) return this.#leftAfterParting(mark, validityMs)
    if (mark.epoch !== this.#epoch) return 0
    const awakeMs = monotonicMs - mark.monotonicMs
    const steadyMs = wallMs + this.#shiftMs - mark.steadyMs
    return validityMs - (awakeMs > steadyMs ? awakeMs : steadyMs)
  }

  /** When, on the monotonic clock, `validityMs` from `mark` will be over if nothing is slept meanwhile. */
  endMs(mark: Mark, validityMs: number): number {
    return this.#clocks.monotonicMs() + Math.max(0, this.leftMs(mark, validityMs))
  }

  /** Whether the grant would still be valid by the monotonic clock alone: then sleep, or a doubt about it, ended it. */
  suspended(mark: Mark, validityMs: number): boolean {
    return mark.epoch !== this.#epoch || this.#clocks.monotonicMs() - mark.monotonicMs < validityMs
  }

  #leftAfterParting(mark: Mark, validityMs: number): number {
    const now = this.#settled()
    if (mark.epoch !== now.epoch) return 0
    return validityMs - Math.max(now.monotonicMs - mark.monotonicMs, now.steadyMs - mark.steadyMs)
  }

  #settled(): Mark {
    const reading: Reading = {
      monotonicMs: this.#clocks.monotonicMs(),
      wallMs: this.#clocks.wallMs(),
      uptimeMs: this.#clocks.uptimeMs(),
    }
    const account = this.#account === null ? firstAccount(reading) : settle(this.#account, reading)
    this.#account = account
    this.#offsetMs = account.wallMs - account.monotonicMs
    this.#shiftMs = account.shiftMs
    this.#epoch = account.epoch
    return { monotonicMs: account.monotonicMs, steadyMs: account.wallMs + account.shiftMs, epoch: account.epoch }
  }
}
