/** The progress of every member, as its leader keeps it, and what a quorum of them has reached. */
import { logIndex } from '@leasehold/protocol'
import type { Node } from './node.js'
import { Progress } from './progress.js'
import { majorityReached } from './quorum.js'
import type { LogEntry, PeerId } from './types.js'

const ALWAYS = Number.POSITIVE_INFINITY

export class Cohort<E extends LogEntry> {
  readonly #node: Node<E>
  readonly #byPeer = new Map<PeerId, Progress>()
  /** This peer's own: it hears itself at all times, and its match is what its disk has. */
  readonly self: Progress
  /** Everyone else, learners too. */
  others: readonly Progress[] = []
  #voters: readonly Progress[] = []
  #outgoing: readonly Progress[] = []
  #scratch = new Float64Array(0)

  constructor(node: Node<E>) {
    this.#node = node
    this.self = new Progress(node.id, logIndex(node.log.last + 1), node.limits)
    this.self.state = 'replicate'
    this.self.heard(ALWAYS)
    this.self.round = ALWAYS
    this.self.match = node.log.synced
    this.reconfigure()
  }

  get(peer: PeerId): Progress | undefined {
    return peer === this.self.peer ? undefined : this.#byPeer.get(peer)
  }

  /** Takes over the node's membership. Newcomers start from what is known of them: nothing. */
  reconfigure(): void {
    const { membership, id, log, limits, unlinked } = this.#node
    for (const peer of this.#byPeer.keys()) if (!membership.has(peer)) this.#byPeer.delete(peer)
    for (const peer of membership.all) {
      if (peer === id) this.#byPeer.set(peer, this.self)
      if (this.#byPeer.has(peer)) continue
      const progress = new Progress(peer, logIndex(log.last + 1), limits)
      progress.linked = !unlinked.has(peer)
      this.#byPeer.set(peer, progress)
    }
    const { voters, outgoing } = membership.configuration
    this.others = [...this.#byPeer.values()].filter((progress) => progress !== this.self)
    this.#voters = voters.map((peer) => this.#byPeer.get(peer)!)
    this.#outgoing = outgoing.map((peer) => this.#byPeer.get(peer)!)
    this.#scratch = new Float64Array(Math.max(voters.length, outgoing.length))
  }

  /** The highest value that a quorum has at least: a majority, of both sets of voters during a change. */
  reached(value: (progress: Progress) => number): number {
    const incoming = this.#majority(this.#voters, value)
    return this.#outgoing.length === 0 ? incoming : Math.min(incoming, this.#majority(this.#outgoing, value))
  }

  #majority(voters: readonly Progress[], value: (progress: Progress) => number): number {
    for (let i = 0; i < voters.length; i++) this.#scratch[i] = value(voters[i]!)
    return majorityReached(this.#scratch, voters.length)
  }
}
