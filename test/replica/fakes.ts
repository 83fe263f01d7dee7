/**
 * A store whose flushes end when the test says so, and a machine that answers as told: what the pipeline does between
 * them is then plain to see. The real ones are used wherever their behaviour matters.
 */
import {
  type AuditEvent,
  auditSeq,
  type ChainedEvent,
  type ClientCommand,
  type Command,
  clusterMs,
  fencingToken,
  INTERNAL_OP,
  type LeaseView,
  type LogIndex,
  logIndex,
  OK,
  OP,
  QUEUED,
  type Reply,
  term,
  waiterId,
} from '@leasehold/protocol'
import type { Applied, Entry } from '@leasehold/server/machine'
import { silent, type Telemetry } from '@leasehold/server/ports'
import {
  createReplica,
  RaftLog,
  type Recipient,
  type Replica,
  type ReplicaOptions,
  type StateMachine,
} from '@leasehold/server/replica'
import type { IncomingSnapshot, OutgoingSnapshot, Store } from '@leasehold/server/storage'
import { realRandom } from '../support/real.js'
import { VirtualClock } from '../support/virtualclock.js'

export class FakeStore implements Store {
  readonly recovered = {
    identity: { clusterId: 'c', memberId: 'm', directoryId: 'd', format: 1 },
    hardState: { term: term(0), votedFor: null },
    checkpointIndex: logIndex(0),
    firstIndex: logIndex(1),
    lastIndex: logIndex(0),
    lastTimeMs: clusterMs(0),
    terms: [{ term: term(0), from: logIndex(0) }],
    flushes: 0,
    notices: [],
  }
  readonly entriesSeen: Entry[] = []
  readonly checkpoints: number[] = []
  readonly trims: number[] = []
  readonly auditTrims: number[] = []
  readonly log: string[]
  /** Flushes end by themselves, a turn later, unless held. */
  held = false
  staged = false
  audit = { first: auditSeq(1), last: auditSeq(0), bytes: 0, oldestMs: clusterMs(0) }
  closed = 0
  #done: (() => void) | null = null

  constructor(log: string[] = []) {
    this.log = log
  }
  async *entries(): AsyncIterable<readonly Entry[]> {}
  stageEntries(entries: readonly Entry[]): void {
    this.staged = true
    this.entriesSeen.push(...entries.map((entry) => ({ ...entry })))
  }
  stageHardState(): void {
    this.staged = true
  }
  stageEvents(events: readonly AuditEvent[]): readonly ChainedEvent[] {
    this.staged = true
    const fresh = events.filter((event) => event.seq > this.audit.last)
    this.audit = { ...this.audit, last: events.at(-1)!.seq }
    return fresh.map((event) => ({ ...event, previousHash: '', hash: `${event.seq}` }))
  }
  stageCheckpoint(applied: number): void {
    this.staged = true
    this.checkpoints.push(applied)
  }
  stageTrimLog(first: number): LogIndex {
    this.staged = true
    this.trims.push(first)
    return logIndex(first)
  }
  get flushes(): number {
    return this.checkpoints.length
  }
  async snapshot(): Promise<OutgoingSnapshot> {
    throw new Error('a fake hands nothing over')
  }
  receiveSnapshot(): IncomingSnapshot {
    throw new Error('a fake receives nothing')
  }
  async disown(): Promise<never> {
    throw new Error('a fake is never behind')
  }
  async freeBytes(): Promise<number> {
    return Number.POSITIVE_INFINITY
  }
  stageTrimAudit(through: number): void {
    this.staged = true
    this.auditTrims.push(through)
  }
  get flushing(): boolean {
    return this.#done !== null
  }
  flush(done: () => void): void {
    if (this.#done !== null) throw new Error('one flush at a time')
    this.staged = false
    this.log.push('flush')
    this.#done = done
    if (!this.held) setImmediate(() => this.release())
  }
  /** The flush under way becomes durable now. */
  release(): void {
    const done = this.#done
    this.#done = null
    this.log.push('durable')
    done?.()
  }
  async readEvents() {
    return { events: [], next: null }
  }
  async close(): Promise<void> {
    this.closed++
  }
}

const ok: Reply = { code: OK, fields: [] }

export class FakeMachine implements StateMachine {
  readonly tables = [{ changeCount: 0, storedChangeCount: 0 }]
  configuration = null
  timeMs = clusterMs(0)
  timed = false
  readonly members = []
  readonly format = 1
  leaseCount = 0
  waiterCount = 0
  readonly log: string[]
  readonly applied: Entry[] = []
  readonly lost: number[] = []
  /** Names that somebody has, as readers see it. */
  readonly taken = new Set<string>()
  /** What the next apply brings besides its replies. */
  next: Partial<Pick<Applied, 'settled' | 'revoked' | 'drawn' | 'events' | 'moreDue'>> & { throws?: Error } = {}
  #waiters = new Map<string, number>()

  constructor(log: string[] = []) {
    this.log = log
  }
  loaded(): void {}
  apply(entry: Entry): Applied {
    const { settled = [], revoked = [], drawn = [], events = [], moreDue = false, throws } = this.next
    this.next = {}
    if (throws !== undefined) throw throws
    this.log.push(`apply ${entry.index}`)
    this.applied.push({ ...entry })
    this.timeMs = entry.timeMs
    const replies = entry.commands.map((command) => this.#reply(command))
    return { executed: true, replies, settled, revoked, drawn, events, moreDue }
  }
  lease(name: string): LeaseView | null {
    return this.taken.has(name) ? [name, 'holder', fencingToken(1), 1_000, 1_000, 'held', 0, null] : null
  }
  list() {
    return { leases: [], next: null }
  }
  quota() {
    return null
  }
  listQuotas() {
    return { quotas: [], next: null }
  }
  tabsOf() {
    return []
  }
  lastDrawOf() {
    return 0
  }
  /** A waiting acquire is queued; the same holder and name again is the same waiter. */
  #reply(command: Command): Reply {
    if (command.op === INTERNAL_OP.waiterLost) this.lost.push(command.waiter)
    if (command.op !== OP.acquire || command.waitMs === 0) return ok
    const key = `${command.name} ${command.holder}`
    const waiter = this.#waiters.get(key) ?? this.#waiters.size + 1
    this.#waiters.set(key, waiter)
    return { code: QUEUED, fields: [waiterId(waiter)] }
  }
}

/** A recipient that writes down what it gets. */
export class Recorder implements Recipient {
  readonly replies: { id: number; attempt: number; code: number; fields: readonly unknown[] }[] = []
  flushes = 0
  readonly #name: string
  readonly #log: string[]
  constructor(log: string[] = [], name = 'r') {
    this.#log = log
    this.#name = name
  }
  reply(id: number, attempt: number, code: number, fields: readonly unknown[]): void {
    this.replies.push({ id, attempt, code, fields })
    this.#log.push(`${this.#name} reply ${id}`)
  }
  flush(): void {
    this.flushes++
    this.#log.push(`${this.#name} flush`)
  }
  get ids(): number[] {
    return this.replies.map((reply) => reply.id)
  }
  get codes(): number[] {
    return this.replies.map((reply) => reply.code)
  }
}

export const renewal = (name = 'a'): ClientCommand => ({
  op: OP.renew,
  principal: 'p',
  name,
  token: fencingToken(1),
})

export const waitingFor = (name: string, holder = 'h'): ClientCommand => ({
  op: OP.acquire,
  principal: 'p',
  name,
  holder,
  ttlMs: 1_000,
  waitMs: 5_000,
  priority: 0,
  lockDelayMs: 0,
  meta: null,
  request: null,
})

export interface FakeWorld {
  readonly clock: VirtualClock
  readonly store: FakeStore
  readonly machine: FakeMachine
  readonly replica: Replica
  readonly log: string[]
  readonly fatals: Error[]
}

/** A replica over the fakes, serving. */
export async function fakeWorld(options: Partial<ReplicaOptions> = {}, telemetry: Telemetry = silent) {
  const log: string[] = []
  const fatals: Error[] = []
  const clock = new VirtualClock()
  const store = new FakeStore(log)
  const machine = new FakeMachine(log)
  const fatal = (error: Error) => void fatals.push(error)
  const random = realRandom
  const raftLog = new RaftLog({ store, transport: null, clock, random, telemetry, fatal })
  const replica = await createReplica({
    log: raftLog,
    store,
    machine,
    clock,
    random,
    telemetry,
    memberId: 'm',
    fatal,
    ...options,
  })
  await clock.settle()
  log.length = 0
  return { clock, store, machine, replica, log, fatals } satisfies FakeWorld
}
