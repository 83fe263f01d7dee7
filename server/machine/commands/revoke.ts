/** Revoke: an operator ends whatever grant or offer a name has. */
import { fencingToken, OP, type Reply, type Revoke } from '@leasehold/protocol'
import { digestOf } from '../digest.js'
import { LEASE_STATE } from '../lease.js'
import { OUTCOME, type RequestRecord } from '../record.js'
import { refused, revoked } from '../replies.js'
import type { State } from '../state.js'
import { end, touch } from '../succession.js'
import { once, STALE_DETAIL } from './once.js'

export function revoke(state: State, command: Revoke): Reply {
  touch(state, command.name)
  return once(state, command, digestOf([OP.revoke, command.name]), replay, execute)
}

function execute(state: State, command: Revoke, record: RequestRecord | null): Reply {
  const { name, principal } = command
  const lease = state.leases.get(name)
  if (lease === undefined || lease.state === LEASE_STATE.delayed) {
    if (record !== null) state.records.settle(record, OUTCOME.notFound)
    return notFound(name)
  }
  const { token } = lease
  state.revoked.push({ principal: lease.principal, name, token: fencingToken(token), reason: 'revoked' })
  end(state, lease, { type: 'revoked', reason: 'revoked', cause: 'revoke', principal })
  if (record !== null) state.records.settle(record, OUTCOME.revoked, token)
  return revoked(token, false)
}

function replay(_state: State, name: string, record: RequestRecord): Reply {
  if (record.outcome === OUTCOME.revoked) return revoked(record.ref, true)
  return record.outcome === OUTCOME.notFound ? notFound(name) : refused('STALE', STALE_DETAIL)
}

const notFound = (name: string) => refused('LEASE_NOT_FOUND', `nobody holds ${name}`)
