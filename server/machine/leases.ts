/**
 * All leases by name, with what is derived from their rows: what is due next, the order of names, the live tokens.
 * It keeps these in step; what a change means is decided elsewhere.
 */
import { DueQueue } from './due.js'
import { Interner } from './intern.js'
import { blankLease, LEASE_STATE, type Lease, leaseCodec } from './lease.js'
import type { MachineLimits } from './limits.js'
import { OrderedNames } from './names.js'
import { Renewals } from './renewals.js'
import { Table } from './table.js'
import { LiveTokens } from './tokens.js'

/** What a new grant or offer puts into a row. */
export interface Grant {
  readonly holder: string
  readonly principal: string
  readonly meta: string | null
  readonly ttlMs: number
  readonly lockDelayMs: number
}

export class Leases {
  readonly table = new Table(leaseCodec)
  readonly renewals: Renewals
  readonly #due = new DueQueue<Lease>((lease) => lease.token)
  readonly #names = new OrderedNames()
  readonly #tokens = new LiveTokens()
  readonly #principals = new Interner()
  readonly #holders = new Interner()
  readonly #metas = new Interner()
  #delayed = 0

  constructor(limits: MachineLimits) {
    this.renewals = new Renewals(limits)
  }

  /** Held and offered ones. */
  get liveCount(): number {
    return this.table.size - this.#delayed
  }
  /** Rows of any kind. */
  get size(): number {
    return this.table.size
  }

  get(name: string): Lease | undefined {
    return this.table.get(name)
  }

  /** The row under this token, whatever its name: a grant, an offer, or the delay after it. */
  byToken(token: number): Lease | undefined {
    return this.#tokens.find(token)
  }

  /** A row for a free name. */
  add(name: string, state: number, token: number, endMs: number, grant: Grant): Lease {
    const lease = blankLease(name)
    lease.state = state
    lease.token = token
    lease.endMs = endMs
    this.#fill(lease, grant)
    this.table.insert(name, lease)
    this.#names.add(name)
    this.#tokens.add(lease)
    this.#due.add(lease)
    return lease
  }

  /** The row's grant has ended, and its name goes to somebody else at once. */
  replace(lease: Lease, state: number, token: number, endMs: number, grant: Grant): void {
    if (lease.state === LEASE_STATE.delayed) this.#delayed--
    lease.state = state
    lease.token = token
    lease.renewals = 0
    this.renewals.forget(lease)
    this.#fill(lease, grant)
    this.#tokens.ended()
    this.#tokens.add(lease)
    this.#moveEnd(lease, endMs)
  }

  /** The offer is a grant from now on. The end only grows here. */
  claim(lease: Lease, endMs: number): void {
    lease.state = LEASE_STATE.held
    lease.endMs = endMs
    this.table.touch(lease)
  }

  /** The grant goes on. The end only grows here. */
  renew(lease: Lease, endMs: number): void {
    lease.endMs = endMs
    lease.renewals++
    this.renewals.note(lease)
  }

  /** The row's grant has ended uncleanly. */
  delay(lease: Lease, endMs: number): void {
    lease.state = LEASE_STATE.delayed
    this.#delayed++
    this.renewals.forget(lease)
    this.#moveEnd(lease, endMs)
  }

  /** The name is free. */
  remove(lease: Lease): void {
    if (lease.state === LEASE_STATE.delayed) this.#delayed--
    lease.state = LEASE_STATE.gone
    this.renewals.forget(lease)
    this.table.remove(lease.name, lease)
    this.#names.delete(lease.name)
    this.#due.remove(lease)
    this.#tokens.ended()
  }

  /** The first row in the order of (end, token) that has ended at `horizonMs`; it stays until it is changed. */
  due(horizonMs: number): Lease | null {
    return this.#due.peek(horizonMs)
  }

  /** Rows in the order of their names, from `start` on. Must not be changed meanwhile. */
  *from(start: string): Generator<Lease, void> {
    for (const name of this.#names.from(start)) yield this.table.get(name)!
  }

  /** Builds what is derived, once, after all rows are loaded. */
  loaded(horizonMs: number): void {
    this.#due.peek(horizonMs) // so that each row is placed once, where it belongs
    this.#tokens.loaded([...this.table.values()].sort((a, b) => a.token - b.token))
    this.renewals.loaded((token) => this.#tokens.find(token))
    for (const lease of this.table.values()) {
      this.#fill(lease, lease)
      if (lease.state === LEASE_STATE.delayed) this.#delayed++
      this.#due.add(lease)
      this.#names.add(lease.name)
    }
  }

  #fill(lease: Lease, grant: Grant): void {
    lease.principal = this.#principals.of(grant.principal)
    lease.holder = grant.holder === grant.principal ? lease.principal : this.#holders.of(grant.holder)
    lease.meta = grant.meta === null ? null : this.#metas.of(grant.meta)
    lease.ttlMs = grant.ttlMs
    lease.lockDelayMs = grant.lockDelayMs
  }

  #moveEnd(lease: Lease, endMs: number): void {
    lease.endMs = endMs
    this.#due.lower(lease)
    this.table.touch(lease)
  }
}
