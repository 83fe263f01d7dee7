/**
 * How batches leave. On a leader the next batch closes when the log has room, is stamped, and is appended together with those that
 * other members sent; elsewhere it closes when few are on their way, and is sent to the leader. Whatever is in doubt goes first,
 * in order, whoever leads.
 *
 * Only a leader stamps, and it must never let a command join a batch that has its stamp; deadlines are looked at before a
 * batch is closed, never after.
 */
import {
  type ClientCommand,
  type ClusterMs,
  type Command,
  type ErrorCode,
  FORMATS,
  type InternalCommand,
  type PeerId,
  ProtocolError,
  type Run,
  run,
  type Term,
  wallMs,
} from '@leasehold/protocol'
import type { Applied, Entry } from '../machine/index.js'
import type { Clock, Telemetry } from '../ports/index.js'
import { Admission } from './admission.js'
import type { Batch } from './batch.js'
import { BEAT, Beats } from './beats.js'
import { ClusterClock } from './clusterclock.js'
import { FORWARD, type ForwardedBatch, type ForwardRefusal, REFUSAL } from './forwards.js'
import { Gathering } from './gathering.js'
import type { Growth } from './growth.js'
import { InboundQueue } from './inbound.js'
import { REPLICA_LIMITS } from './limits.js'
import type { Draft, ReplicatedLog } from './log.js'
import type { ReplicaOptions } from './options.js'
import { Origin, type Pending } from './origin.js'
import { hurried, Patience } from './patience.js'
import type { Recipient } from './replica.js'
import { Returning } from './returning.js'
import type { StateMachine } from './statemachine.js'

const NO_RUN = run(0)
const NONCE_BYTES = 12

export interface OutboundHooks {
  /** A command was not executed, and never will be. */
  refuse(to: Recipient, id: number, attempt: number, code: ErrorCode): void
  /** Runs a step; what throws in it ends the process. */
  guard(step: () => void): void
}

export class Outbound {
  readonly admission: Admission
  readonly gathering: Gathering
  readonly #hooks: OutboundHooks
  readonly #growth: Pick<Growth, 'admitted'>
  readonly #log: ReplicatedLog
  readonly #machine: StateMachine
  readonly #clock: Clock
  readonly #telemetry: Telemetry
  readonly #memberId: string
  readonly #cluster: ClusterClock
  readonly #origin = new Origin()
  readonly #inbound: InboundQueue
  readonly #beats = new Beats()
  readonly #patience: Patience
  readonly #returning: Returning
  /** Of a leader's own: nothing of a client is in them, and they are not counted. */
  #orders: Command[] = []
  #leading = false
  #term: Term | null = null
  #leader: PeerId | null = null
  #leaderlessMs: number
  /** The leader refused a batch that is to be sent again: not before the next tick. */
  #refused = false
  /** A close is already set for this turn. */
  #closing = false
  /** The last batch had at most one command that could not wait: nobody else is to be expected at this very moment. */
  #alone = false
  /** Commands accepted and not yet answered; waiting ones have been answered by QUEUED. */
  inFlight = 0

  constructor(options: ReplicaOptions, growth: Pick<Growth, 'admitted'>, hooks: OutboundHooks) {
    this.#hooks = hooks
    this.#growth = growth
    this.#log = options.log
    this.#machine = options.machine
    this.#clock = options.clock
    this.#telemetry = options.telemetry
    this.#memberId = options.memberId
    this.gathering = new Gathering(options)
    this.#cluster = new ClusterClock(options.clock, () => options.log.quorumFresh)
    this.#inbound = new InboundQueue((to, refusal) => void options.log.send(to, refusal))
    const taken = (name: string) => options.machine.lease(name) !== null
    const over = () => hooks.guard(() => this.advance())
    this.#patience = new Patience(options.clock, taken, over)
    this.#returning = new Returning(options.clock, over)
    this.#leaderlessMs = options.clock.monotonicMs()
    const nonce = hex(options.random.bytes(NONCE_BYTES))
    const { memberId: member, url = '', peerUrl = '' } = options
    this.admission = new Admission({ member, nonce, url, peerUrl, formatMax: FORMATS.max })
  }

  get leading(): boolean {
    return this.#leading
  }

  /** Nobody has led for longer than an election takes. */
  get leaderless(): boolean {
    if (this.#leading || this.#leader !== null) return false
    return this.#clock.monotonicMs() - this.#leaderlessMs >= REPLICA_LIMITS.leaderlessMsMax
  }

  /** Who leads, as far as is known here; null where this member leads, too. */
  get leader(): PeerId | null {
    return this.#leader
  }

  /** Something is on its way, or about to be. */
  get busy(): boolean {
    return this.#origin.count > 0
  }

  // Into the batch

  /** False where everything is full: nothing was added. */
  submit(command: ClientCommand, to: Recipient, id: number, attempt: number, deadlineMs: number): boolean {
    if (!this.gathering.add(command, to, id, attempt, deadlineMs, this.#now)) return false
    this.inFlight++
    if (!this.#closing) this.closeSoon()
    return true
  }

  /** A command of the member's own, for its next batch. */
  want(command: InternalCommand): void {
    this.#beats.want(command)
    this.closeSoon()
  }

  /** Of a leader: a command of its own, in an entry of its own, in this term or not at all. */
  order(command: Command): void {
    if (!this.#leading) throw new Error('only a leader gives orders')
    this.#orders.push(command)
    this.closeSoon()
  }

  // What the log tells

  lead(term: Term, baseMs: ClusterMs): void {
    this.#leading = true
    this.#term = term
    this.#leader = null
    this.#cluster.lead(baseMs)
    this.#inbound.lead(term)
    this.#wayLost()
    this.#append(true)
  }

  follow(term: Term, leader: PeerId | null): void {
    if (this.#leading || this.#leader !== null) this.#leaderlessMs = this.#clock.monotonicMs()
    this.#leading = false
    this.#term = term
    this.#leader = leader
    this.#cluster.follow()
    this.#beats.follow()
    this.#orders = []
    this.#inbound.follow()
    this.#wayLost()
    this.closeSoon()
  }

  linked(peer: PeerId, change: 'up' | 'down' | 'room'): void {
    if (peer !== this.#leader) return
    if (change !== 'room') this.#wayLost()
    if (change !== 'down') this.advance()
  }

  forwarded(from: PeerId, message: ForwardedBatch | ForwardRefusal): void {
    if (message.kind === FORWARD.batch) {
      this.#offered(from, message)
      return
    }
    if (from !== this.#leader || message.term !== this.#term || message.run !== this.admission.run) return
    const pending = this.#origin.refused(message.batch, message.reason === REFUSAL.full)
    if (pending === null) this.#refused = true
    else this.#refuseAll(pending.batch, 'OVERLOADED')
  }

  #offered(from: PeerId, message: ForwardedBatch): void {
    try {
      if (this.#inbound.offer(from, message)) this.closeSoon()
    } catch (error) {
      // What another member sends must not end this one.
      if (!(error instanceof ProtocolError)) throw error
      this.#telemetry.log('warn', 'batch not understood', { from, reason: error.message })
    }
  }

  tick(nowMs: number): void {
    this.#cluster.gather()
    this.#refused = false
    if (this.#leading) {
      if (this.admission.run !== null) this.#beats.tick(nowMs, this.#machine.timed)
    } else if (this.leaderless) this.#refuseGathered()
    this.gathering.expire(nowMs, this.#late)
    this.advance()
  }

  /** An entry was applied: what of this member is to be answered now, if it was its batch. */
  applied(entry: Entry, { executed, replies, moreDue }: Applied): Pending | null {
    this.admission.applied(entry, replies)
    if (moreDue && this.#leading) this.#beats.sweepDue()
    if (entry.batch === 0 || entry.member !== this.#memberId || entry.run !== this.admission.run) return null
    const { done, never } = this.#origin.applied(entry.batch)
    for (const pending of never) this.#refuseAll(pending.batch, 'NO_QUORUM')
    this.#returning.answered(done?.batch?.count ?? 0)
    if (done === null || executed) return done
    this.#refuseAll(done.batch, 'NO_QUORUM')
    return null
  }

  /** A snapshot has replaced the state: what of this member it holds already, nobody here saw the answers of. */
  installed(): void {
    const row = this.#machine.members.find(({ id }) => id === this.#memberId)
    if (row === undefined) return
    this.admission.found(row)
    for (const { batch } of this.#origin.through(row.batch)) this.#refuseAll(batch, 'OUTCOME_UNKNOWN')
  }

  /** Of batches that were sent nobody knows any more what becomes; what has only gathered is not executed. */
  abandon(): void {
    for (const { batch } of this.#origin.drain()) this.#refuseAll(batch, 'OUTCOME_UNKNOWN')
    this.#refuseGathered()
  }

  #refuseGathered(): void {
    for (let batch = this.gathering.take(); batch !== null; batch = this.gathering.take()) {
      this.#refuseAll(batch, 'NO_QUORUM')
    }
  }

  closeSoon(): void {
    if (this.#closing || !this.#open) return
    this.#closing = true
    // A turn of the loop is worth its time where others come along.
    if (this.#alone) this.#clock.next(this.#closeNow)
    else this.#clock.soon(this.#closeNow)
  }

  readonly #closeNow = (): void => {
    this.#closing = false
    this.#hooks.guard(() => this.advance())
  }

  /** Something waits for the next close. */
  get waiting(): boolean {
    return !this.gathering.empty || this.#beats.due || !this.#inbound.empty || this.#orders.length > 0
  }

  /** Closes and sends on what there is room for. */
  advance(): void {
    if (this.#leading) {
      if (this.#log.ready) this.#append(false)
    } else if (this.#leader !== null && !this.#refused) this.#forward(this.#leader)
  }

  get #open(): boolean {
    if (this.#leading) return this.#log.ready
    return this.#leader !== null && this.#origin.sentCount < REPLICA_LIMITS.forwardedMax
  }

  readonly #now = (): number => this.#clock.monotonicMs()

  readonly #late = (to: Recipient, id: number, attempt: number): void => {
    this.inFlight--
    this.#hooks.refuse(to, id, attempt, 'OVERLOADED')
  }

  /** What was on its way may be lost, and is to be sent again. */
  #wayLost(): void {
    this.#origin.lost()
    this.admission.again()
    this.#refused = false
  }

  /** Closes the next batch of this member. Null where there is nothing for it, or nothing that hurries. `company`: others are written anyway. */
  #close(nowMs: number, company: boolean): Pending | null {
    if (this.admission.run === null) return null
    if (!company && !this.#beats.wanting && this.#waits(this.gathering.next, nowMs)) return null
    const batch = this.#takeBatch(nowMs)
    const own = this.#beats.takeOwn()
    if (batch === null && own.length === 0) return null
    if (batch !== null) {
      this.#alone = hurried(batch.commands) <= 1
      this.#returning.closed()
      this.#telemetry.stage('queue', (nowMs - batch.openedMs) / 1_000)
    }
    return this.#origin.close(batch, own)
  }

  #waits(next: Batch | null, nowMs: number): boolean {
    return this.#patience.keeps(next, nowMs) || this.#returning.keeps(next?.count ?? 0, nowMs)
  }

  /** The first batch that still has a command after those past their deadline were refused. */
  #takeBatch(nowMs: number): Batch | null {
    for (let batch = this.gathering.take(); batch !== null; batch = this.gathering.take()) {
      batch.close(nowMs, this.#late)
      if (batch.count > 0) return batch
    }
    return null
  }

  /** All that is there goes into the log in one go, under one stamp. `first`: of a term; it is appended whatever there is. */
  #append(first: boolean): void {
    const nowMs = this.#clock.monotonicMs()
    const company = first || this.#beats.due || !this.#inbound.empty || this.#orders.length > 0
    this.#close(nowMs, company)
    const stamp = this.#cluster.stamp()
    const wall = wallMs(this.#clock.wallMs())
    const member = this.#memberId
    const drafts: Draft[] = []
    const add = (from: string, of: Run, batch: number, asked: readonly Command[], encoded?: Uint8Array) => {
      const commands = this.#growth.admitted(asked)
      const body = commands === asked ? encoded : undefined
      return drafts.push({ timeMs: stamp, wallMs: wall, member: from, run: of, batch, commands, body })
    }
    if (this.admission.due(nowMs)) {
      add(member, NO_RUN, 0, [this.admission.command])
      this.admission.asked(nowMs)
    }
    const own = this.admission.run
    if (own !== null) this.#origin.send(({ number, commands, body }) => add(member, own, number, commands, body) > 0)
    for (const one of this.#inbound.take()) add(one.member, one.run, one.batch, one.commands, one.body)
    for (const order of this.#orders.splice(0)) add(member, NO_RUN, 0, [order])
    const bare = this.#beats.bare() ?? (first ? BEAT : null)
    if (drafts.length === 0 && bare !== null) add(member, NO_RUN, 0, [bare])
    if (drafts.length === 0) return
    this.#beats.appended(nowMs)
    this.#log.append(drafts)
  }

  #forward(leader: PeerId): void {
    const nowMs = this.#clock.monotonicMs()
    const term = this.#term!
    const member = this.#memberId
    const send = (of: Run, batch: number, body: Uint8Array) =>
      this.#log.send(leader, { kind: FORWARD.batch, term, member, run: of, batch, body })
    if (this.admission.due(nowMs) && send(NO_RUN, 0, this.admission.body)) this.admission.asked(nowMs)
    const own = this.admission.run
    if (own === null) return
    const push = () => this.#origin.send(({ number, body }) => this.#roomThere && send(own, number, body))
    push()
    while (this.#roomThere && this.#origin.allSent && this.#close(nowMs, false) !== null) push()
  }

  get #roomThere(): boolean {
    return this.#origin.sentCount < REPLICA_LIMITS.forwardedMax
  }

  #refuseAll(batch: Batch | null, code: ErrorCode): void {
    if (batch === null) return
    this.inFlight -= batch.count
    for (let i = 0; i < batch.count; i++) {
      this.#hooks.refuse(batch.recipients[i]!, batch.ids[i]!, batch.attempts[i]!, code)
    }
  }
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
