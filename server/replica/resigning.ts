/**
 * What a member does that finds its own store damaged while others need what it holds: it must not stay in an office that it cannot
 * fill. It hands leadership to a member that can, or waits for that in vain for a bounded time, and then ends the process. Nothing is lost
 * by that: where no other voter is up to date, nothing can be committed here either.
 *
 * It must not end where service needs it: where changes are committed now, and the others that answer could not commit any without it.
 * Such a member hands over and follows; a sole voter stays in office, since it is all there is, and those it cannot serve have no vote.
 */
import type { Clock, Telemetry } from '../ports/index.js'
import type { RaftStatus } from '../raft/index.js'
import { REPLICA_LIMITS } from './limits.js'
import { areMajority } from './standing.js'

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
  /** Why it hands over, and when that is over at the latest; null while all is well. */
  #reason: Error | null = null
  #ends = true
  #deadlineMs = 0

  constructor(options: ResigningOptions, hooks: ResigningHooks) {
    this.#options = options
    this.#hooks = hooks
  }

  /** Something of the own store that another member needs cannot be read. False where this member goes on all the same. */
  broken(error: unknown): boolean {
    const status = this.#hooks.status()
    if (status === null) return true
    if (this.#reason !== null) return this.#ends
    const { clock, telemetry } = this.#options
    this.#ends = !isNeeded(status)
    telemetry.log('error', 'own data damaged', { reason: String(error), goesOn: !this.#ends })
    this.#reason = error instanceof Error ? error : new Error(String(error))
    this.#deadlineMs = clock.monotonicMs() + REPLICA_LIMITS.handoverMsMax
    this.tick()
    return this.#ends
  }

  tick(): void {
    if (this.#reason === null) return
    const { clock } = this.#options
    const status = this.#hooks.status()
    // Its vote may be needed for who takes over.
    const followed = status?.role !== 'leader' && status?.leader !== null
    if (!followed && clock.monotonicMs() < this.#deadlineMs) this.#hooks.handOver()
    else if (this.#ends) this.#hooks.fatal(this.#reason)
    else this.#reason = null
  }
}

/** Of a leader: with it there are majorities that are up to date, and of those that answer there are none without it. */
function isNeeded({ id, role, configuration, progress }: RaftStatus): boolean {
  if (role !== 'leader') return false
  // Who is being sent a snapshot is linked, and may just not have said anything yet.
  const there = progress.filter(({ active, state }) => active || state === 'snapshot')
  const answering = new Map(there.map(({ peer, state }) => [peer, state]))
  const serves = areMajority(configuration, (peer) => peer === id || answering.get(peer) === 'replicate')
  return serves && !areMajority(configuration, (peer) => peer !== id && answering.has(peer))
}
