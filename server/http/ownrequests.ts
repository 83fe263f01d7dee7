/**
 * The names of waits that their clients did not name: this process is to the cluster what a session of the library is,
 * with a scope that nobody can guess, numbers, and for each principal the lowest number that is still unanswered, so that
 * what is answered need not be remembered. Must never let that lowest pass a request that was given up before its
 * cancel is answered: a grant that raced it could no longer be found and given back.
 */
import { type ClusterMs, LIMITS, OK, OP, type RequestToken } from '@leasehold/protocol'
import type { Intake, Outlet } from '../intake/index.js'
import type { Random } from '../ports/index.js'

const SCOPE_BYTES = 16
/** Cancels that were refused and are tried again; past it the oldest is forgotten. */
const OWED_MAX = 65_536
/** Of them, so many are tried again at a time. */
const AGAIN_MAX = 256
/** A request that is older is STALE wherever it turns up. */
const FORGET_MS = LIMITS.retentionMs + 60_000

export class OwnRequests {
  readonly #intake: Intake
  readonly #deadlineMs: number
  readonly #scope: string
  /** Of each principal that has any, in rising order. */
  readonly #unanswered = new Map<string, Set<number>>()
  /** Cancels that were refused, in the order of their last attempts. */
  readonly #owed = new Set<Cancel>()
  #last = 0

  constructor(intake: Intake, random: Random, deadlineMs: number) {
    this.#intake = intake
    this.#deadlineMs = deadlineMs
    this.#scope = `m:${Buffer.from(random.bytes(SCOPE_BYTES)).toString('hex')}`
  }

  /** Names a request that is handed in now. It is unanswered until one of the two below is called for it. */
  open(principal: string, knownMs: ClusterMs): RequestToken {
    const key = ++this.#last
    let unanswered = this.#unanswered.get(principal)
    if (unanswered === undefined) {
      unanswered = new Set()
      this.#unanswered.set(principal, unanswered)
    }
    unanswered.add(key)
    const [lowest = key] = unanswered
    return { scope: this.#scope, key, lowest, knownMs }
  }

  /** The request has its outcome. */
  answered(principal: string, key: number | string): void {
    const unanswered = this.#unanswered.get(principal)
    if (unanswered === undefined) return
    unanswered.delete(key as number)
    if (unanswered.size === 0) this.#unanswered.delete(principal)
  }

  /** Nobody waits for its outcome any more: it leaves the queue, and gives back a grant that raced it. */
  giveUp(principal: string, key: number | string): void {
    this.#send(new Cancel(this, principal, key, this.#intake.clock.monotonicMs() + FORGET_MS))
  }

  /** Tries again what was refused. Called about once a second. */
  tick(): void {
    const nowMs = this.#intake.clock.monotonicMs()
    let left = AGAIN_MAX
    for (const cancel of [...this.#owed]) {
      if (left-- === 0) return
      this.#owed.delete(cancel)
      if (cancel.forgetMs <= nowMs) this.answered(cancel.principal, cancel.key)
      else this.#send(cancel)
    }
  }

  /** For its cancels. */
  refused(cancel: Cancel): void {
    const [oldest] = this.#owed
    if (oldest !== undefined && this.#owed.size >= OWED_MAX) {
      this.#owed.delete(oldest)
      this.answered(oldest.principal, oldest.key)
    }
    this.#owed.add(cancel)
  }

  #send(cancel: Cancel): void {
    const { principal, key } = cancel
    const lane = this.#intake.lane({ principal, scope: this.#scope }, cancel, { quiet: true })
    lane.begin()
    lane.change({ op: OP.cancelWait, principal, scope: this.#scope, key }, 0, this.#deadlineMs)
    lane.end()
  }
}

class Cancel implements Outlet {
  readonly #all: OwnRequests
  readonly principal: string
  readonly key: number | string
  readonly forgetMs: number

  constructor(all: OwnRequests, principal: string, key: number | string, forgetMs: number) {
    this.#all = all
    this.principal = principal
    this.key = key
    this.forgetMs = forgetMs
  }

  answer(_id: number, _attempt: number, code: number): void {
    if (code === OK) this.#all.answered(this.principal, this.key)
    else this.#all.refused(this)
  }

  flush(): void {}
}
