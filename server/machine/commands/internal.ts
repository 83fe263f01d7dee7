/** The commands that only members put into the log. */
import type { AdmitRun, Configure, RaiseTokens, Reply, TrimAudit, WaiterLost } from '@leasehold/protocol'
import { checkConfiguration, memberOf, OK, peersOf } from '@leasehold/protocol'
import { raiseFormat } from '../format.js'
import { DONE, refused } from '../replies.js'
import type { State } from '../state.js'
import type { Waiter } from '../waiter.js'

/** The answer's one field is the run's number: a new one for a new nonce. LIMIT_REACHED where too many members ask. */
export function admitRun(state: State, command: AdmitRun): Reply {
  const { members } = state
  const known = members.get(command.member)
  if (known?.nonce === command.nonce) return { code: OK, fields: [known.run] }
  if (known === undefined && members.full) return refused('LIMIT_REACHED', 'Too many members were admitted.')
  loseAllOf(state, command.member)
  const { run } = members.admit(command)
  raiseFormat(state)
  return { code: OK, fields: [run] }
}

/**
 * Members that the new configuration no longer names are forgotten: nothing of theirs is executed any more. One that is not
 * well formed changes nothing (INVALID_ARGUMENT).
 */
export function configure(state: State, { configuration }: Configure): Reply {
  try {
    checkConfiguration(configuration)
  } catch (error) {
    return refused('INVALID_ARGUMENT', (error as Error).message)
  }
  state.configuration.set(configuration)
  const named = new Set(peersOf(configuration).map(memberOf))
  for (const { id } of state.members.views()) {
    if (named.has(id)) continue
    state.members.forget(id)
    state.quotas.forget(id)
    loseAllOf(state, id)
  }
  raiseFormat(state)
  return DONE
}

/** Of the member whose connection it was: a client that has gone on to another member is not lost with its old connection. */
export function waiterLost(state: State, command: WaiterLost): Reply {
  const waiter = state.waiters.get(command.waiter)
  if (waiter !== undefined && waiter.member === state.member) lose(state, waiter)
  return DONE
}

export function trimAudit(state: State, command: TrimAudit): Reply {
  const meta = state.meta.row
  meta.auditFirst = Math.max(meta.auditFirst, Math.min(command.through, meta.auditLast) + 1)
  return DONE
}

export function raiseTokens(state: State, command: RaiseTokens): Reply {
  const meta = state.meta.row
  meta.token = Math.max(meta.token, command.floor - 1)
  return DONE
}

function loseAllOf(state: State, member: string): void {
  for (const waiter of state.waiters.values()) if (waiter.member === member) lose(state, waiter)
}

/** Counts from the first loss; a wait that is over already stays over. */
function lose(state: State, waiter: Waiter): void {
  const { nowMs } = state.time
  if (waiter.lostMs >= 0) return
  state.waiters.lose(waiter, nowMs, nowMs + state.limits.lostWaiterKeptMs)
}
