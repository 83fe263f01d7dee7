/**
 * Who leads. A follower that hears from no leader first asks whether it could win (pre-vote: nothing is promised and no term grows, so
 * that one who was cut off disturbs nobody when it returns), then asks for votes in a new term. Voters that hear from a
 * leader stay loyal to it. (Ongaro's thesis, 3.4, 4.2.3, 9.6.)
 *
 * It must never count a vote, its own included, that is not durable, and never campaign over a configuration that it has not applied.
 */
import { type Term, term } from '@leasehold/protocol'
import type { Node } from './node.js'
import { type LogEntry, MESSAGE, type PeerId, type PreVote, type VoteReply } from './types.js'

/** What the election asks of whoever holds the roles together. */
export interface Reign {
  /** Won: leads from now on. */
  lead(supporters: readonly PeerId[]): void
  /** Not a leader (any more), in this term or in a newer one. */
  follow(leader: PeerId | null): void
}

interface Campaign {
  /** Granted or refused, by voters that have answered. */
  readonly votes: Map<PeerId, boolean>
  readonly transfer: boolean
}

export class Election<E extends LogEntry> {
  readonly #node: Node<E>
  readonly #reign: Reign
  /** Ticks since the leader was heard, a vote given, or the timeout drawn. */
  #elapsed = 0
  #timeout = 0
  /** The next draws come from [1, this] ticks, doubling; null: from the full range. */
  #haste: number | null = null
  #campaign: Campaign | null = null
  /** Asked to take over in this term, and not yet able to. */
  #asked: Term | null = null

  constructor(node: Node<E>, reign: Reign) {
    this.#node = node
    this.#reign = reign
    this.#redraw()
  }

  /** It hears from a leader, and so refuses to help anyone else. */
  get loyal(): boolean {
    const { role, leader, limits } = this.#node
    return role === 'leader' || (leader !== null && this.#elapsed < limits.electionTicksMin)
  }

  tick(): void {
    const node = this.#node
    this.#elapsed++
    const alone = node.membership.isSole(node.id) && node.role === 'follower'
    if (!alone && this.#elapsed < this.#timeout) return
    if (node.promotable) this.campaign()
    else if (!node.log.reconfigured) this.#redraw()
  }

  /** A leader spoke, or the role has changed: no campaign, and time to wait. */
  settle(): void {
    this.#haste = null
    if (this.#campaign !== null) {
      this.#campaign = null
      this.#node.outbox.withdrawRequests()
    }
    this.#redraw()
  }

  /** The leader is gone for sure: whoever draws the shortest lot campaigns, in a few ticks. */
  hurry(): void {
    this.#haste = this.#node.limits.hasteTicksMax
    this.#redraw()
  }

  campaign(): void {
    const node = this.#node
    if (node.role === 'leader' || !node.promotable) return
    node.role = 'preCandidate'
    node.leader = null
    node.outbox.withdrawRequests()
    this.#begin({ votes: new Map([[node.id, true]]), transfer: false })
    const asked = this.#request(MESSAGE.preVote, node.term + 1)
    for (const peer of node.membership.voters) {
      if (peer !== node.id && !node.unlinked.has(peer)) node.outbox.send(peer, asked)
    }
    this.#count()
  }

  /** The leader asks it to take over: no time is lost with asking first. It waits until a committed configuration is applied. */
  takeOver(): void {
    this.#asked = this.#node.term
    this.applied()
  }

  /** Something was applied, the configuration perhaps. */
  applied(): void {
    const node = this.#node
    if (this.#asked === null || node.log.reconfigured) return
    const asked = this.#asked
    this.#asked = null
    if (asked === node.term && node.role === 'follower' && node.promotable) this.#stand(true)
  }

  /** The link to a peer has closed: nobody waits for its answer any more. */
  linkDown(): void {
    if (this.#campaign !== null) this.#count()
  }

  /** The link to a peer is there (again): it has not heard of this campaign. */
  linkUp(peer: PeerId): void {
    const node = this.#node
    const campaign = this.#campaign
    if (campaign === null || campaign.votes.has(peer) || !node.membership.votes(peer)) return
    if (node.role === 'preCandidate') node.outbox.send(peer, this.#request(MESSAGE.preVote, node.term + 1))
    else node.outbox.promise(peer, this.#request(MESSAGE.vote, node.term))
  }

  /** A write is durable. The own vote counts like any other: once it is on disk. */
  written(): void {
    const node = this.#node
    if (node.role !== 'candidate' || this.#campaign!.votes.has(node.id)) return
    const { term: durable, votedFor } = node.outbox.durable
    if (durable !== node.term || votedFor !== node.id) return
    this.#campaign!.votes.set(node.id, true)
    this.#count()
  }

  onPreVote(from: PeerId, asked: PreVote): void {
    const node = this.#node
    const free = asked.term > node.term || (asked.term === node.term && this.#mayVoteFor(from))
    const granted = free && !this.loyal && node.log.isOutdone(asked.lastIndex, asked.lastTerm)
    // Granted: in the term that was asked for. Refused: tells the own one, which may be news.
    node.outbox.send(from, this.#reply(MESSAGE.preVoteReply, granted ? asked.term : node.term, granted))
  }

  /** In the own term. */
  onVote(from: PeerId, asked: PreVote): void {
    const node = this.#node
    if (!this.#mayVoteFor(from) || !node.log.isOutdone(asked.lastIndex, asked.lastTerm)) {
      this.refuse(from, asked)
      return
    }
    node.vote(from)
    // Somebody is about to lead: whoever lost the last leader must not outrun its successor's disk.
    this.#haste = null
    this.#redraw()
    node.outbox.promise(from, this.#reply(MESSAGE.voteReply, node.term, true))
  }

  /** Refusing binds nobody: it leaves at once, and the own term stays what it is. */
  refuse(from: PeerId, asked: PreVote): void {
    this.#node.outbox.send(from, this.#reply(MESSAGE.voteReply, asked.term, false))
  }

  /** An answer to the pre-vote. One that is late does no harm: a vote follows, and only that one binds. */
  onPreVoteReply(from: PeerId, reply: VoteReply): void {
    const node = this.#node
    if (node.role !== 'preCandidate' || (reply.granted && reply.term !== node.term + 1)) return
    this.#answered(from, reply)
  }

  /** In the own term. */
  onVoteReply(from: PeerId, reply: VoteReply): void {
    if (this.#node.role === 'candidate') this.#answered(from, reply)
  }

  #answered(from: PeerId, { granted, commit, commitTerm }: VoteReply): void {
    const { membership, log } = this.#node
    const { votes } = this.#campaign!
    if (!membership.votes(from)) return
    if (log.isCommitNews(commit, commitTerm)) log.commitTo(commit)
    if (log.reconfigured) {
      // It campaigns under a configuration of the past.
      this.#reign.follow(null)
      return
    }
    if (votes.get(from) === true) return
    votes.set(from, granted)
    this.#count()
  }

  #reply(kind: VoteReply['kind'], of: Term, granted: boolean): VoteReply {
    const { commit, commitTerm } = this.#node.log
    return { kind, term: of, granted, commit, commitTerm }
  }

  #mayVoteFor(peer: PeerId): boolean {
    const { votedFor, leader } = this.#node
    return votedFor === peer || (votedFor === null && leader === null)
  }

  /** Asks for votes in a new term. The own vote, and the requests, wait for the disk. */
  #stand(transfer: boolean): void {
    const node = this.#node
    node.role = 'candidate'
    node.leader = null
    node.enter(term(node.term + 1))
    node.vote(node.id)
    this.#begin({ votes: new Map(), transfer })
    const asked = this.#request(MESSAGE.vote, node.term)
    for (const peer of node.membership.voters) {
      if (peer !== node.id && !node.unlinked.has(peer)) node.outbox.promise(peer, asked)
    }
  }

  #begin(campaign: Campaign): void {
    this.#campaign = campaign
    this.#elapsed = 0
    this.#timeout = this.#fullDraw()
  }

  #count(): void {
    const node = this.#node
    const { votes } = this.#campaign!
    const verdict = node.membership.verdict((peer) => {
      // The own vote comes from the own disk, over no link.
      return votes.get(peer) ?? (peer !== node.id && node.unlinked.has(peer) ? false : null)
    })
    if (verdict === 'lost') this.#lose()
    else if (verdict === 'won' && node.role === 'preCandidate') this.#stand(false)
    else if (verdict === 'won') this.#reign.lead([...votes].filter(([, granted]) => granted).map(([peer]) => peer))
  }

  #lose(): void {
    const haste = this.#haste
    const { electionTicksMin } = this.#node.limits
    this.#reign.follow(null)
    // Those who lost together draw again, from a wider range each time.
    this.#haste = haste !== null && haste * 2 < electionTicksMin ? haste * 2 : null
    this.#redraw()
  }

  #request(kind: PreVote['kind'], of: number): PreVote {
    const { last, lastTerm } = this.#node.log
    return { kind, term: term(of), lastIndex: last, lastTerm, transfer: this.#campaign?.transfer ?? false }
  }

  #redraw(): void {
    this.#elapsed = 0
    this.#timeout = this.#haste === null ? this.#fullDraw() : 1 + Math.floor(this.#node.random() * this.#haste)
  }

  #fullDraw(): number {
    const { electionTicksMin: min, electionTicksMax: max } = this.#node.limits
    return min + Math.floor(this.#node.random() * (max - min + 1))
  }
}
