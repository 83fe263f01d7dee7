/** What a quota hands to the table of calls and to the wheel of deadlines. */
import { OP } from '@leasehold/protocol'
import { Call } from './call.js'
import { Due } from './deadline.js'
import type { LeaseholdError } from './errors.js'
import type { Mark } from './validity.js'

/** One request for tokens, and a report of what became of others. */
export class DrawCall extends Call {
  override readonly op = OP.draw
  readonly #body: () => readonly unknown[]
  readonly #told: (code: number, fields: readonly unknown[], mark: Mark) => void
  readonly #lost: (error: LeaseholdError) => void

  constructor(body: DrawCall['fields'], told: DrawCall['answered'], lost: DrawCall['failed'], holds: boolean) {
    super()
    this.#body = body
    this.#told = told
    this.#lost = lost
    this.holds = holds
  }
  override fields(): readonly unknown[] {
    return this.#body()
  }
  override answered(code: number, fields: readonly unknown[], mark: Mark): void {
    this.#told(code, fields, mark)
  }
  override failed(error: LeaseholdError): void {
    this.#lost(error)
  }
}

/** Stands in the wheel for the next moment at which those who wait can hope for something. */
export class Alarm extends Due {
  readonly #ring: (nowMs: number) => void
  constructor(ring: (nowMs: number) => void) {
    super()
    this.#ring = ring
  }
  override due(nowMs: number): void {
    this.#ring(nowMs)
  }
}
