/**
 * At most once: what a request token does, in its order. First the session's mark is raised; then a record answers;
 * then other parameters are refused, and what is too old, and who has filled his bound; only then is the command
 * executed.
 */
import type { Acquire, QuotaDelete, QuotaSet, Reply, RequestToken, Revoke } from '@leasehold/protocol'
import { OUTCOME, type RequestRecord, type Scope } from '../record.js'
import { refused } from '../replies.js'
import type { State } from '../state.js'

type Replay = (state: State, name: string, record: RequestRecord) => Reply | null
type Execute<C> = (state: State, command: C, record: RequestRecord | null) => Reply

export const STALE_DETAIL =
  'the request was given up, answered before, or first sent too long ago: it was not executed now'

/** `replay` answers from a record, or returns null where it has no outcome to answer with. `execute` gives it one. */
export function once<C extends Acquire | Revoke | QuotaSet | QuotaDelete>(
  state: State,
  command: C,
  digest: number,
  replay: Replay,
  execute: Execute<C>,
): Reply {
  const { request, principal } = command
  if (request === null) return execute(state, command, null)
  raiseMark(state, principal, request)
  const scope = state.scopes.find(principal, request.scope)
  let record = scope === null ? null : state.records.find(scope, request.key)
  if (record !== null) {
    if (record.digest !== digest && record.digest !== -1) {
      return refused('IDEMPOTENCY_MISMATCH', 'this request token was used with other parameters')
    }
    const reply = replay(state, command.name, record)
    if (reply !== null) return reply
  } else {
    if (stale(state, scope, request)) return refused('STALE', STALE_DETAIL)
    if (state.scopes.full(principal)) return full(principal)
    record = state.records.create(state.scopes.open(principal, request.scope), request.key, digest)
  }
  const reply = execute(state, command, record)
  if (record.outcome === OUTCOME.none) state.records.drop(record)
  return reply
}

export const full = (principal: string) =>
  refused('LIMIT_REACHED', `${principal} has as many unfinished or remembered requests as one principal may have`)

/** A mark that would be one too many for its principal is not kept; the request itself is judged by it, anyway. */
function raiseMark(state: State, principal: string, request: RequestToken): void {
  const before = state.scopes.find(principal, request.scope)
  const mark = before === null ? 0 : state.scopes.lowestOf(before)
  if (request.lowest <= mark) return
  if ((before === null || before.mark === null) && state.scopes.full(principal)) return
  const scope = before ?? state.scopes.open(principal, request.scope)
  // nobody listens for the answer of a wait that its own session counts as answered
  for (const id of state.records.dropBelow(scope, mark, request.lowest)) {
    state.waiters.remove(state.waiters.get(id)!)
    state.settle(id, refused('STALE', STALE_DETAIL))
  }
  state.scopes.raise(scope, request.lowest)
}

function stale(state: State, scope: Scope | null, request: RequestToken): boolean {
  if (state.time.nowMs - request.knownMs > state.limits.retentionMs) return true
  if (typeof request.key === 'string') return false
  return request.key < request.lowest || (scope !== null && request.key < state.scopes.lowestOf(scope))
}
