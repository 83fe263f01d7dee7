/**
 * Who will only stand in a queue need not hurry: nobody works sooner because his place was written down a millisecond earlier, but a
 * flush of his own stands in the way of whoever comes next, and on a name that goes from hand to hand that is the holder's
 * release. So acquires that wait behind a holder travel with the next commands, and only where none come do they get a flush
 * of their own. They keep their places: whatever comes later is behind them in the same batch. It must never keep back
 * anybody who could be granted now, and nobody for longer than a moment.
 */
import { type ClientCommand, OP } from '@leasehold/protocol'
import type { Clock } from '../ports/index.js'
import type { Batch } from './batch.js'
import { REPLICA_LIMITS } from './limits.js'

export class Patience {
  readonly #clock: Clock
  readonly #taken: (name: string) => boolean
  readonly #over: () => void
  /** One timer for all that wait, one after the other. */
  #armed = false
  /** The batch that was asked about last, and since when it could have been written. */
  #batch = 0
  #sinceMs = 0

  /** `taken`: somebody has the name, as far as is known here. `over`: somebody has waited long enough. */
  constructor(clock: Clock, taken: (name: string) => boolean, over: () => void) {
    this.#clock = clock
    this.#taken = taken
    this.#over = over
  }

  /** Whether this batch, which would be written alone, waits a little for company. */
  keeps(batch: Batch | null, nowMs: number): boolean {
    if (batch === null || batch.count > REPLICA_LIMITS.patientCommands) return false
    // What it waited for the disk does not count: on a slow one, too, it is to meet those who come when that is free.
    if (batch.number !== this.#batch) this.#sinceMs = nowMs
    this.#batch = batch.number
    const leftMs = this.#sinceMs + REPLICA_LIMITS.patienceMs - nowMs
    if (leftMs <= 0 || !batch.commands.every(this.#waits)) return false
    if (!this.#armed) {
      this.#armed = true
      this.#clock.after(leftMs, this.#expired)
    }
    return true
  }

  readonly #waits = (command: ClientCommand): boolean =>
    command.op === OP.acquire && command.waitMs > 0 && this.#taken(command.name)

  readonly #expired = (): void => {
    this.#armed = false
    this.#over()
  }
}

/** How many of these could not have waited; of a batch that is company enough, its length. */
export function hurried(commands: readonly ClientCommand[]): number {
  if (commands.length > REPLICA_LIMITS.patientCommands) return commands.length
  let count = 0
  for (const command of commands) if (command.op !== OP.acquire || command.waitMs === 0) count++
  return count
}
