/** The commands that only members put into the log. */
import type { AdmitRun, RaiseTokens, Reply, TrimAudit, WaiterLost } from '@leasehold/protocol'
import { OK } from '@leasehold/protocol'
import { DONE } from '../replies.js'
import type { State } from '../state.js'
import type { Waiter } from '../waiter.js'

/** The answer's one field is the run's number. */
export function admitRun(state: State, command: AdmitRun): Reply {
  for (const waiter of state.waiters.values()) if (waiter.member === command.member) lose(state, waiter)
  return { code: OK, fields: [++state.meta.row.runs] }
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

/** Counts from the first loss; a wait that is over already stays over. */
function lose(state: State, waiter: Waiter): void {
  const { nowMs } = state.time
  if (waiter.lostMs >= 0) return
  state.waiters.lose(waiter, nowMs, nowMs + state.limits.lostWaiterKeptMs)
}
