/** The configuration in force, and the questions that are asked of it. It takes effect when its entry is applied. */
import { jointVerdict, type Verdict, verdictOf } from './quorum.js'
import type { Configuration, PeerId } from './types.js'

export class Membership {
  readonly configuration: Configuration
  /** Everyone named, once. */
  readonly all: readonly PeerId[]
  /** Everyone whose vote counts, once. */
  readonly voters: readonly PeerId[]
  readonly #all: ReadonlySet<PeerId>
  readonly #voters: ReadonlySet<PeerId>

  constructor(configuration: Configuration) {
    this.configuration = configuration
    this.#voters = new Set([...configuration.voters, ...configuration.outgoing])
    this.voters = [...this.#voters]
    this.#all = new Set([...this.voters, ...configuration.learners])
    this.all = [...this.#all]
  }

  has(peer: PeerId): boolean {
    return this.#all.has(peer)
  }

  /** Its vote counts, in one majority at least. */
  votes(peer: PeerId): boolean {
    return this.#voters.has(peer)
  }

  /** It will still be a voter when the change under way is over: it is worth being handed leadership. */
  stays(peer: PeerId): boolean {
    return this.configuration.voters.includes(peer)
  }

  isSole(peer: PeerId): boolean {
    return this.voters.length === 1 && this.voters[0] === peer
  }

  verdict(say: (peer: PeerId) => boolean | null): Verdict {
    const { voters, outgoing } = this.configuration
    // No voters: nobody was named yet. Nothing can be decided.
    if (voters.length === 0) return 'lost'
    const incoming = verdictOf(voters, say)
    return outgoing.length === 0 ? incoming : jointVerdict(incoming, verdictOf(outgoing, say))
  }
}
