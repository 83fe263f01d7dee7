/**
 * One reign of a leader: from the election that it won to its end. It proposes, decides what is committed, watches that a
 * quorum still answers, and is thrown away as a whole.
 *
 * It must never commit an entry of an earlier term by counting: only what commits after it in its own term commits it (Raft 5.4.2).
 */
import { type LogIndex, logIndex } from '@leasehold/protocol'
import { Cohort } from './cohort.js'
import type { Node } from './node.js'
import type { Progress } from './progress.js'
import { ReadRounds } from './reads.js'
import { Replication } from './replication.js'
import { Transfer } from './transfer.js'
import {
  type AppendReply,
  type HeartbeatReply,
  type LogEntry,
  MESSAGE,
  type PeerId,
  type PeerProgress,
  type SnapshotReply,
} from './types.js'

const matchOf = (progress: Progress) => progress.match
const heardOf = (progress: Progress) => progress.heardTick
const presentOf = (progress: Progress) => progress.presentTick

export class Leadership<E extends LogEntry> {
  readonly #node: Node<E>
  readonly #cohort: Cohort<E>
  readonly #replication: Replication<E>
  readonly #transfer: Transfer<E>
  readonly reads: ReadRounds<E>
  /** The end of the log when it was elected; entries after it are its own. */
  readonly #electedAt: LogIndex
  #nowTick = 0
  /** Voters that were named at this tick need not have answered before it. */
  #graceTick = 0
  /** Of own entries that are not committed. */
  #uncommittedBytes = 0

  constructor(node: Node<E>, supporters: readonly PeerId[]) {
    this.#node = node
    this.#electedAt = node.log.last
    this.#cohort = new Cohort(node)
    this.#replication = new Replication(node, this.#cohort)
    this.#transfer = new Transfer(node, this.#cohort)
    this.reads = new ReadRounds(node, this.#cohort)
    for (const peer of supporters) {
      const progress = this.#cohort.get(peer)
      if (progress?.linked) progress.heard(0)
    }
  }

  get quorumFresh(): boolean {
    return this.#nowTick - this.#cohort.reached(presentOf) < this.#node.limits.electionTicksMin
  }
  get roomBytes(): number {
    return this.#transfer.underWay ? 0 : this.#node.limits.uncommittedBytesMax - this.#uncommittedBytes
  }
  get mayReconfigure(): boolean {
    const { log } = this.#node
    return !log.reconfigures && this.#ownCommitted && log.applied >= this.#electedAt
  }
  get #ownCommitted(): boolean {
    return this.#node.log.commit > this.#electedAt
  }
  get progress(): readonly PeerProgress[] {
    return this.#cohort.others.map((progress) => {
      const { peer, state, match, next, presentTick } = progress
      const active = this.#nowTick - presentTick < this.#node.limits.electionTicksMin
      return { peer, state, match, next, active }
    })
  }

  /** False: no quorum has answered within an election timeout; the reign must end. */
  tick(): boolean {
    const { heartbeatTicks, electionTicksMin } = this.#node.limits
    this.#nowTick++
    if (this.#nowTick % heartbeatTicks === 0) for (const progress of this.#cohort.others) progress.heartbeatDue = true
    this.#transfer.tick(this.#nowTick)
    return this.#nowTick - Math.max(this.#cohort.reached(heardOf), this.#graceTick) < electionTicksMin
  }

  propose(entries: readonly E[]): void {
    const { log, term } = this.#node
    let reconfigurations = this.mayReconfigure ? 0 : 1
    entries.forEach((entry, i) => {
      if (entry.index !== log.last + 1 + i || entry.term !== term)
        throw new Error('entries continue the log in the own term')
      if (entry.reconfigures && ++reconfigurations > 1) throw new Error('one change of the configuration at a time')
    })
    if (log.last === this.#electedAt) this.#replication.begin()
    for (const entry of entries) {
      log.append(entry)
      this.#uncommittedBytes += entry.bytes
    }
  }

  /** A write is durable. */
  written(): void {
    this.#cohort.self.match = this.#node.log.synced
    this.#commit()
  }

  /** Puts everything that may be sent now into the outbox. */
  pump(holdsNotices: boolean): void {
    this.reads.pump(this.#ownCommitted)
    this.#replication.pump(this.#nowTick, this.reads.round, holdsNotices)
  }

  takeFetches() {
    return this.#replication.takeFetches()
  }
  takeSnapshots() {
    return this.#replication.takeSnapshots()
  }

  onAppendReply(from: PeerId, reply: AppendReply): void {
    const progress = this.#heard(from)
    if (progress === undefined) return
    this.#replication.onAppendReply(progress, reply)
    this.#commit()
    this.#transfer.proceed()
  }

  onHeartbeatReply(from: PeerId, reply: HeartbeatReply): void {
    const progress = this.#heard(from)
    if (progress === undefined) return
    this.#replication.onHeartbeatReply(progress)
    this.reads.confirmed(progress, reply.round)
  }

  onSnapshotReply(from: PeerId, reply: SnapshotReply): void {
    const progress = this.#heard(from)
    if (progress !== undefined) this.#replication.onSnapshotReply(progress, reply)
  }

  /** Its own word: whatever it has acknowledged, in this term or before, counts no more. */
  onLost(from: PeerId): void {
    this.#cohort.get(from)?.lose()
    this.#transfer.lost(from)
  }

  snapshotFailed(peer: PeerId): void {
    const progress = this.#cohort.get(peer)
    if (progress !== undefined) this.#replication.snapshotFailed(progress)
  }

  fetched(peer: PeerId, entries: readonly E[]): void {
    const progress = this.#cohort.get(peer)
    if (progress !== undefined) this.#replication.fetched(progress, entries)
  }

  fetchFailed(peer: PeerId): void {
    const progress = this.#cohort.get(peer)
    if (progress !== undefined) this.#replication.fetchFailed(progress)
  }

  linkDown(peer: PeerId): void {
    const progress = this.#cohort.get(peer)
    if (progress !== undefined) this.#replication.linkDown(progress)
    this.#transfer.lost(peer)
  }

  linkUp(peer: PeerId): void {
    const progress = this.#cohort.get(peer)
    if (progress !== undefined) this.#replication.linkUp(progress)
  }

  reconfigured(): void {
    this.#graceTick = this.#nowTick
    this.#cohort.reconfigure()
    this.#transfer.reconfigured()
    this.#commit()
    this.reads.settle()
  }

  transfer(to: PeerId): boolean {
    return this.#transfer.begin(to, this.#nowTick)
  }

  /** It is no longer one of those who may lead. What it knows to be committed is told before it goes, and somebody else is asked to lead. */
  depart(): void {
    const { outbox, membership, log, term } = this.#node
    this.pump(false)
    const heir = this.#cohort.others.find(({ peer, linked, match }) => {
      return linked && match === log.last && membership.stays(peer)
    })
    if (heir !== undefined) outbox.send(heir.peer, { kind: MESSAGE.timeoutNow, term })
  }

  #heard(from: PeerId): Progress | undefined {
    const progress = this.#cohort.get(from)
    if (progress === undefined || progress.state === 'lost') return undefined
    progress.heard(this.#nowTick)
    return progress
  }

  #commit(): void {
    const { log, term } = this.#node
    const index = logIndex(this.#cohort.reached(matchOf))
    if (index <= log.commit || log.termAt(index) !== term) return
    for (let i = Math.max(log.commit, this.#electedAt) + 1; i <= index; i++) {
      this.#uncommittedBytes -= log.bytesOf(logIndex(i))
    }
    log.commitTo(index)
  }
}
