/** Requests that wait for tokens, in the order in which they came. A request is taken out once, with its answer. */
import type { Recipient } from '../replica/index.js'
import type { Purse } from './purse.js'

/** Tokens of one quota. */
export interface Need {
  readonly account: Purse
  readonly tokens: number
}

export interface Ask {
  readonly needs: readonly Need[]
  readonly to: Recipient
  readonly id: number
  readonly attempt: number
  readonly deadlineMs: number
  readonly sinceMs: number
  /** As much as there is will do; of one quota alone. */
  readonly upTo: boolean
  /** A client that spends by itself; null: it is decided here. */
  readonly session: object | null
  /** What it has not heard of yet: OWED.draw, OWED.keys, or both. */
  owed: number
  /** The draw that asks for its tokens; 0: none does yet. */
  seq: number
  /** The same of what is asked for under keys. */
  keySeq: number
}

export const OWED = { draw: 1, keys: 2 } as const

export function newAsk(
  needs: readonly Need[],
  to: Recipient,
  id: number,
  attempt: number,
  deadlineMs: number,
  sinceMs: number,
  upTo: boolean,
  session: object | null,
): Ask {
  let owed = 0
  for (const { account } of needs) owed |= account.how === 'exact' ? OWED.draw : OWED.keys
  return { needs, to, id, attempt, deadlineMs, sinceMs, upTo, session, owed, seq: 0, keySeq: 0 }
}

export class Asks {
  #asks: Ask[] = []

  get count(): number {
    return this.#asks.length
  }
  get all(): readonly Ask[] {
    return this.#asks
  }

  add(ask: Ask): void {
    this.#asks.push(ask)
    for (const { account } of ask.needs) account.waiting++
  }

  /** Takes out those that `over` says are over. */
  settle(over: (ask: Ask) => boolean): void {
    this.#asks = this.#asks.filter((ask) => {
      if (!over(ask)) return true
      for (const { account } of ask.needs) account.waiting--
      return false
    })
  }
}
