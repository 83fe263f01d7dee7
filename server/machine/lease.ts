/** One name's row: a grant, an offer of one, or the delay after an unclean end. A name without a row is free. */
import type { Row } from './changes.js'
import type { Due } from './due.js'
import type { Codec } from './table.js'

/** Numbers are stored; never reuse one. */
export const LEASE_STATE = {
  /** Not in the table any more. */
  gone: 0,
  held: 1,
  /** Waits to be claimed; nobody has the lease. */
  offered: 2,
  /** The last grant ended uncleanly; nobody may have the lease until the delay is over. */
  delayed: 3,
} as const

/** Rows of renewals are numbered from 0. */
export const NOT_RENEWED = -1

export interface Lease extends Row, Due {
  readonly name: string
  state: number
  /** Of the grant, the offer, or the last grant before the delay. So are all fields but endMs. */
  token: number
  holder: string
  /** On whose behalf it was asked for. */
  principal: string
  meta: string | null
  ttlMs: number
  lockDelayMs: number
  /** Renewals of this grant so far; the claim of an offer is none. */
  renewals: number
  /** The number of the row of renewals in which its end and renewals are stored; NOT_RENEWED while its own row has them. */
  renewed: number
}

export const leaseCodec: Codec<Lease> = {
  name: 'leases',
  keyOf: (lease) => lease.name,
  encode: (lease) => [
    lease.state,
    lease.token,
    lease.holder,
    lease.principal,
    lease.meta,
    lease.ttlMs,
    lease.endMs,
    lease.lockDelayMs,
    lease.renewals,
  ],
  decode: (name, fields) => {
    const lease = blankLease(name)
    lease.state = fields.int()
    lease.token = fields.int()
    lease.holder = fields.text()
    lease.principal = fields.text()
    lease.meta = fields.textOrNull()
    lease.ttlMs = fields.int()
    lease.endMs = fields.int()
    lease.lockDelayMs = fields.int()
    lease.renewals = fields.int()
    return lease
  },
}

/** A row to be filled. What a renewal reads and writes stands first, and so in one or two lines of the processor's cache. */
export function blankLease(name: string): Lease {
  return {
    state: LEASE_STATE.gone,
    token: 0,
    endMs: 0,
    ttlMs: 0,
    change: -1,
    renewals: 0,
    renewed: NOT_RENEWED,
    holder: '',
    name,
    saved: 0,
    placedMs: 0,
    slot: 0,
    lockDelayMs: 0,
    principal: '',
    meta: null,
  }
}
