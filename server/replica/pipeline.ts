/**
 * The way of a batch: commands gather, the batch closes and is stamped, the log makes it durable, the machine applies
 * it, and everybody gets an answer. It must never answer before the commit, never let a command join a stamped batch,
 * and never refuse one that was proposed. Nothing here is allocated per command.
 */
import {
  type ClientCommand,
  type ClusterMs,
  type Command,
  ERRORS,
  type ErrorCode,
  INTERNAL_OP,
  type LogIndex,
  QUEUED,
  type Reply,
  type Term,
  type WaiterId,
} from '@leasehold/protocol'
import type { Applied, Entry } from '../machine/index.js'
import type { Clock, Telemetry } from '../ports/index.js'
import type { Store } from '../storage/index.js'
import { Answers } from './answers.js'
import type { Batch } from './batch.js'
import { Beats } from './beats.js'
import { Checkpoint } from './checkpoint.js'
import { ClusterClock } from './clusterclock.js'
import { Feed } from './feed.js'
import { Gathering } from './gathering.js'
import { REPLICA_LIMITS } from './limits.js'
import type { LogFollower, ReplicatedLog } from './log.js'
import type { ReplicaOptions } from './options.js'
import type { Recipient } from './replica.js'
import type { StateMachine } from './statemachine.js'
import { Waiting } from './waiting.js'

/** An append of this member under way, or committed and not yet applied. */
interface Flight {
  readonly index: LogIndex
  /** So many of its commands, the first, are the member's own. */
  readonly own: number
  readonly batch: Batch | null
  readonly startedMs: number
}

/** What a queued request is told when this member goes: it was executed, insofar as it stands in a queue. */
const QUEUE_KEPT =
  'this member shuts down while the request waits; its place is kept for a while: repeat it with the same request token'

const textOf = (code: ErrorCode) => `${ERRORS[code].title}. ${ERRORS[code].help}`

export interface PipelineHooks {
  /** This run has been admitted: commands may come. */
  admitted(): void
  /** A flush has come to its end. */
  flushed(): void
  fatal(error: Error): void
}

export class Pipeline implements LogFollower {
  readonly feed: Feed
  readonly #log: ReplicatedLog
  readonly #store: Store
  readonly #machine: StateMachine
  readonly #clock: Clock
  readonly #telemetry: Telemetry
  readonly #memberId: string
  readonly #hooks: PipelineHooks
  readonly #cluster: ClusterClock
  readonly #gathering: Gathering
  readonly #waiting = new Waiting()
  readonly #answers: Answers
  readonly #beats = new Beats()
  readonly #checkpoint: Checkpoint
  readonly #flights: Flight[] = []
  #dead = false
  #admitted = false
  #appliedIndex: LogIndex
  #inFlight = 0
  /** A close of the batch, or a flush of refusals, is already set for this turn. */
  #closing = false
  #refusing = false
  #moved: (() => void) | null = null

  constructor(options: ReplicaOptions, hooks: PipelineHooks) {
    this.#log = options.log
    this.#store = options.store
    this.#machine = options.machine
    this.#clock = options.clock
    this.#telemetry = options.telemetry
    this.#memberId = options.memberId
    this.#hooks = hooks
    this.feed = new Feed(options.telemetry)
    this.#cluster = new ClusterClock(options.clock)
    this.#gathering = new Gathering(options)
    this.#answers = new Answers((to, error) => this.#recipientFailed(to, error))
    this.#checkpoint = new Checkpoint(options.store, options.log, options.machine.tables, options)
    this.#appliedIndex = options.store.recovered.checkpointIndex
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex
  }

  /** Commands accepted and not yet answered; waiting ones have been answered by QUEUED. */
  get inFlight(): number {
    return this.#inFlight
  }

  // Into the batch

  submit(command: ClientCommand, to: Recipient, id: number, attempt: number, deadlineMs: number): void {
    if (this.#dead) return
    if (!this.#gathering.add(command, to, id, attempt, deadlineMs, this.#now)) {
      this.refuse(to, id, attempt, 'OVERLOADED')
      return
    }
    this.#inFlight++
    if (!this.#closing) this.#closeSoon()
  }

  /** A command of the member's own, for the next entry. */
  want(command: Parameters<Beats['want']>[0]): void {
    this.#beats.want(command)
    this.#closeSoon()
  }

  /** The recipient is gone; what it asked for is executed, its waiters are reported lost. */
  detach(to: Recipient): void {
    if (this.#inFlight > 0) this.#answers.leave(to, this.#gathering.newest)
    for (const waiter of this.#waiting.detach(to)) this.want({ op: INTERNAL_OP.waiterLost, waiter })
  }

  /** Tells somebody that nothing was executed, or what else the code stands for. Sent at the end of this turn. */
  refuse(to: Recipient, id: number, attempt: number, code: ErrorCode, detail = textOf(code)): void {
    const { wire } = ERRORS[code]
    // Spread by id, so that those who are refused together do not come back together.
    const retryAfterMs = REPLICA_LIMITS.retryAfterMs + ((id * 37) % REPLICA_LIMITS.retryAfterMs)
    this.#answers.give(to, id, attempt, wire, [detail, retryAfterMs])
    if (this.#refusing) return
    this.#refusing = true
    this.#clock.soon(() => {
      this.#refusing = false
      this.#answers.flush()
    })
  }

  // What the log tells

  lead(term: Term, baseMs: ClusterMs): void {
    this.#cluster.lead(baseMs)
    // A log of one member leads once per process, so its term tells one run from another.
    const nonce = `term-${term}`
    this.#beats.want({ op: INTERNAL_OP.admitRun, member: this.#memberId, nonce, url: '', peerUrl: '' })
    this.#guard(() => this.#closeBatch())
  }

  follow(): void {
    this.#cluster.follow()
  }

  settled(index: LogIndex): void {
    this.#guard(() => this.#settle(index))
  }

  #settle(index: LogIndex): void {
    const flight = this.#flights.find((one) => one.index === index)
    if (flight !== undefined) {
      const seconds = (this.#clock.monotonicMs() - flight.startedMs) / 1_000
      this.#telemetry.flush(seconds, flight.batch?.count ?? 0)
    }
    this.#flushed()
    this.#closeBatch()
  }

  apply(entry: Entry): void {
    this.#guard(() => this.#applyEntry(entry))
  }

  // Ticks and the end

  tick(nowMs: number): void {
    this.#cluster.gather()
    if (!this.#admitted) return
    this.#beats.tick(nowMs, this.#machine.timed)
    this.#guard(() => {
      if (!this.#gathering.empty || this.#beats.due) this.#closeBatch()
      if (!this.#store.flushing && this.#checkpoint.idleDue(nowMs)) this.#flushIdle()
    })
  }

  /** Nobody gets an answer from now on. */
  stop(): void {
    this.#dead = true
    this.#moved?.()
  }

  /** Finishes what was accepted, tells the waiters, and writes everything down. Nothing may be submitted any more. */
  async drain(): Promise<void> {
    const moved = () => new Promise<void>((resolve) => (this.#moved = resolve))
    while (!this.#dead && (this.#inFlight > 0 || this.#busy)) await moved()
    for (const { to, id, attempt } of this.#waiting.drain()) this.refuse(to, id, attempt, 'OUTCOME_UNKNOWN', QUEUE_KEPT)
    this.#answers.flush()
    this.#guard(() => this.#flushIdle())
    while (!this.#dead && this.#busy) await moved()
  }

  get #busy(): boolean {
    return this.#flights.length > 0 || this.#store.flushing
  }

  /** Whatever throws here has broken an invariant: better no answer than a wrong one. */
  #guard(step: () => void): void {
    if (this.#dead) return
    try {
      step()
    } catch (error) {
      this.stop()
      this.#hooks.fatal(error instanceof Error ? error : new Error(String(error)))
    }
  }

  // The way itself

  readonly #now = (): number => this.#clock.monotonicMs()

  #closeSoon(): void {
    if (this.#closing || !this.#log.ready) return
    this.#closing = true
    this.#clock.soon(() => {
      this.#closing = false
      this.#guard(() => this.#closeBatch())
    })
  }

  /** Closes the first batch, stamps and appends it, if the log takes one now. */
  #closeBatch(): void {
    if (!this.#log.ready) return
    const nowMs = this.#clock.monotonicMs()
    const batch = this.#takeBatch(nowMs)
    const own = this.#beats.take(batch === null, nowMs)
    if (batch === null && own.length === 0) return
    // Its own ones first: that a connection was lost comes before whatever its client asked for on the next one.
    const commands: readonly Command[] =
      batch === null ? own : own.length === 0 ? batch.commands : [...own, ...batch.commands]
    this.#checkpoint.beforeFlush(nowMs)
    const index = this.#log.append({ timeMs: this.#cluster.stamp(), wallMs: this.#clock.wallMs(), commands })
    this.#flights.push({ index, own: own.length, batch, startedMs: nowMs })
    if (batch !== null) this.#telemetry.stage('queue', (nowMs - batch.openedMs) / 1_000)
  }

  /** The first batch that still has a command after those past their deadline were refused. */
  #takeBatch(nowMs: number): Batch | null {
    for (let batch = this.#gathering.take(); batch !== null; batch = this.#gathering.take()) {
      batch.close(nowMs, (to, id, attempt) => {
        this.#inFlight--
        this.refuse(to, id, attempt, 'OVERLOADED')
      })
      if (batch.count > 0) return batch
    }
    return null
  }

  #applyEntry(entry: Entry): void {
    if (entry.index !== this.#appliedIndex + 1) throw new Error(`entry ${entry.index} after ${this.#appliedIndex}`)
    const startedMs = this.#clock.monotonicMs()
    const applied = this.#machine.apply(entry)
    this.#appliedIndex = entry.index
    const flight = this.#flights[0]?.index === entry.index ? this.#flights.shift()! : null
    const batch = flight?.batch ?? null
    const appliedMs = this.#clock.monotonicMs()
    if (batch !== null) this.#answer(batch, applied.replies, flight!.own)
    for (const { waiter, reply } of applied.settled) {
      const attached = this.#waiting.settle(waiter)
      if (attached === null) continue
      this.#answers.giveFirst(attached.to, attached.id, attached.attempt, reply.code, reply.fields)
    }
    this.#answers.flush()
    if (this.#inFlight === 0) this.#answers.answered(this.#gathering.newest)
    const repliedMs = this.#clock.monotonicMs()
    this.#record(entry, applied, batch?.bytes ?? entry.commands.length * 128, repliedMs)
    if (batch !== null) {
      this.#telemetry.stage('apply', (appliedMs - startedMs) / 1_000)
      this.#telemetry.stage('reply', (repliedMs - appliedMs) / 1_000)
    }
    if (flight !== null && !this.#admitted) {
      this.#admitted = true
      this.#hooks.admitted()
    }
    this.#moved?.()
    if (!this.#gathering.empty || this.#beats.due) this.#closeSoon()
  }

  #answer(batch: Batch, replies: readonly Reply[], from: number): void {
    const { recipients, ids, attempts, count } = batch
    for (let i = 0; i < count; i++) {
      const to = recipients[i]!
      const reply = replies[from + i]!
      this.#answers.give(to, ids[i]!, attempts[i]!, reply.code, reply.fields)
      if (reply.code === QUEUED) this.#attach(reply.fields[0] as WaiterId, to, ids[i]!, attempts[i]!)
    }
    this.#inFlight -= count
    this.#answers.answered(batch.number)
  }

  #attach(waiter: WaiterId, to: Recipient, id: number, attempt: number): void {
    if (this.#answers.isGone(to)) {
      this.want({ op: INTERNAL_OP.waiterLost, waiter })
      return
    }
    const before = this.#waiting.attach(waiter, { to, id, attempt })
    if (before !== null) this.refuse(before.to, before.id, before.attempt, 'OUTCOME_UNKNOWN')
  }

  /** Stages what the entry left to be written, and tells the watchers. */
  #record(entry: Entry, applied: Applied, bytes: number, nowMs: number): void {
    const { first } = this.#store.audit
    // Of events that a replay brings back, storage returns none: it only compares them.
    const chained = applied.events.length > 0 ? this.#store.stageEvents(applied.events) : []
    let bare = applied.events.length === 0
    for (const command of entry.commands) {
      if (command.op !== INTERNAL_OP.beat) bare = false
      if (command.op === INTERNAL_OP.trimAudit && command.through >= first) this.#store.stageTrimAudit(command.through)
    }
    this.#checkpoint.applied(entry, bytes, !bare, nowMs)
    if (applied.moreDue) this.#beats.sweepDue()
    if (chained.length > 0) this.feed.publish(chained)
    if (applied.revoked.length > 0) this.feed.tell(applied.revoked)
  }

  #flushIdle(): void {
    this.#checkpoint.stage()
    if (!this.#store.staged) return
    const startedMs = this.#clock.monotonicMs()
    this.#store.flush(() => {
      this.#guard(() => {
        this.#telemetry.flush((this.#clock.monotonicMs() - startedMs) / 1_000, 0)
        this.#flushed()
        this.#closeBatch()
      })
      this.#moved?.()
    })
  }

  #flushed(): void {
    this.#hooks.flushed()
    this.#checkpoint.flushed()
  }

  #recipientFailed(to: Recipient, error: unknown): void {
    this.#telemetry.log('warn', 'recipient failed', { reason: String(error) })
    this.detach(to)
  }
}
