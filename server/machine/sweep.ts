/**
 * Ends what has ended, a bounded number of steps an entry: first leases, offers and delays, then waits, then what is
 * remembered, then what was drawn from quotas. The order is a function of the state alone, or members would part ways.
 */
import type { State } from './state.js'
import { dismiss, settle } from './succession.js'

export function sweep(state: State): void {
  const { horizonMs, nowMs } = state.time
  for (let steps = state.limits.sweepPerEntryMax; steps > 0; steps--) {
    const lease = state.leases.due(horizonMs)
    if (lease !== null) {
      settle(state, lease)
      continue
    }
    const waiter = state.waiters.due(nowMs)
    if (waiter !== null) dismiss(state, waiter)
    else if (state.records.due) state.records.sweepOne()
    else if (state.scopes.due) state.scopes.sweepOne()
    else if (state.endings.due(nowMs)) state.endings.sweepOne()
    else if (state.quotas.due) state.quotas.sweepOne()
    else return
  }
}

export function sweepDue(state: State): boolean {
  const { horizonMs, nowMs } = state.time
  return (
    state.leases.due(horizonMs) !== null ||
    state.waiters.due(nowMs) !== null ||
    state.records.due ||
    state.scopes.due ||
    state.endings.due(nowMs) ||
    state.quotas.due
  )
}
