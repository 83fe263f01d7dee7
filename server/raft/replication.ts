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

export class Replication<E extends LogEntry> {
  readonly #node: Node<E>
  readonly #cohort: Cohort<E>
  #fetches: Fetch[] = []
  #snapshots: PeerId[] = []
  /** Followers that stand at the same place are sent the same append. Good within one pump: nothing changes the log meanwhile. */
  #same: Append<E> | null = null

  constructor(node: Node<E>, cohort: Cohort<E>) {
    this.#node = node
    this.#cohort = cohort
  }

  /** Puts everything that may be sent now into the outbox. */
  pump(nowTick: number, round: number): void {
    for (const progress of this.#cohort.others) {
      if (!progress.linked) continue
      if (progress.heartbeatDue) this.#heartbeat(progress, round)
      if (progress.state === 'replicate') this.#stream(progress)
      else if (progress.state === 'probe' && nowTick >= progress.retryTick) this.#probe(progress)
    }
    this.#same = null
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
    progress.paused = false
    progress.nudge = progress.match < progress.next - 1
  }

  onSnapshotReply(progress: Progress, reply: SnapshotReply, nowTick: number): void {
    if (progress.state !== 'snapshot') return
    if (!reply.installed) this.snapshotFailed(progress, nowTick)
    // A reply to an earlier offer says nothing of this one.
    else if (reply.index >= progress.offered && reply.index <= this.#node.log.last) {
      progress.probe(logIndex(Math.max(progress.match, reply.index) + 1))
    }
  }

  snapshotFailed(progress: Progress, nowTick: number): void {
    if (progress.state !== 'snapshot') return
    progress.probe()
    progress.retryTick = nowTick + this.#node.limits.electionTicksMin
  }

  linkDown(progress: Progress): void {
    progress.linked = false
    // Whatever was on its way is lost.
    progress.probe()
  }

  linkUp(progress: Progress): void {
    progress.linked = true
    progress.paused = false
    progress.retryTick = 0
    progress.heartbeatDue = true
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

  #heartbeat(progress: Progress, round: number): void {
    const { outbox, term, log } = this.#node
    progress.heartbeatDue = false
    const commit = logIndex(Math.min(log.commit, progress.match))
    outbox.send(progress.peer, { kind: MESSAGE.heartbeat, term, commit, round })
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
  }

  #stream(progress: Progress): void {
    const { log } = this.#node
    while (progress.next <= log.last && progress.window.open && !progress.fetching) {
      if (log.termAt(logIndex(progress.next - 1)) === null) {
        this.#offerSnapshot(progress)
        return
      }
      if (progress.next < log.inMemoryFrom) this.#fetch(progress)
      else this.#append(progress, this.#entriesFrom(progress.next))
    }
    const toTell = Math.min(log.commit, progress.next - 1)
    if ((progress.nudge || progress.told < toTell) && log.termAt(logIndex(progress.next - 1)) !== null) {
      this.#send(progress, this.#appendOf(progress.next, []))
    }
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
    const { log, outbox, term: own } = this.#node
    progress.awaitSnapshot(log.applied)
    const lastTerm = log.termAt(log.applied) ?? term(0)
    outbox.send(progress.peer, { kind: MESSAGE.snapshot, term: own, index: log.applied, lastTerm })
    this.#snapshots.push(progress.peer)
  }

  #refused(progress: Progress, reply: AppendReply): void {
    const { log } = this.#node
    if (progress.state === 'replicate') {
      // Something got lost on the way. A refusal of what has since been acknowledged is an old one.
      if (reply.index > progress.match) progress.probe()
    } else if (progress.state === 'probe' && reply.index === progress.next - 1) {
      const hint = logIndex(Math.min(reply.hintIndex, log.last))
      // Of this log's entries up to there, the first whose term the follower may share.
      const agree = reply.hintTerm > 0 ? log.lastAtMost(hint, reply.hintTerm) : hint
      progress.probe(logIndex(Math.max(progress.match, Math.min(reply.index - 1, agree)) + 1))
    }
  }
}
