/**
 * All of the machine's state, and what the entry under way has brought about so far. It only holds; it decides
 * nothing.
 */
import type { Reply, WaiterId } from '@leasehold/protocol'
import { Audit } from './audit.js'
import { ConfigurationTable } from './configuration.js'
import { Endings } from './endings.js'
import type { Drawn, Revocation, Settled } from './entry.js'
import { Leases } from './leases.js'
import type { MachineLimits } from './limits.js'
import { Members } from './members.js'
import { MetaTable } from './meta.js'
import { Waiters } from './queue.js'
import { Quotas } from './quotas.js'
import { Records } from './records.js'
import { Scopes } from './scopes.js'
import { Time } from './time.js'

export class State {
  readonly limits: MachineLimits
  readonly meta: MetaTable
  readonly leases: Leases
  readonly waiters = new Waiters()
  readonly audit: Audit
  readonly time: Time
  readonly endings: Endings
  readonly scopes: Scopes
  readonly records: Records
  readonly members: Members
  readonly quotas: Quotas
  readonly configuration = new ConfigurationTable()
  /** Of the entry under way. */
  member = ''
  settled: Settled[] = []
  revoked: Revocation[] = []
  drawn: Drawn[] = []

  constructor(limits: MachineLimits, formatMax: number) {
    this.limits = limits
    this.meta = new MetaTable(formatMax)
    this.audit = new Audit(this.meta)
    this.leases = new Leases(limits)
    this.time = new Time(this.meta, limits)
    this.endings = new Endings(limits)
    this.scopes = new Scopes(limits, this.meta)
    this.records = new Records(limits, this.meta, this.scopes)
    this.members = new Members(limits, this.meta)
    this.quotas = new Quotas(limits, this.meta, this.members)
  }

  /** The next fencing token. It never repeats and never goes back. */
  nextToken(): number {
    const meta = this.meta.row
    if (meta.token >= this.limits.tokenMax) throw new RangeError('the fencing tokens are used up')
    return ++meta.token
  }

  settle(waiter: number, reply: Reply): void {
    this.settled.push({ waiter: waiter as WaiterId, reply })
  }

  /** Builds what is derived, once, after all rows are loaded. */
  loaded(): void {
    this.leases.loaded(this.time.horizonMs)
    this.waiters.loaded(this.time.nowMs)
    this.endings.loaded()
    this.scopes.loaded()
    this.quotas.loaded()
    for (const record of this.records.loaded()) this.waiters.get(record.ref)!.record = record
  }
}
