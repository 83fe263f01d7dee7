/**
 * What clients have of this member's tokens: a tab for each quota and connection. It ends with the member's own at the latest; what its
 * client has not reported by then counts as spent, since it may have been.
 */
import type { Account } from './account.js'
import { QUOTA_LIMITS as L } from './limits.js'

/** Cumulative counts since it was opened: spent + returned <= granted. */
export interface ClientTab {
  readonly number: number
  readonly quota: string
  /** The member's tab that its tokens are of. */
  readonly of: number
  granted: number
  spent: number
  returned: number
  /** The member's tab has ended, and this one with it. */
  over: boolean
}

export class ClientTabs {
  readonly #bySession = new Map<object, Map<string, ClientTab>>()
  #last = 0
  #count = 0

  /** The one that stands; null: none, or it has ended. */
  find(session: object, { name, tab }: Account): ClientTab | null {
    const found = this.#bySession.get(session)?.get(name)
    return found === undefined || found.over || found.of !== tab ? null : found
  }

  /** In place of one that has ended. Null where there are too many. */
  open(session: object, { name, tab }: Account): ClientTab | null {
    const tabs = this.#bySession.get(session) ?? new Map<string, ClientTab>()
    const fresh = !tabs.has(name)
    if (fresh && (tabs.size >= L.tabsPerSessionMax || this.#count >= L.tabsMax)) return null
    if (fresh) this.#count++
    const opened = { number: ++this.#last, quota: name, of: tab, granted: 0, spent: 0, returned: 0, over: false }
    tabs.set(name, opened)
    this.#bySession.set(session, tabs)
    return opened
  }

  /** The connection is gone. What its client has it may spend until the end; nobody will tell. */
  forget(session: object): void {
    this.#count -= this.#bySession.get(session)?.size ?? 0
    this.#bySession.delete(session)
  }
}
