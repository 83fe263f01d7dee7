/**
 * Tells sessions that this member is not the one to ask any more: it goes, or it has no quorum. Those who
 * have another one to go to move without an error. Must never send anybody away from a member that serves.
 */
import { ERRORS, type ErrorCode, type Push } from '@leasehold/protocol'
import type { Replica } from '../replica/index.js'

/** A session, as far as it can be told. */
export interface Movable {
  push(pushes: readonly Push[]): void
}

export interface AwayParts {
  readonly replica: Pick<Replica, 'ready' | 'status'>
  readonly awayAfterMs: number
  /** Those that have greeted. */
  readonly sessions: () => Iterable<Movable>
  /** The address of the leader; null while it is not known. */
  readonly leaderUrl: () => string | null
}

export class Away {
  readonly #parts: AwayParts
  readonly #told = new WeakSet<Movable>()
  /** It led when somebody was last known to lead. */
  #led = false
  /** Since when nobody is; null: somebody leads. */
  #leaderlessMs: number | null = null
  #anyTold = false

  constructor(parts: AwayParts) {
    this.#parts = parts
  }

  /**
   * Now and then. A member without a leader is ready for as long as an election may take, and nobody is sent round for that. Only a
   * leader that has lost its quorum does not wait: its clients have waited for it already, and the others are electing
   * somebody else, or have.
   */
  look(nowMs: number): void {
    const { replica, awayAfterMs } = this.#parts
    const { leader, memberId } = replica.status
    this.#leaderlessMs = leader === null ? (this.#leaderlessMs ?? nowMs) : null
    if (leader !== null) this.#led = leader === memberId
    const deposed = this.#led && this.#leaderlessMs !== null && nowMs - this.#leaderlessMs >= awayAfterMs
    if (!replica.ready || deposed) this.tell('NO_QUORUM', 'this member has no quorum now')
    else if (this.#anyTold && leader !== null) this.#forget()
  }

  /** Tells all who have not been told yet. */
  tell(code: ErrorCode, detail: string): void {
    const push: Push = ['away', ERRORS[code].wire, this.#parts.leaderUrl(), detail]
    for (const session of this.#parts.sessions()) {
      if (this.#told.has(session)) continue
      this.#told.add(session)
      this.#anyTold = true
      session.push([push])
    }
  }

  #forget(): void {
    this.#anyTold = false
    for (const session of this.#parts.sessions()) this.#told.delete(session)
  }
}
