/** QuotaSet and QuotaDelete: a specification is made, changed as a whole, or deleted. None of these ever adds a token. */
import { OK, OP, type QuotaDelete, type QuotaSet, type QuotaSpec, quotaFields, type Reply } from '@leasehold/protocol'
import { digestOf } from '../digest.js'
import { blankQuota } from '../quota.js'
import { conflictOf } from '../quotatree.js'
import { rebucket } from '../rebucket.js'
import { OUTCOME, type RequestRecord } from '../record.js'
import { refused } from '../replies.js'
import type { State } from '../state.js'
import { once, STALE_DETAIL } from './once.js'

export function quotaSet(state: State, command: QuotaSet): Reply {
  const fields = quotaFields(command.spec).map((field) => (typeof field === 'boolean' ? String(field) : field))
  return once(state, command, digestOf([OP.quotaSet, command.name, ...fields]), replay, set)
}

export function quotaDelete(state: State, command: QuotaDelete): Reply {
  return once(state, command, digestOf([OP.quotaDelete, command.name]), replay, remove)
}

function set(state: State, { name, spec, principal }: QuotaSet, record: RequestRecord | null): Reply {
  const { quotas, limits } = state
  const before = quotas.get(name)
  if (before !== null && same(before.spec, spec)) return changed(state, before.version, record)
  const row = quotas.table.get(name)
  if (row === undefined && quotas.table.size >= limits.quotasMax) {
    return refused('LIMIT_REACHED', `there are ${limits.quotasMax} quotas, and no more may be`)
  }
  const conflict = conflictOf(state, name, spec)
  if (conflict !== null) return refused('QUOTA_CONFLICT', conflict)
  const quota = row ?? blankQuota(name, spec, state.time.nowMs)
  if (row !== undefined) {
    quotas.refill(quota)
    const buckets = rebucket(quota, spec)
    if (buckets.retired.length > limits.quotaRetiredMax) {
      return refused(
        'QUOTA_CONFLICT',
        `${name} had too many other bandwidths lately: come back when their buckets would be full`,
      )
    }
    quota.buckets = buckets.live
    quota.retired = buckets.retired
  }
  quota.spec = spec
  // A deleted one stands under its old version until it is taken out.
  if (before === null) quotas.add(quota)
  quota.version = state.nextToken()
  quotas.changed(quota)
  state.audit.emitQuota('quotaSet', name, quota.version, principal)
  return changed(state, quota.version, record)
}

function remove(state: State, { name, principal }: QuotaDelete, record: RequestRecord | null): Reply {
  const { quotas } = state
  const quota = quotas.get(name)
  if (quota === null) {
    if (record !== null) state.records.settle(record, OUTCOME.notFound)
    return notFound(name)
  }
  for (const other of quotas.live()) {
    const uses = other.spec.parent === name || other.spec.keys.some(([, named]) => named === name)
    if (uses) return refused('QUOTA_CONFLICT', `${other.name} uses ${name}`)
  }
  quotas.refill(quota)
  quotas.remove(quota)
  state.audit.emitQuota('quotaDeleted', name, quota.version, principal)
  return changed(state, quota.version, record)
}

function changed(state: State, version: number, record: RequestRecord | null): Reply {
  if (record !== null) state.records.settle(record, OUTCOME.quota, version)
  return { code: OK, fields: [version, false] }
}

function replay(_state: State, name: string, record: RequestRecord): Reply {
  if (record.outcome === OUTCOME.quota) return { code: OK, fields: [record.ref, true] }
  return record.outcome === OUTCOME.notFound ? notFound(name) : refused('STALE', STALE_DETAIL)
}

const notFound = (name: string) => refused('QUOTA_NOT_FOUND', `there is no quota ${name}`)

const same = (one: QuotaSpec, other: QuotaSpec): boolean =>
  JSON.stringify(quotaFields(one)) === JSON.stringify(quotaFields(other))
