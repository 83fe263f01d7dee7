/**
 * The commands that name their grant by its token: renew (the claim of an offer, too), release and transfer. They need
 * no record.
 */
import type { LossReason, Release, Renew, Reply, Transfer } from '@leasehold/protocol'
import { LEASE_STATE, type Lease } from '../lease.js'
import { granted, lost, passedOn, refused } from '../replies.js'
import type { State } from '../state.js'
import { end, endFor, touch } from '../succession.js'

export function renew(state: State, command: Renew): Reply {
  const lease = touchUnder(state, command.name, command.token)
  if (!isGrant(lease, command.token)) return lost(command.token, whyLost(state, lease, command.name, command.token))
  const { nowMs } = state.time
  const endMs = nowMs + lease.ttlMs
  if (lease.state === LEASE_STATE.offered) {
    state.audit.emit('granted', lease, null, 'claim', command.principal, false)
    state.leases.claim(lease, endMs)
  } else state.leases.renew(lease, endMs)
  return granted(lease, nowMs, false)
}

export function release(state: State, command: Release): Reply {
  const lease = touchUnder(state, command.name, command.token)
  if (isGrant(lease, command.token)) {
    end(state, lease, { type: 'released', reason: 'released', cause: 'release', principal: command.principal })
    return passedOn(false)
  }
  const reason = whyLost(state, lease, command.name, command.token)
  return reason === 'released' ? passedOn(true) : lost(command.token, reason)
}

export function transfer(state: State, command: Transfer): Reply {
  const { name, token, to, principal } = command
  const lease = touchUnder(state, name, token)
  if (!isGrant(lease, token)) {
    const reason = whyLost(state, lease, name, token)
    const sameTo = reason === 'transferred' && state.endings.find(token, state.time.nowMs)?.to === to
    return sameTo ? passedOn(true) : lost(token, reason)
  }
  const waiter = state.waiters.firstUnder(name, to, state.time.nowMs)
  if (waiter === null) return refused('NO_SUCH_WAITER', `nobody waits for ${name} under the holder name ${to}`)
  endFor(state, lease, waiter, principal)
  return passedOn(false)
}

/**
 * The row of this name, touched. Where it stands under this token it is found by that, which spares a look at the names:
 * with a million of them, the most expensive part of a renewal.
 */
function touchUnder(state: State, name: string, token: number): Lease | undefined {
  const lease = state.leases.byToken(token)
  return lease?.name === name && !state.time.ended(lease.endMs) ? lease : touch(state, name)
}

/** Whether the row, which was touched, is the live grant or offer of this token. */
export function isGrant(lease: Lease | undefined, token: number): lease is Lease {
  return lease !== undefined && lease.token === token && lease.state !== LEASE_STATE.delayed
}

/** Why `token` is not the live grant of `name`, whose row is `lease`. */
export function whyLost(state: State, lease: Lease | undefined, name: string, token: number): LossReason {
  const ending = state.endings.find(token, state.time.nowMs)
  if (ending !== null) return ending.name === name ? ending.reason : 'unknown'
  if (lease === undefined || lease.token <= token) return 'unknown'
  // an older token than the name's: it was this name's, unless it is another name's to this day
  return state.leases.byToken(token) === undefined ? 'superseded' : 'unknown'
}
