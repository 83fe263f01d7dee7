/**
 * The log that Raft keeps: drives the pure core over the store, the transport and the clock. After every input it pumps: messages leave at
 * once, one write at a time goes to the store, and what is committed is applied last, so that disk, links and processor overlap.
 *
 * It must never let a vote or an acknowledgement leave before the sync of what it promises, and never hand its follower an entry
 * that is not committed and synced here.
 */
import {
  type ClusterMs,
  type Configuration,
  type LogIndex,
  logIndex,
  type PeerId,
  ProtocolError,
  peerIdOf,
} from '@leasehold/protocol'
import type { Clock, Random, Telemetry, Transport } from '../ports/index.js'
import type { Raft, RaftLimits, Write } from '../raft/index.js'
import type { Recovered, SnapshotHead, Store } from '../storage/index.js'
import { Behind } from './behind.js'
import { Breath } from './breath.js'
import { Fetching } from './fetching.js'
import { Flushes } from './flushes.js'
import type { Forward } from './forwards.js'
import { REPLICA_LIMITS } from './limits.js'
import { Links } from './links.js'
import type { Draft, LogFollower, LogStatus, ReplicatedLog } from './log.js'
import { commandsOf, entered, type ReplicaEntry, spent } from './logentry.js'
import { Notices } from './notices.js'
import { coreOf, FORMING, formingEntry, reconfigurationsAfter } from './opening.js'
import { firstRead, Reads } from './reads.js'
import { Reign } from './reign.js'
import { Resigning } from './resigning.js'
import { Snapshots } from './snapshots.js'
import { areMajority, beginning, statusOf, successorOf } from './standing.js'

export interface RaftLogOptions {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: Telemetry
  /** Null where there are no other members, and never will be. */
  readonly transport: Transport | null
  /** Of a directory that joins a cluster, until a configuration names it: where the members are. Before any configuration it decides nothing. */
  readonly introduced?: Readonly<Record<PeerId, string>>
  readonly limits?: Partial<RaftLimits>
  /** Something that cannot be went wrong here: the process must end. */
  readonly fatal: (error: Error) => void
}

export class RaftLog implements ReplicatedLog {
  readonly #options: RaftLogOptions
  readonly #store: Store
  readonly #self: PeerId
  readonly #links: Links
  readonly #reads: Reads
  readonly #fetching: Fetching
  readonly #flushes: Flushes
  /** Null where nobody else is to hear. */
  readonly #notices: Notices | null
  readonly #reign: Reign
  readonly #resigning: Resigning
  readonly #behind: Behind
  readonly #breath: Breath
  #snapshots: Snapshots | null = null
  #core!: Raft<ReplicaEntry>
  #follower!: LogFollower
  #state: 'new' | 'starting' | 'live' | 'closed' = 'new'
  #appliedIndex: LogIndex
  /** The end of the log as far as writes were taken from the core, or drafts were appended; and the time there. */
  #lastIndex: LogIndex
  #lastTimeMs: ClusterMs
  #pumping = false
  #again = false
  #flushWanted = false
  /** Appended, and not yet in a flush. */
  #unwritten = false
  /** A flush has ended, and the follower does not know yet. */
  #roomDue = false
  /** A snapshot is being installed: nothing is written, acknowledged or applied. */
  #installing = false

  constructor(options: RaftLogOptions) {
    this.#options = options
    this.#store = options.store
    const { identity, checkpointIndex, lastIndex, lastTimeMs } = options.store.recovered
    this.#self = peerIdOf(identity.memberId, identity.directoryId)
    this.#appliedIndex = checkpointIndex
    this.#lastIndex = lastIndex
    this.#lastTimeMs = lastTimeMs
    this.#links = new Links(options, {
      step: (from, message) => this.#input(() => this.#core.step(from, message)),
      forwarded: (from, message) => this.#input(() => this.#follower.forwarded(from, message)),
      bulk: (from, bytes) => this.#snapshots?.message(from, bytes),
      bulkRoom: (peer) => this.#snapshots?.room(peer),
      changed: (peer, change) => this.#input(() => this.#linked(peer, change)),
      outdated: this.#fail,
    })
    this.#reads = new Reads({
      nowMs: () => options.clock.monotonicMs(),
      from: firstRead(options.random),
      ask: (read) => this.#input(() => this.#core.readIndex(read)),
      applied: () => this.#appliedIndex,
    })
    this.#reign = new Reign(options.telemetry, {
      lead: (term) => this.#follower.lead(term, this.#lastTimeMs),
      follow: (term, leader) => {
        this.#snapshots?.follow()
        this.#follower.follow(term, leader)
      },
    })
    this.#notices = options.transport && new Notices(options.clock, identity.memberId, () => this.#input(() => {}))
    this.#flushes = new Flushes(options, (write) => this.#flushed(write))
    this.#behind = new Behind(options, this.#fail)
    this.#breath = new Breath(options.clock, () => this.#input(() => {}))
    this.#resigning = new Resigning(options, {
      status: () => (this.#state === 'live' ? this.#core.status : null),
      handOver: () => this.transferLeadership(null),
      fatal: this.#fail,
    })
    this.#fetching = new Fetching({
      ...{ store: options.store, self: this.#self },
      fetched: (to, entries) => this.#input(() => this.#core.fetched(to, entries)),
      failed: (to) => this.#input(() => this.#core.fetchFailed(to)),
      broken: (error) => this.#resigning.broken(error),
      fatal: this.#fail,
    })
  }

  get status(): LogStatus {
    const core = this.#state === 'live' ? this.#core.status : null
    return statusOf(core, this.#store.recovered, this.#configuration.addresses)
  }

  get leading(): boolean {
    return this.#reign.leading && this.#state === 'live'
  }

  get quorumFresh(): boolean {
    return this.leading && this.#core.quorumFresh
  }

  get mayReconfigure(): boolean {
    return this.leading && this.#core.mayReconfigure
  }

  get ready(): boolean {
    return this.leading && !this.#store.flushing && !this.#unwritten && this.#core.roomBytes > 0
  }

  async start(follower: LogFollower): Promise<void> {
    if (this.#state !== 'new') throw new Error('a log is started once')
    this.#state = 'starting'
    this.#follower = follower
    const { lastIndex } = this.#store.recovered
    if (this.#appliedIndex < FORMING && lastIndex >= FORMING) await this.#form()
    const reconfigurations = await reconfigurationsAfter(this.#store, this.#appliedIndex, lastIndex)
    if (this.#isClosed()) return
    const configuration = this.#configuration
    const opened = { ...this.#options, configuration, applied: this.#appliedIndex, reconfigurations }
    this.#core = coreOf(this.#store.recovered, opened)
    this.#state = 'live'
    this.#snapshots = this.#snapshotsOf(follower)
    await this.#links.start()
    this.#links.keep(this.#self, this.#configuration)
    if (areMajority(configuration, (peer) => peer === this.#self)) this.#input(() => this.#core.campaign())
  }

  tick(): void {
    if (this.#state !== 'live') return
    this.#reads.tick()
    this.#snapshots?.tick()
    this.#input(() => this.#core.tick())
    this.#behind.tick(this.#core.status)
    this.#resigning.tick()
  }

  append(drafts: readonly Draft[]): LogIndex {
    if (!this.leading) throw new Error('only a leader appends')
    const first = logIndex(this.#lastIndex + 1)
    const entries = entered(drafts, this.#reign.term, first, this.#lastTimeMs)
    this.#lastIndex = logIndex(this.#lastIndex + entries.length)
    this.#lastTimeMs = entries.at(-1)?.timeMs ?? this.#lastTimeMs
    this.#unwritten = true
    this.#input(() => this.#core.propose(entries))
    return first
  }

  flush(): void {
    this.#flushWanted = true
    this.#input(() => {})
  }

  send(to: PeerId, message: Forward): boolean {
    return this.#links.forward(to, message)
  }

  readBarrier(): Promise<void> {
    if (this.#state !== 'live') return Promise.reject(new ProtocolError('NO_QUORUM', 'this member does not serve'))
    return this.#reads.barrier()
  }

  trim(through: LogIndex): void {
    const first = logIndex(through + 1)
    // What follows a snapshot that is being handed over stays for its receiver.
    const begin = this.#store.stageTrimLog(first)
    this.#input(() => this.#core.trimmed(begin))
  }

  transferLeadership(to: PeerId | null, able: (peer: PeerId) => boolean = () => true): boolean {
    const target = this.leading ? (to ?? successorOf(this.#core.status, able)) : null
    if (target === null) return false
    let done = false
    this.#input(() => {
      done = this.#core.transferLeadership(target)
    })
    return done
  }

  /** Waits for the flush under way and its outcome. Safe to call twice. */
  async close(): Promise<void> {
    if (this.#state !== 'closed') await this.#flushes.end()
    this.#state = 'closed'
    this.#fetching.close()
    this.#notices?.close()
    this.#snapshots?.close()
    this.#reads.close()
    await this.#links.close()
  }

  /** Applies the entry that formed the cluster: whoever starts must know its configuration first. */
  async #form(): Promise<void> {
    const entry = await formingEntry(this.#store)
    this.#appliedIndex = entry.index
    this.#follower.apply(entry)
  }

  get #configuration(): Configuration {
    return this.#follower?.configuration ?? beginning(this.#self, this.#options.introduced)
  }

  readonly #isClosed = (): boolean => this.#state === 'closed'

  /** Whatever throws in here has broken an invariant: better no answer than a wrong one. */
  #input(step: () => void): void {
    if (this.#state !== 'live') return
    try {
      step()
      this.#pump()
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
    }
  }

  readonly #fail = (error: Error): void => {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#options.fatal(error)
  }

  #pump(): void {
    this.#again = true
    if (this.#pumping) return
    this.#pumping = true
    try {
      while (this.#again && this.#state === 'live') {
        this.#again = false
        this.#core.holdsNotices = this.#notices?.held ?? false
        this.#links.speakFrom(this.#follower.format)
        this.#links.messages(this.#core.takeMessages())
        this.#startFlush()
        this.#reign.notice(this.#core.status, this.#lastIndex === this.#core.status.lastIndex)
        if (this.#again) continue
        this.#applyCommitted()
        this.#giveRoom()
        this.#fetching.start(this.#core.takeFetches())
        this.#snapshots?.start(this.#core.takeSnapshots())
        this.#reads.answered(this.#core.takeReads())
      }
    } finally {
      this.#pumping = false
    }
  }

  #startFlush(): void {
    if (this.#flushes.busy || this.#installing) return
    const write = this.#core.takeWrite()
    if (write === null && !this.#flushWanted) return
    this.#follower.flushing()
    this.#flushWanted = this.#unwritten = false
    if (write !== null) this.#stage(write)
    // Where nothing is staged, all that these replies speak of is durable already.
    if (this.#store.staged) this.#flushes.start(write)
    else if (write !== null) this.#written(write)
  }

  #stage({ entries, hardState }: Write<ReplicaEntry>): void {
    const last = entries.at(-1)
    if (hardState !== null) this.#store.stageHardState(hardState)
    if (last === undefined) return
    this.#store.stageEntries(entries)
    this.#lastIndex = last.index
    this.#lastTimeMs = last.timeMs
  }

  #flushed(write: Write<ReplicaEntry> | null): void {
    this.#input(() => {
      if (write !== null) this.#written(write)
      this.#follower.flushed()
      // The next batch starts its way to the disk before what is committed is applied; but a few commands are answered sooner.
      this.#roomDue = true
      if (commandsOf(write?.entries ?? []) > REPLICA_LIMITS.promptCommands) this.#giveRoom()
    })
  }

  #giveRoom(): void {
    if (!this.#roomDue) return
    this.#roomDue = false
    if (this.ready) this.#follower.room()
  }

  #written(write: Write<ReplicaEntry>): void {
    this.#core.written()
    this.#links.messages(write.replies)
    this.#again = true
  }

  /** A share at a time: a member that catches up must not be deaf meanwhile. */
  #applyCommitted(): void {
    if (this.#installing || (this.#breath.resting && !this.leading)) return
    const startedMs = this.#options.clock.monotonicMs()
    const entries = this.#core.takeCommitted(REPLICA_LIMITS.applyBytes)
    if (entries.length === 0) return
    this.#notices?.committed(entries)
    for (const entry of entries) {
      if (this.#state !== 'live') return
      this.#follower.apply(entry)
      this.#appliedIndex = entry.index
      if (entry.reconfigures) {
        this.#core.reconfigured(this.#configuration)
        // Those who go hear of it before their links end.
        this.#links.messages(this.#core.takeMessages())
        this.#links.keep(this.#self, this.#configuration)
      }
      spent(entry)
    }
    this.#core.applied(this.#appliedIndex)
    this.#reads.applied()
    const { backlog } = this.#core
    if (backlog === 0) this.#again = true
    else if (this.leading || backlog < REPLICA_LIMITS.behindEntries) this.#breath.pause()
    else this.#breath.rest(this.#options.clock.monotonicMs() - startedMs)
  }

  #linked(peer: PeerId, change: 'up' | 'down' | 'room'): void {
    if (change === 'up') this.#core.linkUp(peer)
    if (change === 'down') {
      this.#core.linkDown(peer)
      this.#snapshots?.linkDown(peer)
    }
    this.#follower.linked(peer, change)
  }

  #snapshotsOf(follower: LogFollower): Snapshots {
    const { store, clock, telemetry } = this.#options
    return new Snapshots({
      ...{ store, clock, telemetry, follower, links: this.#links },
      checkpointed: () =>
        this.#flushes.carrying(() => {
          this.#follower.checkpoint()
          this.flush()
        }),
      needed: ({ index, term }) => this.#state === 'live' && this.#core.needsSnapshot(index, term),
      paused: async () => {
        this.#installing = true
        await this.#flushes.end()
      },
      resumed: (installed, head) => this.#resumed(installed, head),
      failed: (to) => this.#input(() => this.#core.snapshotFailed(to)),
      broken: (error) => this.#resigning.broken(error),
    })
  }

  #resumed(installed: Recovered | null, { index, term }: SnapshotHead): void {
    this.#installing = false
    this.#input(() => {
      this.#follower.installed(installed)
      if (installed === null) return
      this.#appliedIndex = this.#lastIndex = index
      this.#lastTimeMs = installed.lastTimeMs
      this.#core.restored(index, term, this.#configuration)
      this.#links.keep(this.#self, this.#configuration)
      this.#reads.applied()
    })
  }
}
