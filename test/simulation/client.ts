/**
 * A model client: it asks as the library does (request tokens, attempts, several members, the lowest sequence number that it
 * still waits for), and lives lives of grants. What it is told goes to the holders' book by the rules of the client's clock.
 */
import { validityMs } from '@leasehold/client/internals'
import {
  type ClientCommand,
  clusterMs,
  ERRORS,
  type GrantedFields,
  type LeaseView,
  LIMITS,
  OK,
  QUEUED,
  type RequestToken,
} from '@leasehold/protocol'
import { RATE_ERROR } from './clocks.js'
import type { Answers, Connection, Sent } from './connection.js'
import type { Dice } from './dice.js'
import type { ClientHistory } from './history.js'
import type { Holders } from './holders.js'
import type { Scheduler } from './scheduler.js'
import type { Trace } from './trace.js'

/** What a client needs of its world. */
export interface ClientWorld {
  readonly scheduler: Scheduler
  readonly holders: Holders
  readonly history: ClientHistory
  readonly trace: Trace
  /** No new work; what is under way goes on until it is done. */
  readonly finishing: boolean
  /** A connection to a member that takes one, not `except` where there is another; null where none does. */
  connect(client: Client, except: string | null): Connection | null
  /** A request begins, or has come to its end. */
  operation(what: 'asked' | 'answered' | 'abandoned'): void
}

export interface Answer {
  readonly code: number
  readonly fields: readonly unknown[]
}

interface Pending {
  readonly call: ReturnType<ClientHistory['called']>
  readonly sent: Sent[]
  /** Told of a grant that comes of it, also where the answer came too late for its attempt. False once the client has given up: it counts on none. */
  readonly counts: (token: number) => boolean
  wake: ((what: Answer | 'again' | 'late' | 'broken' | 'queued') => void) | null
}

const AGAIN = new Set<number>([
  ERRORS.OVERLOADED.wire,
  ERRORS.SHUTTING_DOWN.wire,
  ERRORS.NO_QUORUM.wire,
  ERRORS.UPGRADE_PENDING.wire,
  ERRORS.OUTCOME_UNKNOWN.wire,
])
const ATTEMPT_MS = 1_200
const ATTEMPT_MS_MAX = 4_000
const QUEUED_MS_MAX = 12_000
const PATIENCE_MS_MAX = 15_000

export class Client implements Answers {
  readonly name: string
  readonly number: number
  readonly dice: Dice
  readonly world: ClientWorld
  readonly #rate: number
  #scope: string
  #seq = 0
  #unanswered = new Set<number>()
  #sessions = 0
  #knownMs = 0
  #ids = 0
  readonly #pending = new Map<number, Pending>()
  readonly #looks = new Map<number, (view: LeaseView | null | undefined) => void>()
  #connection: Connection | null = null
  #last: string | null = null

  constructor(number: number, world: ClientWorld, dice: Dice) {
    this.number = number
    this.name = `c${number}`
    this.dice = dice
    this.world = world
    this.#rate = dice.between(1 - RATE_ERROR, 1 + RATE_ERROR)
    this.#scope = this.#newScope()
  }

  /** Names the next request, whatever the attempt. `done` when its last word is known. */
  request(): { token: () => RequestToken; key: number; scope: string; done: () => void } {
    const key = ++this.#seq
    const scope = this.#scope
    const unanswered = this.#unanswered
    unanswered.add(key)
    const known = clusterMs(this.#knownMs)
    const token = (): RequestToken => ({ scope, key, lowest: Math.min(this.#seq + 1, ...unanswered), knownMs: known })
    return { token, key, scope, done: () => void unanswered.delete(key) }
  }

  /**
   * Asks until there is an answer that is one, whatever becomes of members and connections; null where the client has lost its
   * patience, and does not know.
   */
  async ask(make: () => ClientCommand, waitMs = 0, counts: Pending['counts'] = () => true): Promise<Answer | null> {
    const { scheduler, history } = this.world
    const id = ++this.#ids
    let command = make()
    const call = history.called(command)
    const pending: Pending = { call, sent: [], counts, wake: null }
    this.#pending.set(id, pending)
    this.world.operation('asked')
    const untilMs = scheduler.nowMs + waitMs + this.dice.between(PATIENCE_MS_MAX / 4, PATIENCE_MS_MAX)
    for (let attempt = 1; ; attempt++) {
      const what = await this.#attempt(id, pending, command, attempt)
      if (typeof what === 'object') {
        history.answered(call, what.code, what.fields)
        this.#pending.delete(id)
        this.world.operation('answered')
        return what
      }
      if (!this.world.finishing && scheduler.nowMs > untilMs) {
        this.#pending.delete(id)
        this.world.operation('abandoned')
        return null
      }
      if (what !== 'broken') await scheduler.sleep(this.dice.between(5, 80) * Math.min(attempt, 10))
      if (what === 'late' ? this.dice.chance(0.5) : what === 'again' && this.dice.chance(0.3)) this.leave()
      command = make()
    }
  }

  async #attempt(id: number, pending: Pending, command: ClientCommand, attempt: number) {
    const { scheduler } = this.world
    const connection = await this.#connected()
    const answered = new Promise<Answer | 'again' | 'late' | 'broken' | 'queued'>((resolve) => (pending.wake = resolve))
    pending.call.attempts = attempt
    pending.sent[attempt] = connection.send(command, id, attempt, this.dice.between(500, 5_000))
    const late = scheduler.after(this.dice.tailed(ATTEMPT_MS, ATTEMPT_MS_MAX), () => pending.wake?.('late'))
    let what = await answered
    late.task = null
    if (what !== 'queued') return what
    const tooLate = scheduler.after(QUEUED_MS_MAX, () => pending.wake?.('late'))
    do {
      what = await new Promise((resolve) => (pending.wake = resolve))
    } while (what === 'queued')
    tooLate.task = null
    return what
  }

  /** Reads a lease, once; undefined where it could not be read. */
  async look(name: string): Promise<LeaseView | null | undefined> {
    const connection = await this.#connected()
    const id = ++this.#ids
    const askedMs = this.world.scheduler.nowMs
    this.world.operation('asked')
    const seen = new Promise<LeaseView | null | undefined>((resolve) => this.#looks.set(id, resolve))
    connection.look(id, name)
    const late = this.world.scheduler.after(ATTEMPT_MS, () => this.view(id, undefined))
    const view = await seen
    late.task = null
    if (view !== undefined) this.world.history.looked(name, askedMs, view)
    this.world.operation(view === undefined ? 'abandoned' : 'answered')
    return view
  }

  /** A new process under the old name: it knows nothing of its requests. */
  restart(): void {
    this.#scope = this.#newScope()
    this.#seq = 0
    this.#unanswered = new Set()
    this.leave()
  }

  leave(): void {
    this.#connection?.close()
    this.#connection = null
  }

  async #connected(): Promise<Connection> {
    for (;;) {
      if (this.#connection?.open) return this.#connection
      this.#connection = this.world.connect(this, this.#last)
      if (this.#connection !== null) {
        const { host } = this.#connection
        this.#last = host.name
        this.#knownMs = Math.max(this.#knownMs, host.replica.status.clusterMs)
      } else await this.world.scheduler.sleep(this.dice.between(10, 150))
    }
  }

  // what a connection tells

  answer(id: number, attempt: number, code: number, fields: readonly unknown[]): void {
    const pending = this.#pending.get(id)
    const { scheduler, trace } = this.world
    trace.note(scheduler.nowMs, 'told', this.name, id, attempt, code, Number(fields[0]) || 0)
    if (pending === undefined) return
    if (code === QUEUED) {
      this.world.history.queued(pending.call)
      pending.wake?.('queued')
    } else if (AGAIN.has(code)) pending.wake?.('again')
    else {
      const sent = pending.sent[attempt]!
      if (code === OK && fields.length === 5 && pending.counts(Number(fields[0])))
        this.#granted(sent, fields as GrantedFields)
      pending.wake?.({ code, fields })
    }
  }

  view(id: number, view: LeaseView | null | undefined): void {
    this.#looks.get(id)?.(view)
    this.#looks.delete(id)
  }

  broken(): void {
    for (const pending of this.#pending.values()) pending.wake?.('broken')
    for (const id of [...this.#looks.keys()]) this.view(id, undefined)
  }

  #granted({ command, sentMs }: Sent, [token, , remainingMs]: GrantedFields): void {
    if (!('name' in command)) return
    const untilMs = sentMs + validityMs(remainingMs, LIMITS.driftMin) / this.#rate
    this.world.holders.granted(this.name, command.name, token, untilMs)
  }

  #newScope(): string {
    return `s:${this.number.toString(16).padStart(16, '0')}${(++this.#sessions).toString(16).padStart(16, '0')}`
  }
}
