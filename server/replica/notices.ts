/**
 * When a leader's followers hear what is committed. Under load the next entries follow within a millisecond or two and carry the
 * news; on its own it would cost each member another message and another turn of its loop. So it waits a little, unless somebody
 * at a follower waits for it: the batch of another member was committed. (Who reads there is told with the answer to his read.)
 */
import type { Clock } from '../ports/index.js'
import { REPLICA_LIMITS } from './limits.js'
import type { ReplicaEntry } from './logentry.js'

export class Notices {
  readonly #clock: Clock
  readonly #memberId: string
  readonly #due: () => void
  /** Ends the wait that is under way. */
  #stop: (() => void) | null = null
  /** They leave with the next messages. */
  #now = false

  /** `due`: they have waited long enough. */
  constructor(clock: Clock, memberId: string, due: () => void) {
    this.#clock = clock
    this.#memberId = memberId
    this.#due = due
  }

  /** Whether they wait; asked once for each taking of messages. */
  get held(): boolean {
    const held = !this.#now
    this.#now = false
    return held
  }

  /** These are committed, and about to be applied. */
  committed(entries: readonly ReplicaEntry[]): void {
    if (entries.some(({ batch, member }) => batch === 0 || member !== this.#memberId)) this.#now = true
    else this.#stop ??= this.#clock.after(REPLICA_LIMITS.noticeMs, this.#waited)
  }

  /** Safe to call twice. */
  close(): void {
    this.#stop?.()
    this.#stop = null
  }

  readonly #waited = (): void => {
    this.#stop = null
    this.#now = true
    this.#due()
  }
}
