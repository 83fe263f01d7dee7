/**
 * The front door: who is let in, and who is told to come back. Holds the counts that all lanes share; a lane (one per
 * session, one per HTTP request) asks here before anything is decoded. Must never queue: what it lets in goes straight
 * on to the replica, what it does not is answered at once.
 */
import { OP, type Op, type Sender } from '@leasehold/protocol'
import type { Clock, Random, Telemetry } from '../ports/index.js'
import type { QuotaDesk } from '../quota/index.js'
import type { Replica } from '../replica/index.js'
import { Journal } from './journal.js'
import { Lane, type Outlet } from './lane.js'
import { INTAKE_LIMITS } from './limits.js'

export interface IntakeOptions {
  readonly replica: Replica
  /** Left out: nothing can be taken here. */
  readonly quotas?: QuotaDesk
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: Telemetry
  /** Limits to use instead, in tests. */
  readonly limits?: Partial<IntakeLimits>
}

export type IntakeLimits = { readonly [K in keyof typeof INTAKE_LIMITS]: number }

/** Why a request is not let in. */
export type Refusal = 'OVERLOADED' | 'SHUTTING_DOWN'

export class Intake {
  readonly replica: Replica
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly limits: IntakeLimits
  readonly journal: Journal
  readonly #random: Random
  readonly #quotas: QuotaDesk | null
  #draining = false

  // shared counts; only lanes change them, each by what it let in itself
  inFlight = 0
  inFlightBytes = 0
  waiting = 0
  historyReads = 0

  constructor(options: IntakeOptions) {
    this.replica = options.replica
    this.#quotas = options.quotas ?? null
    this.clock = options.clock
    this.telemetry = options.telemetry
    this.#random = options.random
    this.limits = { ...INTAKE_LIMITS, ...options.limits }
    this.journal = new Journal(options.clock, options.telemetry)
  }

  /** Throws where this front door was made without quotas. */
  get quotas(): QuotaDesk {
    if (this.#quotas === null) throw new Error('there is no desk for quotas here')
    return this.#quotas
  }

  /** From now on every new request is refused with SHUTTING_DOWN; what was let in is still answered. */
  drain(): void {
    this.#draining = true
  }

  get draining(): boolean {
    return this.#draining
  }

  /** A way in for one sender. Its answers go to `outlet`. A quiet one leaves it to its owner to tell of its requests. */
  lane(sender: Sender, outlet: Outlet, options: { quiet: boolean } = { quiet: false }): Lane {
    return new Lane(this, sender, outlet, options.quiet)
  }

  /**
   * Judges a request by its header alone. Null lets it in.
   * Giving up a wait is let in even while draining: it only ever makes room. So is a draw: it may give tokens back, and the desk
   * knows how long it gives any.
   */
  judge(op: Op, bytes: number, remainingMs: number): Refusal | null {
    if (this.#draining && op !== OP.cancelWait && op !== OP.draw) return 'SHUTTING_DOWN'
    if (remainingMs <= 0) return 'OVERLOADED'
    if (this.inFlight >= this.limits.inFlightMax) return 'OVERLOADED'
    if (this.inFlightBytes + bytes > this.limits.inFlightBytesMax) return 'OVERLOADED'
    return null
  }

  /** When a refused client may come back, in whole milliseconds, drawn anew for each. */
  retryAfterMs(): number {
    const { retryAfterMsMin: min, retryAfterMsMax: max } = this.limits
    return Math.round(min + this.#random.next() * (max - min))
  }

  close(): void {
    this.#draining = true
    this.journal.close()
  }
}

export function createIntake(options: IntakeOptions): Intake {
  return new Intake(options)
}
