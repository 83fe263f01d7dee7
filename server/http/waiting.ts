/**
 * HTTP requests that are owed an answer by the replica: each has a lane of its own, so that a closed connection takes
 * nothing else with it. Two requests with the same Idempotency-Key that stand in a queue are one there: the later one
 * is told first, and tells the others. Must never leave a request without an answer while its connection lives.
 */
import {
  type Acquire,
  type ClientCommand,
  ERRORS,
  OP,
  QUEUED,
  type TakeRequest,
  type WaiterId,
} from '@leasehold/protocol'
import type { Intake, Lane, Outlet } from '../intake/index.js'
import type { Random } from '../ports/index.js'
import type { HttpLimits } from './limits.js'
import { OwnRequests } from './ownrequests.js'

export interface Answer {
  readonly code: number
  readonly fields: readonly unknown[]
  /** It stood in a queue before. */
  readonly waited: boolean
}

export interface Asker {
  readonly principal: string
  readonly bytes: number
  /** Calls back when the connection is gone. Returns how to stop listening. */
  onGone(listener: () => void): () => void
}

/** A take as a command of its own: it goes to the quotas of this member, and not into the log. */
interface Take {
  readonly op: typeof OP.take
  readonly principal: string
  readonly request: TakeRequest
}

export class Waiting {
  readonly #intake: Intake
  readonly #limits: HttpLimits
  readonly #open = new Set<Pending>()
  readonly #queued = new Map<WaiterId, Pending[]>()
  readonly #own: OwnRequests
  readonly #stop: () => void

  constructor(intake: Intake, random: Random, limits: HttpLimits) {
    this.#intake = intake
    this.#limits = limits
    this.#own = new OwnRequests(intake, random, limits.deadlineMs)
    this.#stop = intake.clock.every(1_000, () => this.#tick())
  }

  /**
   * Hands a checked command in. Resolves with its final answer, or with null when its connection is gone: it is then
   * given up where nobody could come back for it, else kept a while for the same Idempotency-Key to come back.
   */
  submit(command: ClientCommand, asker: Asker): Promise<Answer | null> {
    return new Promise((resolve) => {
      const unnamed = command.op === OP.acquire && command.waitMs > 0 && command.request === null
      const pending = unnamed
        ? new Pending(this, this.#intake, this.#named(command), this.#own, resolve)
        : new Pending(this, this.#intake, command, null, resolve)
      this.#begin(pending, asker)
    })
  }

  /** Asks the quotas of this member, in the same way. What is not answered when its connection goes is not taken. */
  take(request: TakeRequest, asker: Asker): Promise<Answer | null> {
    const { principal } = asker
    return new Promise((resolve) => {
      this.#begin(new Pending(this, this.#intake, { op: OP.take, principal, request }, null, resolve), asker)
    })
  }

  /** Ends all waits: called when the member drains. The requests are answered, each as its wait allows. */
  drain(): void {
    for (const pending of [...this.#open]) pending.breakOff()
  }

  close(): void {
    this.#stop()
    for (const pending of [...this.#open]) pending.unknown()
  }

  // for the requests

  queued(pending: Pending, waiter: WaiterId): void {
    const group = this.#queued.get(waiter)
    if (group === undefined) this.#queued.set(waiter, [pending])
    else if (!group.includes(pending)) group.push(pending)
  }

  /** The answer of a place in the queue is the answer of all who share it. */
  settled(pending: Pending, waiter: WaiterId | null, code: number, fields: readonly unknown[]): void {
    this.#open.delete(pending)
    if (waiter === null) return
    const group = this.#queued.get(waiter)
    if (group === undefined) return
    this.#queued.delete(waiter)
    for (const other of group) if (other !== pending) other.answer(0, 1, code, fields)
  }

  /** Whether a later request shares its place, and will tell it. */
  joined(pending: Pending, waiter: WaiterId | null): boolean {
    const group = waiter === null ? undefined : this.#queued.get(waiter)
    return group !== undefined && group.at(-1) !== pending && group.includes(pending)
  }

  /** Leaves its place. Who came last is who is told: when that one leaves, the one before asks again. */
  left(pending: Pending, waiter: WaiterId | null): void {
    this.#open.delete(pending)
    if (waiter === null) return
    const group = this.#queued.get(waiter) ?? []
    const others = group.filter((other) => other !== pending)
    if (others.length === 0) this.#queued.delete(waiter)
    else {
      this.#queued.set(waiter, others)
      if (group.at(-1) === pending) others.at(-1)?.again()
    }
  }

  #begin(pending: Pending, asker: Asker): void {
    this.#open.add(pending)
    pending.begin(asker, this.#intake.clock.monotonicMs() + this.#limits.answerMs, this.#limits.deadlineMs)
  }

  /** A request that waits needs a name, so that it can be given up. */
  #named(command: Acquire): Acquire {
    return { ...command, request: this.#own.open(command.principal, this.#intake.replica.status.clusterMs) }
  }

  #tick(): void {
    this.#own.tick()
    const nowMs = this.#intake.clock.monotonicMs()
    for (const pending of [...this.#open]) if (pending.dueMs <= nowMs) pending.unknown()
  }
}

class Pending implements Outlet {
  readonly #all: Waiting
  readonly #intake: Intake
  readonly #asked: ClientCommand | Take
  /** Where its name was made; null where its client made it, or it has none. */
  readonly #own: OwnRequests | null
  readonly #resolve: (answer: Answer | null) => void
  #lane: Lane | null = null
  #waiter: WaiterId | null = null
  #done = false
  #bytes = 0
  #deadlineMs = 0
  #stopListening = (): void => {}
  /** When its outcome is called unknown; never while it stands in a queue. */
  dueMs = Number.POSITIVE_INFINITY

  constructor(
    all: Waiting,
    intake: Intake,
    asked: ClientCommand | Take,
    own: OwnRequests | null,
    resolve: (answer: Answer | null) => void,
  ) {
    this.#all = all
    this.#intake = intake
    this.#asked = asked
    this.#own = own
    this.#resolve = resolve
  }

  begin(asker: Asker, dueMs: number, deadlineMs: number): void {
    this.dueMs = dueMs
    this.#bytes = asker.bytes
    this.#deadlineMs = deadlineMs
    this.#stopListening = asker.onGone(() => this.#gone())
    this.again()
  }

  /** Hands it in, under a lane of its own. */
  again(): void {
    if (this.#done) return
    this.#lane?.close()
    const { principal } = this.#asked
    this.#lane = this.#intake.lane({ principal, scope: `p:${principal}` }, this, { quiet: true })
    this.#lane.begin()
    if (this.#asked.op === OP.take) this.#lane.takeTokens(this.#asked.request, this.#bytes, this.#deadlineMs)
    else this.#lane.change(this.#asked, this.#bytes, this.#deadlineMs)
    this.#lane.end()
  }

  answer(_id: number, _attempt: number, code: number, fields: readonly unknown[]): void {
    if (this.#done) return
    if (code === QUEUED) {
      this.#waiter = fields[0] as WaiterId
      this.dueMs = Number.POSITIVE_INFINITY
      this.#all.queued(this, this.#waiter)
      return
    }
    // The replica tells only who came last; who was replaced is told by that one.
    const replaced = code === ERRORS.OUTCOME_UNKNOWN.wire && this.#waiter !== null
    if (replaced && this.#all.joined(this, this.#waiter)) return
    this.#settle(code, fields)
  }

  flush(): void {}

  unknown(): void {
    this.#settle(ERRORS.OUTCOME_UNKNOWN.wire, ['no answer came in time; the request may or may not be executed', 0])
  }

  /** The member shuts down: a wait that nobody can come back for is given up, any other is left to its key. */
  breakOff(): void {
    if (this.#waiter === null) return
    if (this.#own === null) {
      const detail = 'the member shuts down while the request waits; repeat it with the same Idempotency-Key'
      this.#settle(ERRORS.OUTCOME_UNKNOWN.wire, [detail, this.#intake.retryAfterMs()])
      return
    }
    const detail = 'the member shuts down; the wait was given up'
    this.#settle(ERRORS.SHUTTING_DOWN.wire, [detail, this.#intake.retryAfterMs()])
  }

  #settle(code: number, fields: readonly unknown[]): void {
    if (this.#done) return
    this.#finish({ code, fields, waited: this.#waiter !== null })
    this.#all.settled(this, this.#waiter, code, fields)
  }

  #gone(): void {
    if (this.#done) return
    this.#finish(null)
    this.#all.left(this, this.#waiter)
  }

  #finish(answer: Answer | null): void {
    this.#done = true
    this.#stopListening()
    if (this.#own !== null) this.#endOwn(this.#own, answer)
    this.#lane?.close()
    this.#resolve(answer)
  }

  /** Without an outcome it is given up: nobody else can name it, so nobody can come back for it. */
  #endOwn(own: OwnRequests, answer: Answer | null): void {
    const { principal, request } = this.#asked as Acquire
    if (answer === null || !isOutcome(answer)) own.giveUp(principal, request!.key)
    else own.answered(principal, request!.key)
  }
}

/** Whether it is over for the cluster, too. A refusal is, unless it came to a request that stood in a queue. */
function isOutcome({ code, waited }: Answer): boolean {
  if (code === ERRORS.OUTCOME_UNKNOWN.wire) return false
  return !(waited && code === ERRORS.SHUTTING_DOWN.wire)
}
