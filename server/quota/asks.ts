/** Requests that wait for tokens, in the order in which they came. A request is taken out once, with its answer. */
import type { Recipient } from '../replica/index.js'
import type { Account } from './account.js'

/** Tokens of one quota. */
export interface Need {
  readonly account: Account
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
  /** The draw that asks for its tokens; 0: none does yet. */
  seq: number
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
