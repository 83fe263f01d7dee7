/**
 * What the member itself puts into the log: beats while anything is timed, sweeps while more is due than one entry
 * ends, waiters lost, trims, its own admission. Constant work: a beat is left out only where another entry moved time on.
 */
import { type Command, INTERNAL_OP, type InternalCommand, LIMITS } from '@leasehold/protocol'
import { REPLICA_LIMITS } from './limits.js'

const BEAT: Command = { op: INTERNAL_OP.beat }
const SWEEP: Command = { op: INTERNAL_OP.sweep }

export class Beats {
  readonly #beatMs: number
  #pending: InternalCommand[] = []
  #sweepDue = false
  #beatDue = false
  #appendedMs = Number.NEGATIVE_INFINITY

  constructor(beatMs: number = LIMITS.beatMs) {
    this.#beatMs = beatMs
  }

  /** Puts a command into the next entry that has room. */
  want(command: InternalCommand): void {
    this.#pending.push(command)
  }

  /** The last entry left a sweep unfinished: any entry goes on with it. */
  sweepDue(): void {
    this.#sweepDue = true
  }

  /** At every tick. Half a tick early rather than half a tick late: a crash forgets at most one beat. */
  tick(nowMs: number, timed: boolean): void {
    if (timed && nowMs - this.#appendedMs >= this.#beatMs - REPLICA_LIMITS.tickMs / 2) this.#beatDue = true
  }

  /** An entry is wanted, also where no client asks for one. */
  get due(): boolean {
    return this.#beatDue || this.#sweepDue || this.#pending.length > 0
  }

  /** The member's commands for the entry that closes now; `alone` where no client's command is in it. */
  take(alone: boolean, nowMs: number): readonly Command[] {
    const bare = this.#sweepDue ? SWEEP : this.#beatDue ? BEAT : null
    const commands: Command[] = this.#pending.splice(0, REPLICA_LIMITS.internalPerEntryMax)
    if (alone && commands.length === 0 && bare !== null) commands.push(bare)
    if (!alone || commands.length > 0) {
      this.#sweepDue = this.#beatDue = false
      this.#appendedMs = nowMs
    }
    return commands
  }
}
