/** Keys of a perKey quota that have another quota instead. */
import type { QuotaSpec, TakeItem } from '@leasehold/protocol'
import type { Replica } from '../replica/index.js'

const NONE: ReadonlyMap<string, string> = new Map()
/** A specification never changes: another one takes its place. */
const known = new WeakMap<QuotaSpec, ReadonlyMap<string, string>>()

/** The item as it is taken: from the quota of its own that its key may have. */
export function instead(replica: Replica, item: TakeItem): TakeItem {
  if (item.key === null) return item
  const spec = replica.getQuota(item.quota)?.spec
  const quota = spec === undefined ? undefined : namedOf(spec).get(item.key)
  return quota === undefined ? item : { quota, cost: item.cost, key: null }
}

function namedOf(spec: QuotaSpec): ReadonlyMap<string, string> {
  if (spec.keys.length === 0) return NONE
  const before = known.get(spec)
  if (before !== undefined) return before
  const named = new Map(spec.keys)
  known.set(spec, named)
  return named
}
