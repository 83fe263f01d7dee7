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
  decode: (name, fields) => ({
    saved: 0,
    change: -1,
    slot: 0,
    name,
    state: fields.int(),
    token: fields.int(),
    holder: fields.text(),
    principal: fields.text(),
    meta: fields.textOrNull(),
    ttlMs: fields.int(),
    endMs: fields.int(),
    placedMs: 0,
    lockDelayMs: fields.int(),
    renewals: fields.int(),
  }),
}
