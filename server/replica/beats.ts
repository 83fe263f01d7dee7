/**
 * What members put into the log themselves. Each member: waiters lost, trims. The leader alone: beats while anything is timed, sweeps while
 * more is due than one entry ends. Constant work: a beat is left out only where another entry moved time on.
 */
import { type Command, INTERNAL_OP, type InternalCommand, LIMITS } from '@leasehold/protocol'
import { REPLICA_LIMITS } from './limits.js'

export const BEAT: Command = { op: INTERNAL_OP.beat }
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

  /** Puts a command of the member's own into its next batch that has room. */
  want(command: InternalCommand): void {
    this.#pending.push(command)
  }

  /** The member has commands of its own. */
  get wanting(): boolean {
    return this.#pending.length > 0
  }

  /** The last entry left a sweep unfinished: any entry goes on with it. */
  sweepDue(): void {
    this.#sweepDue = true
  }

  /** At every tick of a leader. Half a tick early rather than half a tick late: a crash forgets at most one beat. */
  tick(nowMs: number, timed: boolean): void {
    if (timed && nowMs - this.#appendedMs >= this.#beatMs - REPLICA_LIMITS.tickMs / 2) this.#beatDue = true
  }

  /** No longer the leader. */
  follow(): void {
    this.#sweepDue = this.#beatDue = false
  }

  /** An entry is wanted, also where no client asks for one. */
  get due(): boolean {
    return this.#beatDue || this.#sweepDue || this.#pending.length > 0
  }

  /** The member's own commands for the batch that closes now. */
  takeOwn(): readonly InternalCommand[] {
    return this.#pending.splice(0, REPLICA_LIMITS.internalPerEntryMax)
  }

  /** What a leader appends where nothing else moves time on; null where nothing is due. */
  bare(): Command | null {
    return this.#sweepDue ? SWEEP : this.#beatDue ? BEAT : null
  }

  /** Something was appended. */
  appended(nowMs: number): void {
    this.#sweepDue = this.#beatDue = false
    this.#appendedMs = nowMs
  }
}
