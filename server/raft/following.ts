/**
 * A follower's side of replication: it takes what its leader sends where it fits, says where it does not, and acknowledges what
 * is on its disk. (Raft, figure 2.)
 *
 * It must never acknowledge what is not durable, and never commit beyond what it knows to be the leader's log.
 */
import { type LogIndex, logIndex, type Term, term } from '@leasehold/protocol'
import type { Node } from './node.js'
import {
  type Append,
  type Heartbeat,
  type LogEntry,
  MESSAGE,
  type PeerId,
  type Reminder,
  type SnapshotOffer,
} from './types.js'

const NOTHING = logIndex(0)

export class Following<E extends LogEntry> {
  readonly #node: Node<E>
  /** Up to here this log is the log of the leader of `#term`. */
  #agreed: LogIndex = NOTHING
  #term: Term

  constructor(node: Node<E>) {
    this.#node = node
    this.#term = node.term
  }

  onAppend(from: PeerId, append: Append<E>): void {
    const { log, outbox } = this.#node
    const { entries } = append
    const end = logIndex(append.previousIndex + entries.length)
    // What is committed is the same in every log: only what comes after it needs a look.
    const behind = append.previousIndex < log.commit
    const at = behind ? logIndex(Math.min(log.commit, end)) : append.previousIndex
    const of = at === append.previousIndex ? append.previousTerm : entries[at - append.previousIndex - 1]!.term
    const known = log.termAt(at)
    if (behind && known !== null && known !== of) return // a leader without what is committed: there is none
    if (!behind && known !== of) {
      this.#refuse(from, append)
      return
    }
    if (!this.#take(entries, at - append.previousIndex)) return
    const quiet = entries.length === 0 && this.#isNotice(append)
    this.#agree(end)
    this.#commit(append.commit)
    if (!quiet) {
      outbox.promise(from, {
        kind: MESSAGE.appendReply,
        term: this.#node.term,
        accepted: true,
        index: end,
        hintIndex: NOTHING,
        hintTerm: term(0),
      })
    }
  }

  onHeartbeat(from: PeerId, heartbeat: Heartbeat): void {
    this.#commit(heartbeat.commit)
    const { outbox, term } = this.#node
    outbox.send(from, { kind: MESSAGE.heartbeatReply, term, round: heartbeat.round })
  }

  /**
   * A snapshot is on its way, unless all of it is here already. What could be acknowledged no more when a link broke is here without being
   * known to be committed: a leader that has forgotten those entries would offer them, and this member would refuse them, for ever.
   */
  onSnapshot(from: PeerId, offer: SnapshotOffer): void {
    const { log, outbox, term } = this.#node
    if (log.termAt(offer.index) === offer.lastTerm) {
      this.#agree(offer.index)
      this.#commit(offer.index)
    }
    if (log.commit < offer.index) return
    outbox.promise(from, { kind: MESSAGE.snapshotReply, term, installed: true, index: log.commit })
  }

  /**
   * Whether this directory came back older than what it has acknowledged. An acknowledgement leaves after the sync of its term and its
   * entries; an older term is nowhere on a disk afterwards, and in this one the leader's log replaces none of them. In a later term another
   * leader may have. So however late a reminder comes, it accuses nobody who lost nothing.
   */
  hasLost({ term, index, entryTerm }: Reminder): boolean {
    const { term: own, log } = this.#node
    if (term !== own) return term > own
    const known = log.termAt(index)
    return index > log.last || (entryTerm > 0 && known !== null && known !== entryTerm)
  }

  /** The log continues after a snapshot; what is committed is the same in every leader's log. */
  restarted(): void {
    this.#agreed = this.#node.log.commit
    this.#term = this.#node.term
  }

  /** Takes entries from the `skip`-th on. False where they would take back what is committed. */
  #take(entries: readonly E[], skip: number): boolean {
    const { log } = this.#node
    let i = skip
    // What is here already stays, also if this message is older than what came after it.
    while (i < entries.length && log.termAt(entries[i]!.index) === entries[i]!.term) i++
    if (i === entries.length) return true
    const { index } = entries[i]!
    if (index <= log.commit) return false
    if (index <= log.last) log.cut(index)
    for (; i < entries.length; i++) log.append(entries[i]!)
    return true
  }

  /** Only moves the commit on, for one who has acknowledged all in front of it: that needs no answer. */
  #isNotice({ previousIndex, commit }: Append<E>): boolean {
    const { log } = this.#node
    const acknowledged = this.#agreedNow >= previousIndex && log.synced >= previousIndex
    return acknowledged && Math.min(commit, previousIndex) > log.commit
  }

  #refuse(from: PeerId, append: Append<E>): void {
    const { log, outbox, term: own } = this.#node
    // Skips a whole term that cannot agree at a time, on both sides; so a leader needs a probe per term, not per entry.
    const hintIndex = log.lastAtMost(logIndex(Math.min(append.previousIndex, log.last)), append.previousTerm)
    outbox.send(from, {
      kind: MESSAGE.appendReply,
      term: own,
      accepted: false,
      index: append.previousIndex,
      hintIndex: logIndex(Math.max(0, hintIndex)),
      hintTerm: log.termAt(hintIndex) ?? term(0),
    })
  }

  get #agreedNow(): LogIndex {
    return this.#term === this.#node.term ? this.#agreed : NOTHING
  }

  #agree(index: LogIndex): void {
    this.#agreed = logIndex(Math.max(this.#agreedNow, index))
    this.#term = this.#node.term
  }

  #commit(index: LogIndex): void {
    const known = logIndex(Math.min(index, this.#agreedNow))
    if (known > this.#node.log.commit) this.#node.log.commitTo(known)
  }
}
