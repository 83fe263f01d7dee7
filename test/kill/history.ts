/** What a kill test writes down: every request with what came back, every look at the state, and the audit at the end. */
import type { ChainedEvent } from '@leasehold/protocol'

export type KillOp = 'acquire' | 'renew' | 'release' | 'transfer'

export interface Asked {
  readonly op: KillOp
  readonly name: string
  readonly holder: string
  /** Of renew, release, transfer. */
  readonly token: number | null
  /** Of transfer. */
  readonly to: string | null
  /** Of the first attempt, and of the one that was answered; on the test's monotonic clock. */
  readonly firstSentMs: number
  readonly sentMs: number
  /** Null: nobody knows what became of it. */
  readonly answeredMs: number | null
  readonly outcome: Outcome | null
}

export type Outcome =
  | { readonly kind: 'granted'; readonly token: number; readonly remainingMs: number }
  | { readonly kind: 'offered'; readonly token: number }
  | { readonly kind: 'ended' }
  | { readonly kind: 'lost'; readonly token: number; readonly reason: string }
  | { readonly kind: 'refused'; readonly code: string }

/** A read of one name: whose it is, by token; null where nobody's. */
export interface Look {
  readonly name: string
  readonly token: number | null
  readonly sentMs: number
  readonly answeredMs: number
}

export interface KillHistory {
  readonly asked: readonly Asked[]
  readonly looks: readonly Look[]
  /** The whole audit. */
  readonly events: readonly ChainedEvent[]
}
