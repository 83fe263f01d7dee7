/**
 * Raft as one object: takes the inputs, sees to terms, and passes everything on to the part that knows. The parts: election
 * (who leads), leadership (one reign), following, reads, and the outbox (what leaves when).
 */
import type { LogIndex, Term } from '@leasehold/protocol'
import { Election } from './election.js'
import { Following } from './following.js'
import { Leadership } from './leadership.js'
import { assertRaftLimits, RAFT_LIMITS, type RaftLimits } from './limits.js'
import { Membership } from './membership.js'
import { Node } from './node.js'
import { OwnReading } from './ownreading.js'
import { ReadRequests } from './reads.js'
import { isSound } from './sound.js'
import { StatusView } from './status.js'
import {
  type Addressed,
  type Append,
  type Configuration,
  type Fetch,
  type Heartbeat,
  type LogEntry,
  MESSAGE,
  type Message,
  type PeerId,
  type RaftCore,
  type RaftStart,
  type RaftStatus,
  type ReadState,
  type Reminder,
  type SnapshotOffer,
  type Write,
} from './types.js'

export class Raft<E extends LogEntry> implements RaftCore<E> {
  readonly #node: Node<E>
  readonly #election: Election<E>
  readonly #following: Following<E>
  readonly #requests: ReadRequests<E>
  readonly #own: OwnReading<E>
  /** While it leads; null otherwise. */
  #leadership: Leadership<E> | null = null
  readonly status: RaftStatus
  holdsNotices = false

  constructor(start: RaftStart, limits: RaftLimits = RAFT_LIMITS) {
    assertRaftLimits(limits)
    this.#node = new Node<E>(start, limits)
    this.#following = new Following(this.#node)
    this.#requests = new ReadRequests(this.#node)
    this.#own = new OwnReading(this.#node)
    this.#election = new Election(this.#node, {
      lead: (supporters) => this.#lead(supporters),
      follow: (leader) => this.#follow(leader),
    })
    this.status = new StatusView(this.#node, () => this.#leadership?.progress ?? [])
  }

  get quorumFresh(): boolean {
    return this.#leadership?.quorumFresh ?? false
  }
  get roomBytes(): number {
    return this.#leadership?.roomBytes ?? 0
  }
  get mayReconfigure(): boolean {
    return this.#leadership?.mayReconfigure ?? false
  }

  tick(): void {
    if (this.#leadership === null) this.#election.tick()
    else if (!this.#leadership.tick()) this.#follow(null)
  }

  step(from: PeerId, message: Message<E>): void {
    const node = this.#node
    if (from === node.id || !isSound(message, node.limits)) return
    // Who speaks is there.
    if (node.unlinked.has(from)) this.linkUp(from)
    if (message.kind === MESSAGE.reminder) this.#reminded(from, message)
    if (node.lost !== null) return
    switch (message.kind) {
      case MESSAGE.preVote:
        this.#election.onPreVote(from, message)
        return
      case MESSAGE.vote:
        if (message.term > node.term && this.#election.loyal && !message.transfer) {
          this.#election.refuse(from, message)
          return
        }
        break
      case MESSAGE.preVoteReply:
        // Granted speaks of a term that does not exist yet.
        if (message.granted || message.term <= node.term) {
          this.#election.onPreVoteReply(from, message)
          return
        }
        break
    }
    if (this.#isOfThisTerm(from, message)) this.#dispatch(from, message)
  }

  linkDown(peer: PeerId): void {
    const node = this.#node
    node.unlinked.add(peer)
    this.#leadership?.linkDown(peer)
    if (node.role === 'follower' && node.leader === peer) {
      node.leader = null
      this.#requests.leaderChanged()
      this.#election.hurry()
    } else if (node.role !== 'leader') this.#election.linkDown()
  }

  linkUp(peer: PeerId): void {
    this.#node.unlinked.delete(peer)
    this.#leadership?.linkUp(peer)
    this.#election.linkUp(peer)
  }

  propose(entries: readonly E[]): void {
    if (this.#leadership === null) throw new Error('only a leader proposes')
    this.#leadership.propose(entries)
  }

  readIndex(read: number): void {
    if (this.#leadership === null) this.#requests.ask(read)
    else this.#leadership.reads.ask(null, read)
  }

  written(): void {
    this.#node.outbox.written()
    this.#election.written()
    this.#leadership?.written()
  }

  fetched(to: PeerId, entries: readonly E[]): void {
    if (to === this.#node.id) this.#own.fetched(entries)
    else this.#leadership?.fetched(to, entries)
  }

  fetchFailed(to: PeerId): void {
    if (to === this.#node.id) throw new Error('a committed entry that is not applied is gone from the log')
    this.#leadership?.fetchFailed(to)
  }

  applied(index: LogIndex): void {
    this.#node.log.appliedTo(index)
    this.#election.applied()
  }

  reconfigured(configuration: Configuration): void {
    const node = this.#node
    // Whoever is no longer named is told that it is so, before it is forgotten.
    this.#leadership?.pump(false)
    node.membership = new Membership(configuration)
    if (this.#leadership === null) {
      // Votes that were asked for under another configuration decide nothing.
      if (node.role !== 'follower') this.#follow(null)
      return
    }
    this.#leadership.reconfigured()
    if (node.membership.votes(node.id)) return
    this.#leadership.depart()
    this.#follow(null)
  }

  trimmed(first: LogIndex): void {
    this.#node.log.trim(first)
  }

  needsSnapshot(index: LogIndex, term: Term): boolean {
    const { role, log, lost } = this.#node
    return lost === null && role !== 'leader' && index > log.commit && log.termAt(index) !== term
  }

  restored(index: LogIndex, term: Term, configuration: Configuration): void {
    const node = this.#node
    if (node.role === 'leader') throw new Error('a leader needs no snapshot')
    node.outbox.restarted()
    node.log.restart(index, term)
    this.#own.restarted()
    node.membership = new Membership(configuration)
    if (term > node.term) node.enter(term)
    this.#following.restarted()
    if (node.role !== 'follower') this.#follow(null)
    if (node.leader !== null) {
      const installed = { kind: MESSAGE.snapshotReply, term: node.term, installed: true, index }
      node.outbox.promise(node.leader, installed)
    }
  }

  snapshotFailed(to: PeerId): void {
    this.#leadership?.snapshotFailed(to)
  }

  transferLeadership(to: PeerId): boolean {
    return this.#leadership?.transfer(to) ?? false
  }

  campaign(): void {
    this.#election.campaign()
  }

  takeMessages(): readonly Addressed<E>[] {
    this.#leadership?.pump(this.holdsNotices)
    return this.#node.outbox.takeMessages()
  }

  takeWrite(): Write<E> | null {
    return this.#node.lost !== null ? null : this.#node.outbox.takeWrite()
  }

  takeCommitted(bytesMax: number): readonly E[] {
    return this.#own.takeCommitted(bytesMax)
  }

  /** Entries that takeCommitted has still to give, those included that must be read back first. */
  get backlog(): number {
    const next = this.#node.log.handover
    return next === null ? 0 : next.through - next.from + 1
  }

  takeReads(): readonly ReadState[] {
    this.#leadership?.pump(this.holdsNotices)
    const { reads } = this.#node
    if (reads.length > 0) this.#node.reads = []
    return reads
  }

  takeFetches(): readonly Fetch[] {
    this.#leadership?.pump(this.holdsNotices)
    const others = this.#leadership?.takeFetches() ?? []
    const own = this.#own.takeFetch()
    return own === null ? others : [...others, own]
  }

  takeSnapshots(): readonly PeerId[] {
    this.#leadership?.pump(this.holdsNotices)
    return this.#leadership?.takeSnapshots() ?? []
  }

  /** Who has lost what it is reminded of gives up all that it might still promise, and says so as often as it is asked. */
  #reminded(from: PeerId, reminder: Reminder): void {
    const node = this.#node
    if (node.lost === null && !this.#following.hasLost(reminder)) return
    const { term, index } = reminder
    if (node.lost === null) {
      node.lost = { leader: from, term, index }
      this.#follow(null)
    }
    node.outbox.send(from, { kind: MESSAGE.lost, term, index })
  }

  /** Sees to it that terms agree: takes over a newer one, tells who is behind, and ignores old answers. */
  #isOfThisTerm(from: PeerId, message: Message<E>): boolean {
    const node = this.#node
    const speaksAsLeader = isLeaders(message)
    if (message.term > node.term) {
      // A leader of a newer term, or a candidate that nobody here is loyal against, may be unknown here yet. Whoever else is must not disturb.
      if (!speaksAsLeader && message.kind !== MESSAGE.vote && !node.membership.has(from)) return false
      node.enter(message.term)
      this.#follow(speaksAsLeader ? from : null)
    }
    if (message.term === node.term) return true
    this.#tellNewerTerm(from, message)
    return false
  }

  /** Answers in kind, so that a deposed leader learns of it. */
  #tellNewerTerm(from: PeerId, message: Message<E>): void {
    const { outbox, term } = this.#node
    const none = 0 as LogIndex
    switch (message.kind) {
      case MESSAGE.append:
        outbox.send(from, {
          kind: MESSAGE.appendReply,
          term,
          accepted: false,
          index: message.previousIndex,
          hintIndex: none,
          hintTerm: 0 as Term,
        })
        return
      case MESSAGE.heartbeat:
        outbox.send(from, { kind: MESSAGE.heartbeatReply, term, round: 0 })
        return
      case MESSAGE.snapshot:
        outbox.send(from, { kind: MESSAGE.snapshotReply, term, installed: false, index: none })
        return
      case MESSAGE.vote:
        this.#election.refuse(from, { ...message, term })
        return
      case MESSAGE.readIndex:
        outbox.send(from, { kind: MESSAGE.readIndexReply, term, read: message.read, index: none })
        return
    }
  }

  /** In the own term. */
  #dispatch(from: PeerId, message: Message<E>): void {
    const node = this.#node
    switch (message.kind) {
      case MESSAGE.append:
        if (this.#hears(from)) this.#following.onAppend(from, message)
        return
      case MESSAGE.heartbeat:
        if (this.#hears(from)) this.#following.onHeartbeat(from, message)
        return
      case MESSAGE.snapshot:
        if (this.#hears(from)) this.#following.onSnapshot(from, message)
        return
      case MESSAGE.vote:
        this.#election.onVote(from, message)
        return
      case MESSAGE.voteReply:
        this.#election.onVoteReply(from, message)
        return
      case MESSAGE.appendReply:
        this.#leadership?.onAppendReply(from, message)
        return
      case MESSAGE.heartbeatReply:
        this.#leadership?.onHeartbeatReply(from, message)
        return
      case MESSAGE.snapshotReply:
        this.#leadership?.onSnapshotReply(from, message)
        return
      case MESSAGE.lost:
        this.#leadership?.onLost(from)
        return
      case MESSAGE.timeoutNow:
        if (node.role === 'follower' && node.leader === from) this.#election.takeOver()
        return
      case MESSAGE.readIndex:
        if (!node.membership.has(from)) return
        if (this.#leadership !== null) this.#leadership.reads.ask(from, message.read)
        else this.#refuseRead(from, message.read)
        return
      case MESSAGE.readIndexReply:
        if (node.leader === from) this.#requests.onReply(message)
        return
    }
  }

  #refuseRead(from: PeerId, read: number): void {
    const { outbox, term } = this.#node
    outbox.send(from, { kind: MESSAGE.readIndexReply, term, read, index: 0 as LogIndex })
  }

  /** The leader of this term speaks. False where somebody else is known to be it. */
  #hears(from: PeerId): boolean {
    const node = this.#node
    if (node.role === 'leader' || (node.leader !== null && node.leader !== from)) return false
    if (node.role === 'follower' && node.leader === from) this.#election.settle()
    else this.#follow(from)
    return true
  }

  #lead(supporters: readonly PeerId[]): void {
    const node = this.#node
    node.role = 'leader'
    node.leader = node.id
    this.#election.settle()
    this.#requests.leaderChanged()
    this.#leadership = new Leadership(node, supporters)
  }

  #follow(leader: PeerId | null): void {
    const node = this.#node
    node.role = 'follower'
    node.leader = leader
    this.#election.settle()
    this.#requests.leaderChanged()
    const reign = this.#leadership
    this.#leadership = null
    reign?.reads.drop()
  }
}

function isLeaders<E extends LogEntry>(message: Message<E>): message is Append<E> | Heartbeat | SnapshotOffer {
  const { kind } = message
  return kind === MESSAGE.append || kind === MESSAGE.heartbeat || kind === MESSAGE.snapshot
}
