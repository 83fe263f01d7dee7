/** Answers to requests for tokens. Those within a request's own call are sent by whoever called; the others are sent together, at the end of a step. */
import { burstOf, ERRORS, type ErrorCode, OK, type QuotaView, type TakenHow, tokensPerMsOf } from '@leasehold/protocol'
import type { Random } from '../ports/index.js'
import type { Recipient } from '../replica/index.js'
import { QUOTA_LIMITS as L } from './limits.js'

export class Answers {
  readonly #random: Random
  readonly #touched = new Set<Recipient>()
  /** No request's own call is under way. */
  outside = false

  constructor(random: Random) {
    this.#random = random
  }

  /** It is gone. */
  forget(to: Recipient): void {
    this.#touched.delete(to)
  }

  admitted(
    to: Recipient,
    id: number,
    attempt: number,
    view: QuotaView,
    taken: number,
    remaining: number,
    how: TakenHow,
  ): void {
    const limit = burstOf(view.spec)
    const left = Math.min(limit, remaining)
    this.reply(to, id, attempt, OK, [taken, left, limit, fullInMs(view, left), how])
  }

  exceed(to: Recipient, id: number, attempt: number, view: QuotaView, retryAfterMs: number, remaining: number): void {
    const laterMs = Math.ceil(retryAfterMs * (1 + this.#random.next() * L.jitterShare))
    const detail = `${view.name} is used up; nothing was taken`
    this.reply(to, id, attempt, ERRORS.QUOTA_EXCEEDED.wire, [
      ...[detail, Math.max(1, laterMs), remaining, burstOf(view.spec), fullInMs(view, remaining)],
    ])
  }

  refuse(to: Recipient, id: number, attempt: number, code: ErrorCode, detail: string): void {
    const retryAfterMs = ERRORS[code].retryable ? Math.ceil(L.cycleMsMax * (0.5 + this.#random.next())) : 0
    this.reply(to, id, attempt, ERRORS[code].wire, [detail, retryAfterMs])
  }

  reply(to: Recipient, id: number, attempt: number, code: number, fields: readonly unknown[]): void {
    to.reply(id, attempt, code, fields)
    if (this.outside) this.#touched.add(to)
  }

  flush(): void {
    for (const to of this.#touched) to.flush()
    this.#touched.clear()
  }
}

/** Until the bucket is full again, as far as is known here. */
function fullInMs({ spec }: QuotaView, remaining: number): number {
  return Math.ceil((burstOf(spec) - remaining) / tokensPerMsOf(spec))
}
