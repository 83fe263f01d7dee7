/**
 * CancelWait: the client has given up on an acquire. It leaves the queue at once; a grant or an offer that raced it is
 * given back; and the request is remembered as given up, so that a late retry of it is never granted.
 */
import type { CancelWait, Reply } from '@leasehold/protocol'
import { OUTCOME, type RequestRecord } from '../record.js'
import { DONE, refused } from '../replies.js'
import type { State } from '../state.js'
import { end, touch } from '../succession.js'
import { full, STALE_DETAIL } from './once.js'
import { isGrant } from './tokens.js'

export function cancelWait(state: State, command: CancelWait): Reply {
  const { principal, key } = command
  const scope = state.scopes.find(principal, command.scope)
  const record = scope === null ? null : state.records.find(scope, key)
  if (record !== null) {
    giveUp(state, record, principal)
    return DONE
  }
  if (scope !== null && typeof key === 'number' && key < state.scopes.lowestOf(scope)) return DONE
  // the acquire itself may yet arrive
  if (state.scopes.full(principal)) return full(principal)
  const opened = scope ?? state.scopes.open(principal, command.scope)
  state.records.settle(state.records.create(opened, key, -1), OUTCOME.gaveUp)
  return DONE
}

function giveUp(state: State, record: RequestRecord, principal: string): void {
  // an end that is due comes first, also here: it may make the wait an offer
  if (record.outcome === OUTCOME.queued) touch(state, state.waiters.get(record.ref)!.name)
  if (record.outcome === OUTCOME.granted) {
    const found = state.leases.byToken(record.ref)
    if (!isGrant(found, record.ref)) return
    const lease = touch(state, found.name)
    if (isGrant(lease, record.ref))
      end(state, lease, { type: 'released', reason: 'released', cause: 'gave-up', principal })
    return
  }
  if (record.outcome === OUTCOME.queued) {
    const waiter = state.waiters.get(record.ref)!
    state.waiters.remove(waiter)
    state.settle(waiter.id, refused('STALE', STALE_DETAIL))
    state.records.settle(record, OUTCOME.gaveUp)
  } else if (record.outcome === OUTCOME.lostPlace) state.records.settle(record, OUTCOME.gaveUp)
}
