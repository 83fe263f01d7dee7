/** Acquire: a free name is granted at once; for any other one waits, or is told who has it. */
import { type Acquire, OP, type Reply } from '@leasehold/protocol'
import { digestOf } from '../digest.js'
import { LEASE_STATE } from '../lease.js'
import { OUTCOME, type RequestRecord } from '../record.js'
import { granted, heldBy, lost, offered, queued, refused } from '../replies.js'
import type { State } from '../state.js'
import { dismiss, touch } from '../succession.js'
import { once, STALE_DETAIL } from './once.js'
import { isGrant, whyLost } from './tokens.js'

export function acquire(state: State, c: Acquire): Reply {
  touch(state, c.name)
  if (c.request === null) return execute(state, c, null)
  const digest = digestOf([OP.acquire, c.name, c.holder, c.ttlMs, c.priority, c.lockDelayMs, c.meta])
  return once(state, c, digest, replay, execute)
}

function execute(state: State, c: Acquire, record: RequestRecord | null): Reply {
  const { nowMs } = state.time
  const lease = state.leases.get(c.name)
  if (lease === undefined) {
    const fresh = state.leases.add(c.name, LEASE_STATE.held, state.nextToken(), nowMs + c.ttlMs, c)
    state.audit.emit('granted', fresh, null, 'acquire', c.principal, false)
    if (record !== null) state.records.settle(record, OUTCOME.granted, fresh.token)
    return granted(fresh, nowMs, false)
  }
  // the first attempt fixes the deadline, also for one that comes back after it lost its place
  const deadlineMs = record?.outcome === OUTCOME.lostPlace ? record.ref : nowMs + c.waitMs
  if (deadlineMs <= nowMs) {
    if (record !== null) state.records.settle(record, OUTCOME.held, lease.endMs, lease.holder, lease.meta)
    return heldBy(lease.holder, lease.endMs, lease.meta, nowMs, false)
  }
  if (state.waiters.countOf(c.name) >= state.limits.waitersPerNameMax) {
    return refused('LIMIT_REACHED', `the queue of ${c.name} is full`)
  }
  return join(state, c, record, deadlineMs)
}

function join(state: State, c: Acquire, record: RequestRecord | null, deadlineMs: number): Reply {
  const id = ++state.meta.row.waiter
  state.waiters.add({
    saved: 0,
    change: -1,
    slot: 0,
    placedMs: 0,
    record,
    id,
    name: c.name,
    holder: c.holder,
    principal: c.principal,
    meta: c.meta,
    ttlMs: c.ttlMs,
    lockDelayMs: c.lockDelayMs,
    priority: c.priority,
    deadlineMs,
    member: state.member,
    lostMs: -1,
    endMs: deadlineMs,
  })
  if (record !== null) state.records.queue(record, id)
  return queued(id)
}

function replay(state: State, name: string, record: RequestRecord): Reply | null {
  const { nowMs } = state.time
  if (record.outcome === OUTCOME.queued) {
    const waiter = state.waiters.get(record.ref)!
    if (waiter.endMs > nowMs) {
      state.waiters.found(waiter, state.member)
      return queued(waiter.id)
    }
    dismiss(state, waiter)
  }
  if (record.outcome === OUTCOME.granted) {
    const lease = state.leases.get(name)
    if (!isGrant(lease, record.ref)) return lost(record.ref, whyLost(state, lease, name, record.ref))
    return lease.state === LEASE_STATE.held ? granted(lease, nowMs, true) : offered(lease, nowMs, true)
  }
  if (record.outcome === OUTCOME.held) return heldBy(record.holder!, record.ref, record.meta, nowMs, true)
  return record.outcome === OUTCOME.lostPlace ? null : refused('STALE', STALE_DETAIL)
}
