/**
 * The grants that a client holds, by token, for the pushes that say that one was ended by somebody else.
 * Never grows with grants that were dropped unheeded: those whose time is over are swept out as it fills.
 */
import type { LossReason } from '@leasehold/protocol'
import type { Grant } from './grant.js'

const SWEEP_MIN = 1_024

export class GrantTable {
  readonly #byToken = new Map<number, Grant>()
  #sweepAt = SWEEP_MIN

  get size(): number {
    return this.#byToken.size
  }

  add(grant: Grant): void {
    if (this.#byToken.size >= this.#sweepAt) {
      // A look ends what is over, and what has ended leaves the table.
      for (const held of [...this.#byToken.values()]) held.remainingMs()
      this.#sweepAt = Math.max(SWEEP_MIN, 2 * this.#byToken.size)
    }
    this.#byToken.set(grant.is.token, grant)
  }

  remove(grant: Grant): void {
    if (this.#byToken.get(grant.is.token) === grant) this.#byToken.delete(grant.is.token)
  }

  /** Somebody else ended it. */
  ended(name: string, token: number, reason: LossReason): void {
    const grant = this.#byToken.get(token)
    if (grant !== undefined && grant.is.name === name) grant.lose(reason)
  }
}
