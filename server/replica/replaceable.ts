/** The machine as the replica holds it: a snapshot that is installed puts another one in its place. */
import type { Applied, Entry, StoredTable } from '../machine/index.js'
import type { LeasePage, QuotaPage, StateMachine } from './statemachine.js'

/** A machine whose tables storage can load. */
export interface FreshMachine extends StateMachine {
  readonly tables: readonly StoredTable[]
}

export class ReplaceableMachine implements StateMachine {
  #current: StateMachine

  constructor(current: StateMachine) {
    this.#current = current
  }

  replace(next: StateMachine): void {
    this.#current = next
  }

  loaded(): void {
    this.#current.loaded()
  }
  apply(entry: Entry): Applied {
    return this.#current.apply(entry)
  }
  get tables() {
    return this.#current.tables
  }
  get configuration() {
    return this.#current.configuration
  }
  get members() {
    return this.#current.members
  }
  get format() {
    return this.#current.format
  }
  get timeMs() {
    return this.#current.timeMs
  }
  get timed() {
    return this.#current.timed
  }
  get leaseCount() {
    return this.#current.leaseCount
  }
  get waiterCount() {
    return this.#current.waiterCount
  }
  lease(name: string) {
    return this.#current.lease(name)
  }
  list(query: { prefix: string; after: string | null; limit: number }): LeasePage {
    return this.#current.list(query)
  }
  quota(name: string) {
    return this.#current.quota(name)
  }
  listQuotas(query: { prefix: string; after: string | null; limit: number }): QuotaPage {
    return this.#current.listQuotas(query)
  }
  tabsOf(member: string) {
    return this.#current.tabsOf(member)
  }
  lastDrawOf(member: string) {
    return this.#current.lastDrawOf(member)
  }
}
