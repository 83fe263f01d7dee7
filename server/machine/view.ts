/** Leases as readers see them: by the time of the applied state, and by the same predicate as commands. */
import { fencingToken, type LeaseView, type QuotaView } from '@leasehold/protocol'
import { LEASE_STATE, type Lease } from './lease.js'
import { remainingMs } from './replies.js'
import type { State } from './state.js'

/** Null where the name is free, also before a sweep has come by. */
export function viewOf(state: State, lease: Lease): LeaseView | null {
  if (!state.time.ended(lease.endMs)) {
    const delayed = lease.state === LEASE_STATE.delayed
    return view(state, lease, lease.endMs, delayed ? 'delayed' : lease.state === LEASE_STATE.held ? 'held' : 'offered')
  }
  if (lease.state !== LEASE_STATE.held) return null
  const delayEndMs = lease.endMs + lease.lockDelayMs
  return state.time.ended(delayEndMs) ? null : view(state, lease, delayEndMs, 'delayed')
}

/** One page of names after `after`, at most `limit` of them. */
export function listOf(
  state: State,
  query: { prefix: string; after: string | null; limit: number },
): { leases: readonly LeaseView[]; next: string | null } {
  const { prefix, after, limit } = query
  const leases: LeaseView[] = []
  let last: string | null = null
  for (const lease of state.leases.from(after !== null && after > prefix ? after : prefix)) {
    if (!lease.name.startsWith(prefix)) break
    if (lease.name === after) continue
    const seen = viewOf(state, lease)
    if (seen === null) continue
    if (leases.length === limit) return { leases, next: last }
    leases.push(seen)
    last = lease.name
  }
  return { leases, next: null }
}

function view(state: State, lease: Lease, endMs: number, what: LeaseView[5]): LeaseView {
  const left = remainingMs(endMs, state.time.nowMs)
  const waiters = state.waiters.countOf(lease.name)
  return [lease.name, lease.holder, fencingToken(lease.token), lease.ttlMs, left, what, waiters, lease.meta]
}

/** One page of quotas' names after `after`, at most `limit` of them. */
export function quotasOf(
  { quotas: all }: State,
  { prefix, after, limit }: { prefix: string; after: string | null; limit: number },
): { quotas: readonly QuotaView[]; next: string | null } {
  const quotas: QuotaView[] = []
  for (const name of all.from(after !== null && after > prefix ? after : prefix)) {
    if (!name.startsWith(prefix)) break
    if (name === after) continue
    if (quotas.length === limit) return { quotas, next: quotas.at(-1)!.name }
    quotas.push(all.view(all.get(name)!))
  }
  return { quotas, next: null }
}
