/**
 * One member's replica as the rooms above see it: its states from starting to closed, reads, ticks and upkeep around the
 * pipeline. It must be closable at any moment, twice, and in bounded time.
 */
import {
  type ClientCommand,
  type Configuration,
  INTERNAL_OP,
  type LeaseView,
  memberOf,
  OP,
  type PeerId,
  peerIdOf,
  QUOTA_FORMAT,
  type QuotaView,
  type Run,
  type TabReport,
  type Want,
} from '@leasehold/protocol'
import type { MemberView, TabView } from '../machine/index.js'
import type { Clock, Telemetry } from '../ports/index.js'
import type { EventPage, EventQuery, Headroom, Store } from '../storage/index.js'
import type { DrawnListener, ToldListener } from './draws.js'
import type { RevokedListener } from './feed.js'
import { FORWARD } from './forwards.js'
import { DISK_LOW, grows } from './growth.js'
import { REPLICA_LIMITS } from './limits.js'
import type { ReplicatedLog } from './log.js'
import type { MembershipChange } from './membership.js'
import type { ReplicaOptions } from './options.js'
import { Pipeline } from './pipeline.js'
import { ReplaceableMachine } from './replaceable.js'
import type { MemberStatus, Recipient, Replica, Subscriber } from './replica.js'
import { Retention } from './retention.js'
import type { LeasePage, QuotaPage, StateMachine } from './statemachine.js'
import { Watchdog } from './watchdog.js'

const REMOVED = 'this member was removed from its cluster; nothing was executed'

type State = 'starting' | 'serving' | 'draining' | 'closed' | 'dead'

export class Shell implements Replica {
  readonly #log: ReplicatedLog
  readonly #store: Store
  readonly #machine: StateMachine
  readonly #clock: Clock
  readonly #telemetry: Telemetry
  readonly #memberId: string
  readonly #self: PeerId
  readonly #fatal: (error: Error) => void
  readonly #pipeline: Pipeline
  readonly #retention: Retention
  readonly #watchdog: Watchdog
  readonly #headroom: Pick<Headroom, 'low' | 'check'>
  /** Of this cluster, as far as was applied here: not yet, or one of it, or no longer. */
  #standing: 'unknown' | 'member' | 'removed' = 'unknown'
  readonly #stopTicks: () => void
  #state: State = 'starting'
  #gaugedMs = Number.NEGATIVE_INFINITY
  #handedOverMs = Number.NEGATIVE_INFINITY
  #auditCheckedMs: number
  #admitted: () => void = () => {}
  #closed: Promise<void> | null = null

  constructor(given: ReplicaOptions) {
    const headroom = given.headroom ?? { low: false, check: async () => false }
    const options = { ...given, machine: new ReplaceableMachine(given.machine), headroom }
    this.#log = options.log
    this.#store = options.store
    this.#machine = options.machine
    this.#clock = options.clock
    this.#telemetry = options.telemetry
    this.#memberId = options.memberId
    const { identity } = options.store.recovered
    this.#self = peerIdOf(identity.memberId, identity.directoryId)
    this.#fatal = options.fatal
    const nowMs = options.clock.monotonicMs()
    this.#auditCheckedMs = nowMs
    this.#retention = new Retention(options.store, options)
    this.#headroom = headroom
    this.#watchdog = new Watchdog(nowMs, (error) => this.#die(error))
    this.#pipeline = new Pipeline(options, {
      admitted: () => this.#admitted(),
      flushed: () => this.#watchdog.progress(),
      fatal: (error) => this.#die(error),
    })
    this.#machine.loaded()
    this.#stopTicks = options.clock.every(REPLICA_LIMITS.tickMs, () => this.#tick())
  }

  /** Joins the cluster; until then it serves nobody. Called once. Of a member that is alone it resolves once its run has been admitted. */
  async start(): Promise<void> {
    const admitted = new Promise<void>((resolve) => (this.#admitted = resolve))
    try {
      await this.#log.start(this.#pipeline)
      // Alone, this is a matter of milliseconds, and whoever starts a server finds it serving. Elsewhere others may still be on their way.
      if (this.#log.status.peers.every(({ peer }) => peer === this.#self)) await admitted
      this.#state = 'serving'
    } catch (error) {
      this.#stopTicks()
      throw error
    }
  }

  get status(): MemberStatus {
    return {
      ...this.#log.status,
      clusterId: this.#store.recovered.identity.clusterId,
      memberId: this.#memberId,
      self: this.#self,
      appliedIndex: this.#pipeline.appliedIndex,
      standings: this.#pipeline.standings.applied,
      clusterMs: this.#machine.timeMs,
      format: this.#pipeline.format,
      leases: this.#machine.leaseCount,
      waiters: this.#machine.waiterCount,
    }
  }

  get ready(): boolean {
    if (this.#state !== 'serving' || this.#standing === 'removed') return false
    return this.#pipeline.serving && !this.#watchdog.slow && !this.#headroom.low
  }

  get inFlight(): number {
    return this.#pipeline.inFlight
  }

  submit(command: ClientCommand, to: Recipient, id: number, attempt: number, deadlineMs: number): void {
    if (this.#state !== 'serving') {
      this.#pipeline.refuse(to, id, attempt, this.#state === 'starting' ? 'NO_QUORUM' : 'SHUTTING_DOWN')
    } else if (this.#standing === 'removed') this.#pipeline.refuse(to, id, attempt, 'NO_QUORUM', REMOVED)
    else if (isOfQuotas(command) && this.#pipeline.format < QUOTA_FORMAT)
      this.#pipeline.refuse(to, id, attempt, 'UPGRADE_PENDING')
    else if (this.#pipeline.growth.refused && grows(command))
      this.#pipeline.refuse(to, id, attempt, 'OVERLOADED', DISK_LOW)
    else this.#pipeline.submit(command, to, id, attempt, deadlineMs)
  }

  detach(to: Recipient): void {
    this.#pipeline.detach(to)
  }

  get members(): readonly MemberView[] {
    return this.#machine.members
  }
  get configuration(): Configuration | null {
    return this.#machine.configuration
  }
  changeMembers(change: MembershipChange): Promise<void> {
    return this.#pipeline.reconfiguring.change(change)
  }
  transferLeadership(member: string): boolean {
    const voters = this.#machine.configuration?.voters ?? []
    const peer = voters.find((one) => one === member || memberOf(one) === member)
    return peer !== undefined && this.#log.transferLeadership(peer)
  }

  readBarrier(): Promise<void> {
    return this.#log.readBarrier()
  }
  getLease(name: string): LeaseView | null {
    return this.#machine.lease(name)
  }
  listLeases(query: { prefix: string; after: string | null; limit: number }): LeasePage {
    return this.#machine.list(query)
  }
  get format(): number {
    return this.#pipeline.format
  }
  getQuota(name: string): QuotaView | null {
    return this.#machine.quota(name)
  }
  listQuotas(query: { prefix: string; after: string | null; limit: number }): QuotaPage {
    return this.#machine.listQuotas(query)
  }
  get run(): Run | null {
    return this.#pipeline.draws.run
  }
  get leaderPeer(): PeerId | null {
    return this.#pipeline.draws.leader
  }
  get leads(): boolean {
    return this.#pipeline.draws.leads
  }
  get tabs(): readonly TabView[] {
    return this.#machine.tabsOf(this.#memberId)
  }
  get lastDraw(): number {
    return this.#machine.lastDrawOf(this.#memberId)
  }
  draw(reports: readonly TabReport[], wants: readonly Want[]): number {
    if (this.#pipeline.format < QUOTA_FORMAT) throw new Error('nobody draws before every member knows of quotas')
    return this.#pipeline.draws.draw(reports, wants)
  }
  get drawing(): boolean {
    return this.#pipeline.draws.under
  }
  onDrawn(listener: DrawnListener): () => void {
    return this.#pipeline.draws.onDrawn(listener)
  }
  tell(peer: PeerId, body: Uint8Array): boolean {
    if (this.#pipeline.format < QUOTA_FORMAT || body.length > REPLICA_LIMITS.toldBytesMax) return false
    return this.#log.send(peer, { kind: FORWARD.told, term: this.#log.status.term, body })
  }
  onTold(listener: ToldListener): () => void {
    return this.#pipeline.draws.onTold(listener)
  }
  readEvents(query: EventQuery): Promise<EventPage> {
    return this.#store.readEvents(query)
  }
  get audit() {
    return this.#store.audit
  }
  subscribe(subscriber: Subscriber): () => void {
    return this.#pipeline.feed.subscribe(subscriber)
  }
  onRevoked(listener: RevokedListener): () => void {
    return this.#pipeline.feed.onRevoked(listener)
  }

  close(): Promise<void> {
    this.#closed ??= this.#shutDown()
    return this.#closed
  }

  #tick(): void {
    const nowMs = this.#clock.monotonicMs()
    this.#watchdog.tick(nowMs, this.#store.flushing)
    if (this.#state === 'dead') return
    // A member whose disk hangs falls silent: it must lose its office.
    if (!this.#watchdog.slow) this.#log.tick()
    this.#pipeline.tick(nowMs)
    if (this.#state !== 'serving') return
    this.#lookUp()
    if (this.#log.leading && nowMs - this.#auditCheckedMs >= REPLICA_LIMITS.auditCheckMs) this.#checkAudit(nowMs)
    if (nowMs - this.#gaugedMs >= REPLICA_LIMITS.gaugeMs) this.#gauge(nowMs)
  }

  #checkAudit(nowMs: number): void {
    this.#auditCheckedMs = nowMs
    this.#retention.due(this.#machine.timeMs).then(
      (through) => {
        if (through === null || this.#state !== 'serving' || !this.#log.leading) return
        this.#pipeline.want({ op: INTERNAL_OP.trimAudit, through })
      },
      (error) => this.#telemetry.log('error', 'audit not trimmed', { reason: String(error) }),
    )
  }

  #gauge(nowMs: number): void {
    this.#gaugedMs = nowMs
    void this.#checkDisk()
    this.#pipeline.announce()
    this.#telemetry.gauge('leases', this.#machine.leaseCount)
    this.#telemetry.gauge('waiters', this.#machine.waiterCount)
    const { commitIndex, firstIndex, lastIndex } = this.#log.status
    this.#telemetry.gauge('apply_lag', commitIndex - this.#pipeline.appliedIndex)
    this.#telemetry.gauge('log_entries', lastIndex + 1 - firstIndex)
  }

  async #checkDisk(): Promise<void> {
    const before = this.#headroom.low
    try {
      const low = await this.#headroom.check()
      if (low && !before) this.#telemetry.log('error', 'disk nearly full')
      if (!low && before) this.#telemetry.log('info', 'disk has room again')
      if (low !== before) this.#pipeline.announce()
      if (low && this.#state === 'serving') this.#giveWay()
    } catch (error) {
      // A disk that cannot say how full it is says so when it is written to.
      this.#telemetry.log('warn', 'free space unknown', { reason: String(error) })
    }
  }

  /** To a leader that has room, as it said itself; where nobody has, this one goes on with what gives room back. */
  #giveWay(): void {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#handedOverMs < REPLICA_LIMITS.handoverAgainMs) return
    const { growth } = this.#pipeline
    if (this.#log.transferLeadership(null, (peer) => growth.hasRoom(peer))) this.#handedOverMs = nowMs
  }

  /** Whether the configuration names this member. One that catches up sees old ones first, which did not name it yet. */
  #lookUp(): void {
    const { configuration } = this.#machine
    if (configuration === null) return
    const named = configuration.addresses[this.#self] !== undefined
    if (named) this.#standing = 'member'
    else if (this.#standing === 'member') {
      this.#standing = 'removed'
      this.#telemetry.log('error', 'removed from the cluster', { peer: this.#self })
      this.#pipeline.abandon()
    }
  }

  /** The process is about to end: nobody may get an answer that is not durable. */
  #die(error: Error): void {
    if (this.#state === 'dead') return
    this.#state = 'dead'
    this.#stopTicks()
    this.#pipeline.stop()
    this.#log.close().catch(() => {})
    this.#fatal(error)
  }

  async #shutDown(): Promise<void> {
    if (this.#state !== 'dead') this.#state = 'draining'
    let disarm = () => {}
    const late = new Promise<never>((_, reject) => {
      disarm = this.#clock.after(REPLICA_LIMITS.closeMsMax, () =>
        reject(new Error(`not closed within ${REPLICA_LIMITS.closeMsMax} ms: a flush is still under way`)),
      )
    })
    try {
      // Whoever takes over is chosen, so that nobody has to wait for an election; what is on its way goes on there.
      const nowMs = this.#clock.monotonicMs()
      const handingOver = this.#log.transferLeadership(null)
      if (handingOver) await Promise.race([this.#pipeline.deposed(nowMs + REPLICA_LIMITS.handoverMsMax), late])
      await Promise.race([this.#pipeline.drain(nowMs + REPLICA_LIMITS.drainMsMax), late])
      this.#stopTicks()
      await Promise.race([this.#log.close().then(() => this.#store.close()), late])
      if (this.#state === 'draining') this.#state = 'closed'
    } finally {
      disarm()
      this.#stopTicks()
      this.#pipeline.feed.close()
    }
  }
}

const isOfQuotas = ({ op }: ClientCommand): boolean => op === OP.quotaSet || op === OP.quotaDelete

/** Resolves once the replica serves. Rejects where the log cannot be replayed. */
export async function createReplica(options: ReplicaOptions): Promise<Replica> {
  const shell = new Shell(options)
  await shell.start()
  return shell
}
