/**
 * What a member does with committed entries: the machine applies them, everybody gets an answer, and what they left to be written
 * down is staged. It must never answer before the commit, never answer a command twice, and never go on after something
 * threw. Nothing here is allocated per command.
 */
import {
  type ClientCommand,
  type ClusterMs,
  type Command,
  type Configuration,
  ERRORS,
  type ErrorCode,
  INTERNAL_OP,
  type InternalCommand,
  type LogIndex,
  type PeerId,
  peerIdOf,
  QUEUED,
  type Reply,
  type Term,
  type WaiterId,
} from '@leasehold/protocol'
import { type Applied, Machine, type StoredTable } from '../machine/index.js'
import type { Clock, Telemetry } from '../ports/index.js'
import type { Recovered, Store } from '../storage/index.js'
import { Answers } from './answers.js'
import type { Batch } from './batch.js'
import { Checkpoint } from './checkpoint.js'
import { Draws } from './draws.js'
import { Feed } from './feed.js'
import { FORWARD, type Forward } from './forwards.js'
import { DISK_LOW, Growth, wasRefused } from './growth.js'
import { REPLICA_LIMITS } from './limits.js'
import type { LogFollower, ReplicatedLog } from './log.js'
import type { ReplicaEntry } from './logentry.js'
import type { PartsOptions } from './options.js'
import { Outbound } from './outbound.js'
import { Reconfiguring } from './reconfiguring.js'
import type { FreshMachine, ReplaceableMachine } from './replaceable.js'
import type { Recipient } from './replica.js'
import { Standings } from './standings.js'
import { Waiting } from './waiting.js'
import { MISSED, QUEUE_KEPT, textOf } from './words.js'

export interface PipelineHooks {
  /** This run has been admitted: commands may come. */
  admitted(): void
  /** A flush has come to its end. */
  flushed(): void
  fatal(error: Error): void
}

export class Pipeline implements LogFollower {
  readonly feed: Feed
  readonly reconfiguring: Reconfiguring
  readonly growth: Growth
  readonly standings = new Standings()
  readonly draws: Draws
  readonly #self: PeerId
  readonly #outbound: Outbound
  readonly #log: ReplicatedLog
  readonly #store: Store
  readonly #machine: ReplaceableMachine
  readonly #options: PartsOptions
  readonly #clock: Clock
  readonly #telemetry: Telemetry
  readonly #hooks: PipelineHooks
  readonly #waiting = new Waiting()
  readonly #answers: Answers
  #checkpoint: Checkpoint
  /** The next flush carries a checkpoint, whatever is due. */
  #checkpointWanted = false
  /** A snapshot is being installed: what is staged meanwhile would be lost. */
  #replacing: FreshMachine | null = null
  #dead = false
  #admitted = false
  #appliedIndex: LogIndex
  /** A flush of refusals is already set for this turn. */
  #refusing = false
  #moved: (() => void) | null = null

  constructor(options: PartsOptions, hooks: PipelineHooks) {
    this.#options = options
    this.#log = options.log
    this.#store = options.store
    this.#machine = options.machine
    this.#clock = options.clock
    this.#telemetry = options.telemetry
    this.#hooks = hooks
    this.feed = new Feed(options.telemetry)
    this.#answers = new Answers((to, error) => this.#recipientFailed(to, error))
    this.#checkpoint = new Checkpoint(options.store, options.log, options.machine.tables, options)
    this.#appliedIndex = options.store.recovered.checkpointIndex
    const { identity } = options.store.recovered
    this.#self = peerIdOf(identity.memberId, identity.directoryId)
    this.growth = new Growth({
      ...{ self: this.#self, headroom: options.headroom, standings: this.standings, log: options.log },
      configuration: () => options.machine.configuration,
    })
    this.#outbound = new Outbound(options, this.growth, {
      refuse: (to, id, attempt, code) => this.refuse(to, id, attempt, code),
      guard: (step) => this.#guard(step),
    })
    this.draws = new Draws({
      ...{ self: this.#self, clock: options.clock, telemetry: options.telemetry },
      run: () => this.#outbound.admission.run,
      send: (to, message) => void options.log.send(to, message),
      order: (command) => this.#outbound.order(command),
      guard: (step) => this.#guard(step),
    })
    this.reconfiguring = new Reconfiguring({
      log: options.log,
      machine: options.machine,
      nowMs: () => options.clock.monotonicMs(),
      order: (command) => this.#outbound.order(command),
    })
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex
  }
  get configuration(): Configuration | null {
    return this.#machine.configuration
  }
  get format(): number {
    return this.#machine.format
  }
  /** Commands accepted and not yet answered; waiting ones have been answered by QUEUED. */
  get inFlight(): number {
    return this.#outbound.inFlight
  }
  /** This process has its run, and somebody leads, or will soon. */
  get serving(): boolean {
    return this.#admitted && !this.#outbound.leaderless
  }

  // Into the batch

  submit(command: ClientCommand, to: Recipient, id: number, attempt: number, deadlineMs: number): void {
    if (this.#dead) return
    if (!this.serving) this.refuse(to, id, attempt, 'NO_QUORUM')
    else if (!this.#outbound.submit(command, to, id, attempt, deadlineMs)) this.refuse(to, id, attempt, 'OVERLOADED')
  }

  /** A command of the member's own, for the next entry. */
  want(command: InternalCommand): void {
    this.#outbound.want(command)
  }

  /** The recipient is gone; what it asked for is executed, its waiters are reported lost. */
  detach(to: Recipient): void {
    if (this.inFlight > 0) this.#answers.leave(to, this.#outbound.gathering.newest)
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
      this.#moved?.()
    })
  }

  // What the log tells

  lead(term: Term, baseMs: ClusterMs): void {
    this.reconfiguring.reign()
    this.growth.led(this.#self)
    this.#guard(() => this.#outbound.lead(term, baseMs))
    this.#guard(() => this.draws.lead(term))
  }
  follow(term: Term, leader: PeerId | null): void {
    this.reconfiguring.reign()
    this.growth.led(leader)
    this.#guard(() => this.#outbound.follow(term, leader))
    this.draws.follow(term, leader)
    this.#moved?.()
  }
  forwarded(from: PeerId, message: Forward): void {
    if (message.kind === FORWARD.standing) this.standings.heard(from, message, this.#machine.configuration)
    else if (message.kind === FORWARD.draw || message.kind === FORWARD.told)
      this.#guard(() => this.draws.forwarded(from, message))
    else this.#guard(() => this.#outbound.forwarded(from, message))
  }
  linked(peer: PeerId, change: 'up' | 'down' | 'room'): void {
    this.#guard(() => this.#outbound.linked(peer, change))
    this.draws.linked(peer, change)
  }
  room(): void {
    this.#guard(() => this.#outbound.advance())
  }
  flushing(): void {
    this.#guard(() => {
      if (this.#checkpointWanted) this.#checkpoint.stage()
      else this.#checkpoint.beforeFlush(this.#clock.monotonicMs())
      this.#checkpointWanted = false
    })
  }
  flushed(): void {
    this.#hooks.flushed()
    this.#guard(() => this.#checkpoint.flushed())
    this.#moved?.()
  }
  apply(entry: ReplicaEntry): void {
    this.#guard(() => this.#applyEntry(entry))
  }

  /** Tells the other members how this one is. */
  announce(): void {
    const { term, peers } = this.#log.status
    const { low } = this.#options.headroom
    const message = { kind: FORWARD.standing, term, applied: this.#appliedIndex, low } as const
    for (const { peer } of peers) this.#log.send(peer, message)
  }

  checkpoint(): void {
    // Not at once: what is staged while a flush is under way is not durable at its end.
    this.#checkpointWanted = true
  }

  replacement(): readonly StoredTable[] {
    this.#replacing = this.#options.freshMachine?.() ?? new Machine()
    return this.#replacing.tables
  }

  installed(recovered: Recovered | null): void {
    const fresh = this.#replacing
    this.#replacing = null
    if (recovered !== null && fresh !== null) this.#guard(() => this.#goOnFrom(recovered, fresh))
  }

  /** As after a start; what happened in between was not seen here, and nobody is told that it did not happen. */
  #goOnFrom(recovered: Recovered, fresh: FreshMachine): void {
    fresh.loaded()
    this.#machine.replace(fresh)
    this.#appliedIndex = recovered.checkpointIndex
    this.#checkpoint = new Checkpoint(this.#store, this.#log, fresh.tables, this.#options)
    this.#outbound.installed()
    this.draws.installed(this.#machine.lastDrawOf(this.#options.memberId))
    this.#welcome()
    for (const { to, id, attempt } of this.#waiting.drain()) this.refuse(to, id, attempt, 'OUTCOME_UNKNOWN', MISSED)
    this.feed.interrupt('this member has missed changes: resume from the last cursor')
    this.#moved?.()
  }

  #welcome(): void {
    if (this.#admitted || this.#outbound.admission.run === null) return
    this.#admitted = true
    this.#hooks.admitted()
  }

  // Ticks and the end

  tick(nowMs: number): void {
    this.growth.judge()
    this.#guard(() => {
      this.#outbound.tick(nowMs)
      this.draws.tick(nowMs)
      this.reconfiguring.tick()
      if (this.#replacing === null && !this.#store.flushing && this.#checkpoint.idleDue(nowMs)) {
        this.#checkpoint.stage()
        this.#log.flush()
      }
    })
  }

  /** Nobody gets an answer from now on. */
  stop(): void {
    this.#dead = true
    this.reconfiguring.close()
    this.#moved?.()
  }

  /** What is on its way gets no answer here any more: nobody knows what became of it. */
  abandon(): void {
    this.#guard(() => this.#outbound.abandon())
  }

  /** Resolves once somebody else leads, or it is `untilMs`. */
  deposed(untilMs: number): Promise<void> {
    return this.#while(() => this.#log.leading, untilMs)
  }

  async #while(holds: () => boolean, untilMs: number): Promise<void> {
    const leftMs = () => untilMs - this.#clock.monotonicMs()
    const stop = leftMs() < Number.POSITIVE_INFINITY ? this.#clock.after(leftMs(), () => this.#moved?.()) : () => {}
    while (!this.#dead && holds() && leftMs() > 0) await new Promise<void>((resolve) => (this.#moved = resolve))
    stop()
  }

  /**
   * Finishes what was accepted, tells the waiters, and writes everything down. Nothing may be submitted any more. What has no answer by
   * `untilMs` gets OUTCOME_UNKNOWN.
   */
  async drain(untilMs: number): Promise<void> {
    const under = () => this.inFlight > 0 || this.#outbound.busy || this.#store.flushing
    await this.#while(under, untilMs)
    if (this.inFlight > 0) this.#outbound.abandon()
    for (const { to, id, attempt } of this.#waiting.drain()) this.refuse(to, id, attempt, 'OUTCOME_UNKNOWN', QUEUE_KEPT)
    this.#answers.flush()
    this.checkpoint()
    this.#log.flush()
    await this.#while(() => this.#store.flushing, Number.POSITIVE_INFINITY)
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

  #applyEntry(entry: ReplicaEntry): void {
    if (entry.index !== this.#appliedIndex + 1) throw new Error(`entry ${entry.index} after ${this.#appliedIndex}`)
    const startedMs = this.#clock.monotonicMs()
    const applied = this.#machine.apply(entry)
    this.#appliedIndex = entry.index
    const answered = this.#outbound.applied(entry, applied)
    if (entry.reconfigures) this.reconfiguring.applied()
    const batch = answered?.batch ?? null
    const appliedMs = this.#clock.monotonicMs()
    if (batch !== null) this.#answer(batch, entry.commands, applied.replies, answered!.own)
    for (const { waiter, reply } of applied.settled) {
      const attached = this.#waiting.settle(waiter)
      if (attached === null) continue
      this.#answers.giveFirst(attached.to, attached.id, attached.attempt, reply.code, reply.fields)
    }
    this.#answers.flush()
    if (this.inFlight === 0) this.#answers.answered(this.#outbound.gathering.newest)
    const repliedMs = this.#clock.monotonicMs()
    this.#record(entry, applied, repliedMs)
    if (batch !== null) {
      this.#telemetry.stage('apply', (appliedMs - startedMs) / 1_000)
      this.#telemetry.stage('reply', (repliedMs - appliedMs) / 1_000)
    }
    this.#welcome()
    this.#moved?.()
    if (this.#outbound.waiting) this.#outbound.closeSoon()
  }

  /** `commands`: as they came into the log, after the first `from` of this member's own. */
  #answer(batch: Batch, commands: readonly Command[], replies: readonly Reply[], from: number): void {
    const { recipients, ids, attempts, count } = batch
    for (let i = 0; i < count; i++) {
      const to = recipients[i]!
      const reply = replies[from + i]!
      if (wasRefused(commands[from + i]!)) {
        this.refuse(to, ids[i]!, attempts[i]!, 'OVERLOADED', DISK_LOW)
        continue
      }
      this.#answers.give(to, ids[i]!, attempts[i]!, reply.code, reply.fields)
      if (reply.code === QUEUED) this.#attach(reply.fields[0] as WaiterId, to, ids[i]!, attempts[i]!)
    }
    this.#outbound.inFlight -= count
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
  #record(entry: ReplicaEntry, applied: Applied, nowMs: number): void {
    const { first } = this.#store.audit
    // Of events that a replay brings back, storage returns none: it only compares them.
    const chained = applied.events.length > 0 ? this.#store.stageEvents(applied.events) : []
    let bare = applied.events.length === 0
    for (const command of entry.commands) {
      if (command.op !== INTERNAL_OP.beat) bare = false
      if (!applied.executed) continue
      if (command.op === INTERNAL_OP.trimAudit && command.through >= first) this.#store.stageTrimAudit(command.through)
    }
    this.#checkpoint.applied(entry, entry.bytes, !bare, nowMs)
    if (chained.length > 0) this.feed.publish(chained)
    if (applied.revoked.length > 0) this.feed.tell(applied.revoked)
    if (applied.drawn.length > 0) this.draws.applied(applied.drawn)
  }

  #recipientFailed(to: Recipient, error: unknown): void {
    this.#telemetry.log('warn', 'recipient failed', { reason: String(error) })
    this.detach(to)
  }
}
