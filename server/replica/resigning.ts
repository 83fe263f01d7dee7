/**
 * What a member does that finds its own store damaged while others need what it holds: it must not stay in an office that it cannot
 * fill. It hands leadership to a member that can, or waits for that in vain for a bounded time, and then ends the process. Nothing is lost
 * by that: where no other voter is up to date, nothing can be committed here either. Only a sole voter goes on, since without
 * it there is no service at all, and those that cannot be served have no vote.
 */
import type { Clock, Telemetry } from '../ports/index.js'
import type { RaftStatus } from '../raft/index.js'
import { REPLICA_LIMITS } from './limits.js'

export interface ResigningOptions {
  readonly clock: Clock
  readonly telemetry: Telemetry
}

export interface ResigningHooks {
  /** Null once the log is closed. */
  status(): RaftStatus | null
  /** To whoever has most of the log; without effect where nobody can take over now. */
  handOver(): void
  fatal(error: Error): void
}

export class Resigning {
  readonly #options: ResigningOptions
  readonly #hooks: ResigningHooks
  /** Why the process is about to end, and when at the latest; null while all is well. */
  #reason: Error | null = null
  #deadlineMs = 0

  constructor(options: ResigningOptions, hooks: ResigningHooks) {
    this.#options = options
    this.#hooks = hooks
  }

  /** Something of the own store that another member needs cannot be read. False where this member goes on all the same. */
  broken(error: unknown): boolean {
    const status = this.#hooks.status()
    if (status === null || this.#reason !== null) return true
    const { clock, telemetry } = this.#options
    const { voters, outgoing } = status.configuration
    const goesOn = [...voters, ...outgoing].every((peer) => peer === status.id)
    telemetry.log('error', 'own data damaged', { reason: String(error), goesOn })
    if (goesOn) return false
    this.#reason = error instanceof Error ? error : new Error(String(error))
    this.#deadlineMs = clock.monotonicMs() + REPLICA_LIMITS.handoverMsMax
    this.tick()
    return true
  }

  tick(): void {
    if (this.#reason === null) return
    const { clock } = this.#options
    const leads = this.#hooks.status()?.role === 'leader'
    if (!leads || clock.monotonicMs() >= this.#deadlineMs) this.#hooks.fatal(this.#reason)
    else this.#hooks.handOver()
  }
}
