/**
 * What every part of the core shares: who this peer is, its term, its vote and whom it follows. The parts change it through the
 * three transitions here and in the election, never field by field, so that term and vote are always staged to be written.
 */
import type { Term } from '@leasehold/protocol'
import type { RaftLimits } from './limits.js'
import { Log } from './log.js'
import { Membership } from './membership.js'
import { Outbox } from './outbox.js'
import type { LogEntry, LostWord, PeerId, RaftStart, ReadState, Role } from './types.js'

export class Node<E extends LogEntry> {
  readonly id: PeerId
  readonly limits: RaftLimits
  readonly random: () => number
  readonly log: Log<E>
  readonly outbox: Outbox<E>
  /** Answers to own reads, to be taken. */
  reads: ReadState[] = []
  /** Peers whose link is known to be closed. Of all others it is taken to be up. */
  readonly unlinked = new Set<PeerId>()
  membership: Membership
  role: Role = 'follower'
  /** Null where it is not known. Of a leader: itself. */
  leader: PeerId | null = null
  /** Its directory came back older than what it has acknowledged. Once set, for good. */
  lost: LostWord | null = null
  /** Never goes back. */
  #term: Term
  /** Set at most once in a term. */
  #votedFor: PeerId | null

  constructor(start: RaftStart, limits: RaftLimits) {
    this.id = start.id
    this.limits = limits
    this.random = start.random
    this.#term = start.hardState.term
    this.#votedFor = start.hardState.votedFor
    this.log = new Log<E>(start, limits)
    this.outbox = new Outbox<E>(this.log, start.hardState)
    this.membership = new Membership(start.configuration)
    if (this.log.lastTerm > this.#term) throw new Error('the log is ahead of the term on disk')
  }

  get term(): Term {
    return this.#term
  }
  get votedFor(): PeerId | null {
    return this.#votedFor
  }

  /**
   * It may lead: its vote counts, and it knows the configuration that is in force. Also one that is on its way out: those who stay
   * may all lack what a majority of the outgoing ones has.
   */
  get promotable(): boolean {
    return this.membership.votes(this.id) && !this.log.reconfigured && this.lost === null
  }

  /** A newer term, in which it has not voted. */
  enter(term: Term): void {
    if (term <= this.#term) throw new Error('a term never goes back')
    this.#term = term
    this.#votedFor = null
    this.outbox.stageHardState({ term, votedFor: null })
  }

  vote(peer: PeerId): void {
    if (this.#votedFor === peer) return
    if (this.#votedFor !== null) throw new Error('one vote a term')
    this.#votedFor = peer
    this.outbox.stageHardState({ term: this.#term, votedFor: peer })
  }
}
