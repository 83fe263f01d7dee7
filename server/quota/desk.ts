/** What the front door sees of the quotas of its member. */
import type { DrawRequest, TakeRequest, TopQuery } from '@leasehold/protocol'
import type { Recipient } from '../replica/index.js'

export interface QuotaDesk {
  /**
   * Decides, at once where this member has the tokens or knows that there are none, else once it has drawn. Answers OK with TakenFields,
   * QUOTA_EXCEEDED with ExceededFields, or an error: QUOTA_NOT_FOUND, INVALID_ARGUMENT (a cost that can never be admitted, a key too much or
   * too few), NO_QUORUM, OVERLOADED. `deadlineMs`: on the monotonic clock; past it nothing is taken (OVERLOADED). Never flushes from within the call.
   */
  take(request: TakeRequest, to: Recipient, id: number, attempt: number, deadlineMs: number): void
  /** The same for a client that spends by itself: OK with DrawnFields, also where nothing could be granted. `session` is who has the tabs. */
  draw(request: DrawRequest, session: object, to: Recipient, id: number, attempt: number, deadlineMs: number): void
  /** The recipient is gone: what it still asked for is not taken. */
  detach(to: Recipient): void
  /** The keys of a perKey quota that ask for most, heaviest first. QUOTA_NOT_FOUND, or INVALID_ARGUMENT for a quota without keys: throws ProtocolError. */
  top(query: TopQuery): Top
  /** Gives everything back that nobody spends any more, as far as somebody leads, within `untilMs` (on the monotonic clock). Safe to call twice. */
  close(untilMs: number): Promise<void>
}

export interface TopKey {
  readonly key: string
  readonly ratePerS: number
  /** The rate may be too high by so much. */
  readonly errorPerS: number
}

export interface Top {
  readonly keys: readonly TopKey[]
  readonly totalPerS: number
}
