/**
 * Tells the follower of a log who leads, once each. Of an own reign it hears only when all of the log is known here, since a new
 * leader's time goes on from the end of its log.
 */
import { memberOf, type PeerId, type Term } from '@leasehold/protocol'
import type { Telemetry } from '../ports/index.js'
import type { RaftStatus } from '../raft/index.js'

export interface ReignHooks {
  lead(term: Term): void
  follow(term: Term, leader: PeerId | null): void
}

export class Reign {
  readonly #telemetry: Telemetry
  readonly #hooks: ReignHooks
  /** What was told last. */
  #told: { readonly term: Term; readonly leader: PeerId | null; readonly leading: boolean } | null = null

  constructor(telemetry: Telemetry, hooks: ReignHooks) {
    this.#telemetry = telemetry
    this.#hooks = hooks
  }

  get leading(): boolean {
    return this.#told?.leading === true
  }

  /** The term that was told last; there must be one. */
  get term(): Term {
    return this.#told!.term
  }

  /** `complete`: the end of the log is known here. */
  notice({ id, role, term, leader }: RaftStatus, complete: boolean): void {
    const told = this.#told
    if (role === 'leader') {
      if (told?.leading && told.term === term) return
      if (told?.leading) this.#follow(term, null)
      if (!complete) return
      this.#told = { term, leader: id, leading: true }
      this.#telemetry.log('info', 'leading', { term })
      this.#hooks.lead(term)
    } else if (told === null || told.leading || told.term !== term || told.leader !== leader) this.#follow(term, leader)
  }

  #follow(term: Term, leader: PeerId | null): void {
    this.#told = { term, leader, leading: false }
    if (leader !== null) this.#telemetry.log('info', 'following', { term, leader: memberOf(leader) })
    this.#hooks.follow(term, leader)
  }
}
