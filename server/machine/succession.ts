/**
 * How a grant ends, and who comes next. Whatever ends a grant does it here, so that the old token is remembered, the
 * audit is told, and the queue is offered before anybody else can have the name.
 */
import type { AuditCause, AuditType, LossReason } from '@leasehold/protocol'
import { LEASE_STATE, type Lease } from './lease.js'
import { OUTCOME } from './record.js'
import { heldBy, offered, refused } from './replies.js'
import type { State } from './state.js'
import type { Waiter } from './waiter.js'

/** How a grant ended. */
export interface End {
  readonly type: AuditType
  readonly reason: LossReason
  readonly cause: AuditCause
  readonly principal: string
}

/** The row of this name as it stands now: what has ended is ended first, and its queue is offered first. */
export function touch(state: State, name: string): Lease | undefined {
  const lease = state.leases.get(name)
  if (lease === undefined || !state.time.ended(lease.endMs)) return lease
  settle(state, lease)
  return state.leases.get(name)
}

/** Does what is due for a row whose end has come: an end of a grant, a lapse of an offer, or the end of a delay. */
export function settle(state: State, lease: Lease): void {
  if (lease.state === LEASE_STATE.delayed) {
    passOn(state, lease, next(state, lease), 'queue')
    return
  }
  const cause = lease.state === LEASE_STATE.held ? 'ttl' : 'unclaimed'
  end(state, lease, { type: 'expired', reason: 'expired', cause, principal: lease.principal })
}

/** Ends a grant or an offer, and offers the name to whoever is next, unless a delay comes first. */
export function end(state: State, lease: Lease, how: End): void {
  remember(state, lease, how.reason, null)
  const delayEndMs = delayEnd(state, lease, how.reason)
  if (delayEndMs > 0 && !state.time.ended(delayEndMs)) {
    state.audit.emit(how.type, lease, how.reason, how.cause, how.principal, true)
    state.leases.delay(lease, delayEndMs)
    return
  }
  const waiter = next(state, lease)
  state.audit.emit(how.type, lease, how.reason, how.cause, how.principal, waiter === null)
  passOn(state, lease, waiter, 'queue')
}

/** Ends a grant in favour of this waiter, who is in its queue. */
export function endFor(state: State, lease: Lease, waiter: Waiter, principal: string): void {
  remember(state, lease, 'transferred', waiter.holder)
  state.waiters.remove(waiter)
  state.audit.emit('transferred', lease, 'transferred', 'transfer', principal, false)
  passOn(state, lease, waiter, 'transfer')
}

/** The waiter leaves the queue without an offer: its deadline has come, or its connection stayed away for too long. */
export function dismiss(state: State, waiter: Waiter): void {
  state.waiters.remove(waiter)
  const { record } = waiter
  if (waiter.endMs < waiter.deadlineMs) {
    if (record !== null) state.records.settle(record, OUTCOME.lostPlace, waiter.deadlineMs)
    const detail = 'the wait lost its connection and its place: repeat it with the same request token'
    state.settle(waiter.id, refused('OUTCOME_UNKNOWN', detail))
    return
  }
  const lease = state.leases.get(waiter.name)!
  if (record !== null) state.records.settle(record, OUTCOME.held, lease.endMs, lease.holder, lease.meta)
  state.settle(waiter.id, heldBy(lease.holder, lease.endMs, lease.meta, state.time.nowMs, false))
}

function remember(state: State, lease: Lease, reason: LossReason, to: string | null): void {
  state.endings.add({ token: lease.token, name: lease.name, reason, to, atMs: state.time.nowMs })
}

/**
 * When the delay after this end is over; 0: there is none. It counts from the end itself, not from its sweep. An offer
 * that nobody claimed leaves nobody behind who might still be at work.
 */
function delayEnd(state: State, lease: Lease, reason: LossReason): number {
  if (lease.lockDelayMs === 0 || lease.state !== LEASE_STATE.held) return 0
  if (reason === 'expired') return lease.endMs + lease.lockDelayMs
  return reason === 'revoked' ? state.time.nowMs + lease.lockDelayMs : 0
}

/** Takes the next one out of the queue who still waits. */
function next(state: State, lease: Lease): Waiter | null {
  for (;;) {
    const waiter = state.waiters.first(lease.name)
    if (waiter === null) return null
    if (waiter.endMs > state.time.nowMs) {
      state.waiters.remove(waiter)
      return waiter
    }
    dismiss(state, waiter)
  }
}

function passOn(state: State, lease: Lease, waiter: Waiter | null, cause: AuditCause): void {
  if (waiter === null) {
    state.leases.remove(lease)
    return
  }
  const { nowMs } = state.time
  const endMs = nowMs + Math.min(state.limits.claimWithinMs, waiter.ttlMs)
  state.leases.replace(lease, LEASE_STATE.offered, state.nextToken(), endMs, waiter)
  state.audit.emit('offered', lease, null, cause, waiter.principal, false)
  if (waiter.record !== null) state.records.settle(waiter.record, OUTCOME.granted, lease.token)
  state.settle(waiter.id, offered(lease, nowMs, false))
}
