/**
 * Changes of the configuration, as a leader carries them through: one at a time, each step proposed once the one before is
 * applied. A joint configuration is always left again, whoever leads by then, and whoever began it. It must never propose while
 * another step is on its way.
 */
import { type Command, type Configuration, INTERNAL_OP, ProtocolError } from '@leasehold/protocol'
import { REPLICA_LIMITS } from './limits.js'
import type { ReplicatedLog } from './log.js'
import { changed, left, type MembershipChange, type PeerStanding, readdressed } from './membership.js'
import type { StateMachine } from './statemachine.js'

export interface ReconfiguringOptions {
  readonly log: Pick<ReplicatedLog, 'leading' | 'mayReconfigure' | 'status'>
  readonly machine: Pick<StateMachine, 'configuration' | 'members'>
  readonly nowMs: () => number
  /** Puts it into an entry of its own, in this term or not at all. */
  readonly order: (command: Command) => void
}

interface Asked {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
  readonly untilMs: number
}

export class Reconfiguring {
  readonly #options: ReconfiguringOptions
  /** A step is on its way into the log, in this reign. */
  #ordered = false
  /** Who waits for the end of a change that was asked for here. */
  #asked: Asked | null = null

  constructor(options: ReconfiguringOptions) {
    this.#options = options
  }

  /**
   * Resolves once the change is done and applied here. Throws ProtocolError: NO_QUORUM (not the leader), MEMBER_NOT_FOUND,
   * MEMBERSHIP_CONFLICT (nothing was changed), OUTCOME_UNKNOWN (it goes on, or was cut short with its leader: look at the members).
   */
  async change(change: MembershipChange): Promise<void> {
    const { log, machine } = this.#options
    const configuration = machine.configuration
    if (!log.leading || configuration === null) throw new ProtocolError('NO_QUORUM', 'this member does not lead')
    if (this.#asked !== null || this.#ordered || !log.mayReconfigure) {
      throw new ProtocolError('MEMBERSHIP_CONFLICT', 'another change is under way, or the leader is new: try again')
    }
    const next = changed(configuration, change, this.#standings())
    if (next === configuration) return
    const done = new Promise<void>((resolve, reject) => {
      this.#asked = { resolve, reject, untilMs: this.#options.nowMs() + REPLICA_LIMITS.changeMsMax }
    })
    this.#order(next)
    await done
  }

  /** This member leads, or does not any more: what was on its way may be lost. */
  reign(): void {
    this.#ordered = false
    this.#give((asked) => asked.reject(new ProtocolError('OUTCOME_UNKNOWN', 'the leader changed meanwhile')))
  }

  /** An entry that changes the configuration was applied. */
  applied(): void {
    this.#ordered = false
    if (this.#options.machine.configuration?.outgoing.length === 0) this.#give((asked) => asked.resolve())
  }

  tick(): void {
    const { log, machine, nowMs } = this.#options
    if (this.#asked !== null && nowMs() >= this.#asked.untilMs) {
      this.#give((asked) => asked.reject(new ProtocolError('OUTCOME_UNKNOWN', 'the change is still under way')))
    }
    const { configuration } = machine
    if (!log.leading || this.#ordered || configuration === null || !log.mayReconfigure) return
    const next = left(configuration) ?? readdressed(configuration, machine.members)
    if (next !== null) this.#order(next)
  }

  /** Nobody hears of a change any more. */
  close(): void {
    this.#give((asked) =>
      asked.reject(new ProtocolError('SHUTTING_DOWN', 'the member that carried it through shuts down')),
    )
  }

  #order(configuration: Configuration): void {
    this.#ordered = true
    this.#options.order({ op: INTERNAL_OP.configure, configuration })
  }

  #give(end: (asked: Asked) => void): void {
    const asked = this.#asked
    this.#asked = null
    if (asked !== null) end(asked)
  }

  #standings(): readonly PeerStanding[] {
    const { commitIndex, peers } = this.#options.log.status
    return peers.map(({ peer, active, match }) => ({
      peer,
      active: active === true,
      behind: Math.max(0, commitIndex - (match ?? 0)),
    }))
  }
}
