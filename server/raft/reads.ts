/**
 * Reads without a log entry (read-index, Ongaro's thesis 6.4). The leader notes its commit index, asks a quorum in a round of heartbeats
 * whether it still leads, and only then answers. All reads that come while a round is under way share the next one.
 *
 * It must never answer before an entry of its own term is committed (until then it does not know what is), nor without a
 * round that began after the read.
 */
import { logIndex } from '@leasehold/protocol'
import type { Cohort } from './cohort.js'
import type { Node } from './node.js'
import type { Progress } from './progress.js'
import { type LogEntry, MESSAGE, type PeerId, type ReadIndexReply } from './types.js'

const REFUSED = logIndex(0)
const roundOf = (progress: Progress) => progress.round

interface Asked {
  /** Null: this peer itself. */
  readonly from: PeerId | null
  readonly read: number
}

/** A leader's part. Lives for one reign. */
export class ReadRounds<E extends LogEntry> {
  readonly #node: Node<E>
  readonly #cohort: Cohort<E>
  /** Wait for the next round. */
  #gathering: Asked[] = []
  /** Wait for the round under way. */
  #waiting: Asked[] = []
  #index = REFUSED
  #round = 0

  constructor(node: Node<E>, cohort: Cohort<E>) {
    this.#node = node
    this.#cohort = cohort
  }

  /** To be carried by heartbeats: the round under way, or 0. */
  get round(): number {
    return this.#waiting.length > 0 ? this.#round : 0
  }

  ask(from: PeerId | null, read: number): void {
    if (this.#gathering.length < this.#node.limits.readsMax) this.#gathering.push({ from, read })
    else this.#answer({ from, read }, REFUSED)
  }

  /** Starts the next round where there is one to start; answers at once where this peer is a quorum. */
  pump(ownCommitted: boolean): void {
    if (!ownCommitted || this.#gathering.length === 0 || this.#waiting.length > 0) return
    this.#waiting = this.#gathering
    this.#gathering = []
    this.#index = this.#node.log.commit
    this.#round++
    for (const progress of this.#cohort.others) progress.heartbeatDue = true
    this.settle()
  }

  confirmed(progress: Progress, round: number): void {
    if (round > progress.round && round <= this.#round) progress.round = round
    this.settle()
  }

  /** Answers the round under way if a quorum has confirmed it. */
  settle(): void {
    if (this.#waiting.length === 0 || this.#cohort.reached(roundOf) < this.#round) return
    for (const asked of this.#waiting) this.#answer(asked, this.#index)
    this.#waiting = []
  }

  /** The reign is over: nobody is answered any more. */
  drop(): void {
    for (const asked of [...this.#waiting, ...this.#gathering]) this.#answer(asked, REFUSED)
    this.#waiting = []
    this.#gathering = []
  }

  #answer({ from, read }: Asked, index: typeof REFUSED): void {
    const { reads, outbox, term } = this.#node
    if (from === null) {
      reads.push({ read, index })
      return
    }
    outbox.send(from, { kind: MESSAGE.readIndexReply, term, read, index })
    // It may not know yet that it has all that its reader must see.
    const progress = this.#cohort.get(from)
    if (progress !== undefined && progress.told < index) progress.nudge = true
  }
}

/** A follower's part: it asks its leader. */
export class ReadRequests<E extends LogEntry> {
  readonly #node: Node<E>
  /** Not answered yet, in order. */
  #asked: number[] = []
  /** Who was asked, in which term. */
  #leader: PeerId | null = null
  #term = 0

  constructor(node: Node<E>) {
    this.#node = node
  }

  ask(read: number): void {
    const { leader, reads, limits, outbox, term } = this.#node
    if (leader === null || this.#asked.length >= limits.readsMax) {
      reads.push({ read, index: REFUSED })
      return
    }
    this.#asked.push(read)
    this.#leader = leader
    this.#term = term
    outbox.send(leader, { kind: MESSAGE.readIndex, term, read })
  }

  onReply(reply: ReadIndexReply): void {
    if (!this.#asked.includes(reply.read)) return
    if (reply.index === REFUSED) {
      this.#asked = this.#asked.filter((read) => read !== reply.read)
      this.#node.reads.push({ read: reply.read, index: REFUSED })
      return
    }
    // What is confirmed for a later read was confirmed after an earlier one, whose own answer may be lost.
    let count = 0
    while (count < this.#asked.length && this.#asked[count]! <= reply.read) count++
    for (const read of this.#asked.splice(0, count)) this.#node.reads.push({ read, index: reply.index })
  }

  /** Whoever was asked no longer leads as far as this peer knows, or leads anew: its answers may never come. */
  leaderChanged(): void {
    const { leader, term, reads } = this.#node
    if (this.#asked.length === 0 || (this.#leader === leader && this.#term === term)) return
    for (const read of this.#asked) reads.push({ read, index: REFUSED })
    this.#asked = []
  }
}
