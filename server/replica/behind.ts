/**
 * What a member does whose directory came back older than what it has acknowledged: put back from a copy, say. Consensus has fallen silent
 * by then. It must never take part again: it marks the directory, so that each later start refuses it, and ends the process.
 *
 * It stays for a moment first, and says what it lost to whoever reminds it, so that its leader stops counting it. And a leader says
 * so to people, once.
 */
import type { Clock, Telemetry } from '../ports/index.js'
import type { PeerId, RaftStatus } from '../raft/index.js'
import type { Store } from '../storage/index.js'
import { REPLICA_LIMITS } from './limits.js'

export interface BehindOptions {
  readonly store: Pick<Store, 'disown'>
  readonly clock: Clock
  readonly telemetry: Telemetry
}

export class Behind {
  readonly #options: BehindOptions
  readonly #fatal: (error: Error) => void
  /** Since this member knows it of itself, or null. */
  #sinceMs: number | null = null
  #refusal: Error | null = null
  /** Others of which it was said, in this reign. */
  #said: ReadonlySet<PeerId> = new Set()

  constructor(options: BehindOptions, fatal: (error: Error) => void) {
    this.#options = options
    this.#fatal = fatal
  }

  tick(status: RaftStatus): void {
    const { lost, progress } = status
    if (lost !== null) this.#own(lost)
    const others = progress.filter(({ state }) => state === 'lost').map(({ peer }) => peer)
    for (const peer of others) if (!this.#said.has(peer)) this.#say(peer)
    if (others.length !== this.#said.size) this.#said = new Set(others)
  }

  #say(peer: PeerId): void {
    this.#options.telemetry.log('error', 'member behind what it acknowledged', { peer, counts: false })
  }

  #own({ leader, term, index }: NonNullable<RaftStatus['lost']>): void {
    const { store, clock, telemetry } = this.#options
    const nowMs = clock.monotonicMs()
    const found =
      `The data directory came back older than it was: it had acknowledged entry ${index} to the leader "${leader}" in term ${term}, ` +
      'and no longer holds what it promised.'
    if (this.#sinceMs === null) {
      this.#sinceMs = nowMs
      telemetry.log('error', 'own data behind what was acknowledged', { leader, term, index })
      store.disown(found).then((refusal) => {
        this.#refusal = refusal
      }, this.#fatal)
    } else if (this.#refusal !== null && nowMs - this.#sinceMs >= REPLICA_LIMITS.farewellMs) {
      this.#fatal(this.#refusal)
    }
  }
}
