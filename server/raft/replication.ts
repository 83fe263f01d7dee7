/**
 * A leader's side of replication: what each follower is sent, and what its answers say. Sending is done in one place, when messages are
 * taken: so entries that were proposed together, and news of a commit, travel in one append.
 *
 * It must never send more than a follower's window holds, and never take an answer to an old question for one to the last.
 */
import { type LogIndex, logIndex, term } from '@leasehold/protocol'
import type { Cohort } from './cohort.js'
import type { Node } from './node.js'
import type { Progress } from './progress.js'
import {
  type Append,
  type AppendReply,
  type Fetch,
  type LogEntry,
  MESSAGE,
  type PeerId,
  type SnapshotReply,
} from './types.js'

const NO_TERM = term(0)

export class Replication<E extends LogEntry> {
  readonly #node: Node<E>
  readonly #cohort: Cohort<E>
  #fetches: Fetch[] = []
  #snapshots: PeerId[] = []
  #nowTick = 0
  #holdsNotices = false
  /** Followers that stand at the same place are sent the same append. Good within one pump: nothing changes the log meanwhile. */
  #same: Append<E> | null = null

  constructor(node: Node<E>, cohort: Cohort<E>) {
    this.#node = node
    this.#cohort = cohort
  }

  /** Puts everything that may be sent now into the outbox. */
  pump(nowTick: number, round: number, holdsNotices: boolean): void {
    this.#nowTick = nowTick
    this.#holdsNotices = holdsNotices
    for (const progress of this.#cohort.others) {
      if (!progress.linked || progress.state === 'lost') continue
      // First of all: it is to look before anything else makes it move.
      if (progress.reminderDue) this.#remind(progress)
      if (progress.heartbeatDue) this.#heartbeat(progress, round)
      if (progress.state === 'replicate') this.#stream(progress)
      else if (nowTick < progress.retryTick) continue
      else if (progress.state === 'probe') this.#probe(progress)
      else this.#remindOfSnapshot(progress)
    }
    this.#same = null
  }

  /** The first entries of the term are there: the first question to each follower carries them. */
  begin(): void {
    for (const progress of this.#cohort.others) progress.paused = false
  }

  takeFetches(): readonly Fetch[] {
    const out = this.#fetches
    if (out.length > 0) this.#fetches = []
    return out
  }

  takeSnapshots(): readonly PeerId[] {
    const out = this.#snapshots
    if (out.length > 0) this.#snapshots = []
    return out
  }

  onAppendReply(progress: Progress, reply: AppendReply): void {
    const { log } = this.#node
    if (!reply.accepted) {
      this.#refused(progress, reply)
      return
    }
    if (reply.index > log.last || reply.index < progress.match) return
    const news = reply.index > progress.match
    progress.match = reply.index
    progress.window.acknowledge(reply.index)
    if (progress.next <= reply.index) progress.next = logIndex(reply.index + 1)
    if (progress.state === 'probe' && (news || reply.index === progress.next - 1)) progress.replicate()
    else if (progress.state === 'snapshot' && log.termAt(reply.index) !== null) progress.replicate()
  }

  /** It is there. If it lacks something of which it has not said so, the next append shows. */
  onHeartbeatReply(progress: Progress): void {
    // An answer that came this soon overtook that to the last probe, which waits for a disk.
    if (this.#nowTick - progress.probedTick >= this.#node.limits.heartbeatTicks) progress.paused = false
    progress.nudge = progress.match < progress.next - 1
  }

  onSnapshotReply(progress: Progress, reply: SnapshotReply): void {
    if (progress.state === 'replicate') return
    if (!reply.installed) this.snapshotFailed(progress)
    // A reply to an earlier offer says nothing of this one. One that comes after the snapshot was given up is welcome.
    else if (reply.index >= progress.offered && reply.index <= this.#node.log.last) {
      progress.probe(logIndex(Math.max(progress.match, reply.index) + 1))
      progress.retryTick = 0
    }
  }

  snapshotFailed(progress: Progress): void {
    if (progress.state !== 'snapshot') return
    this.#startOver(progress)
    progress.retryTick = this.#nowTick + this.#node.limits.electionTicksMin
  }

  linkDown(progress: Progress): void {
    progress.linked = false
    progress.presentTick = Number.NEGATIVE_INFINITY
    // Whatever was on its way is lost.
    if (progress.state !== 'lost') this.#startOver(progress)
  }

  linkUp(progress: Progress): void {
    progress.linked = true
    progress.paused = false
    progress.retryTick = 0
    progress.heartbeatDue = true
    progress.reminderDue = progress.match > 0
  }

  fetched(progress: Progress, entries: readonly E[]): void {
    const { log } = this.#node
    if (!progress.fetching) return
    progress.fetching = false
    const fits = entries.every(({ index, term }, i) => index === progress.next + i && log.termAt(index) === term)
    if (progress.state !== 'replicate' || entries.length === 0 || !fits || !progress.window.open) return
    this.#append(progress, entries)
    this.#same = null
  }

  fetchFailed(progress: Progress): void {
    if (!progress.fetching) return
    progress.fetching = false
    if (progress.state === 'replicate') this.#offerSnapshot(progress)
  }

  /**
   * Of what it has acknowledged in this term. Only the follower itself can tell a directory that came back older from a refusal that is
   * older than the acknowledgement; and whenever this arrives, one that lost nothing holds the entry.
   */
  #remind(progress: Progress): void {
    const { outbox, term, log } = this.#node
    const { peer, match: index } = progress
    progress.reminderDue = false
    outbox.send(peer, { kind: MESSAGE.reminder, term, index, entryTerm: log.termAt(index) ?? NO_TERM })
  }

  #heartbeat(progress: Progress, round: number): void {
    const { outbox, term, log } = this.#node
    progress.heartbeatDue = false
    const commit = logIndex(Math.min(log.commit, progress.match))
    outbox.send(progress.peer, { kind: MESSAGE.heartbeat, term, commit, round })
    if (progress.told < commit) progress.told = commit
  }

  /** One append at a time; it carries entries where they are at hand, so that a guess that was right costs nothing. */
  #probe(progress: Progress): void {
    if (progress.paused) return
    const { log } = this.#node
    if (log.termAt(logIndex(progress.next - 1)) === null) {
      this.#offerSnapshot(progress)
      return
    }
    const atHand = progress.next <= log.last && progress.next >= log.inMemoryFrom
    const entries = atHand ? this.#entriesFrom(progress.next) : []
    this.#send(progress, this.#appendOf(progress.next, entries))
    progress.paused = true
    progress.probedTick = this.#nowTick
  }

  #stream(progress: Progress): void {
    const { log } = this.#node
    // Also with a full window: what was on its way may be lost, and what follows is gone from the log.
    if (log.termAt(logIndex(progress.next - 1)) === null) {
      this.#offerSnapshot(progress)
      return
    }
    while (progress.next <= log.last && progress.window.open && !progress.fetching) {
      if (progress.next < log.inMemoryFrom) this.#fetch(progress)
      else this.#append(progress, this.#entriesFrom(progress.next))
    }
    const toTell = Math.min(log.commit, progress.next - 1)
    if (progress.nudge || (progress.told < toTell && !this.#holdsNotices))
      this.#send(progress, this.#appendOf(progress.next, []))
  }

  #append(progress: Progress, entries: readonly E[]): void {
    const append = this.#appendOf(progress.next, entries)
    let bytes = 0
    for (let i = 0; i < entries.length; i++) bytes += entries[i]!.bytes
    progress.next = logIndex(progress.next + entries.length)
    progress.window.push(logIndex(progress.next - 1), bytes)
    this.#send(progress, append)
  }

  #send(progress: Progress, append: Append<E>): void {
    this.#node.outbox.send(progress.peer, append)
    progress.nudge = false
    progress.told = logIndex(Math.min(append.commit, append.previousIndex + append.entries.length))
  }

  #entriesFrom(next: LogIndex): readonly E[] {
    const { log, limits } = this.#node
    const same = this.#same
    if (same !== null && same.previousIndex === next - 1 && same.entries.length > 0) return same.entries
    return log.slice(next, limits.appendBytesMax, limits.appendEntriesMax)
  }

  #appendOf(next: LogIndex, entries: readonly E[]): Append<E> {
    const { term, log } = this.#node
    const previousIndex = logIndex(next - 1)
    const same = this.#same
    if (same !== null && same.previousIndex === previousIndex && same.entries.length === entries.length) return same
    const previousTerm = log.termAt(previousIndex)!
    this.#same = { kind: MESSAGE.append, term, previousIndex, previousTerm, commit: log.commit, entries }
    return this.#same
  }

  #fetch(progress: Progress): void {
    const { log, limits } = this.#node
    const end = Math.min(log.inMemoryFrom - 1, progress.next + limits.appendEntriesMax - 1)
    progress.fetching = true
    this.#fetches.push({
      to: progress.peer,
      from: progress.next,
      through: logIndex(end),
      bytesMax: limits.appendBytesMax,
    })
  }

  #offerSnapshot(progress: Progress): void {
    const { log } = this.#node
    progress.awaitSnapshot(log.applied, log.termAt(log.applied)!)
    this.#remindOfSnapshot(progress)
    this.#snapshots.push(progress.peer)
  }

  /** Once more from time to time: the answer may be lost. Who has all that was offered says so. */
  #remindOfSnapshot(progress: Progress): void {
    const { outbox, term, limits } = this.#node
    const { peer, offered: index, offeredTerm: lastTerm } = progress
    outbox.send(peer, { kind: MESSAGE.snapshot, term, index, lastTerm })
    progress.retryTick = this.#nowTick + limits.electionTicksMin
  }

  /** From what it is known to have; of one that has said nothing yet, it is guessed that it has everything. */
  #startOver(progress: Progress): void {
    progress.probe(logIndex((progress.match > 0 ? progress.match : this.#node.log.last) + 1))
  }

  #refused(progress: Progress, reply: AppendReply): void {
    const { log } = this.#node
    // It has acknowledged that: either this is older, or its directory is.
    if (progress.match > 0 && reply.index <= progress.match) progress.reminderDue = true
    if (progress.state === 'replicate') {
      // Something got lost on the way. A refusal of what has since been acknowledged is an old one.
      if (reply.index > progress.match) this.#startOver(progress)
    } else if (progress.state === 'probe' && reply.index === progress.next - 1) {
      const hint = logIndex(Math.min(reply.hintIndex, log.last))
      // Of this log's entries up to there, the first whose term the follower may share.
      const agree = reply.hintTerm > 0 ? log.lastAtMost(hint, reply.hintTerm) : hint
      progress.probe(logIndex(Math.max(progress.match, Math.min(reply.index - 1, agree)) + 1))
    }
  }
}
