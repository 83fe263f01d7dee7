/** Whether a specification fits in among the others: its parent, those below it, what is guaranteed, and the quotas that its keys name. */
import type { QuotaSpec } from '@leasehold/protocol'
import type { Quota } from './quota.js'
import type { State } from './state.js'

/** A sentence that says what stands against it; null: nothing. */
export function conflictOf(state: State, name: string, spec: QuotaSpec): string | null {
  return keysConflict(state, name, spec) ?? outstandingConflict(state, name, spec) ?? treeConflict(state, name, spec)
}

function keysConflict({ quotas }: State, name: string, { keys }: QuotaSpec): string | null {
  for (const [key, named] of keys) {
    const other = quotas.get(named)
    if (other === null || named === name) return `the key ${key} names ${named}, and there is no such quota`
    if (other.spec.perKey) return `the key ${key} names ${named}, which has a bucket for each key itself`
  }
  return null
}

function outstandingConflict({ quotas }: State, name: string, spec: QuotaSpec): string | null {
  const before = quotas.table.get(name)
  if (before === undefined || before.outstanding === 0) return null
  const tokens = `${before.outstanding} of its tokens are out`
  if (before.spec.parent !== spec.parent) return `${name} cannot have another parent while ${tokens}`
  return before.spec.perKey === spec.perKey ? null : `${name} cannot become a perKey quota while ${tokens}`
}

function treeConflict(state: State, name: string, spec: QuotaSpec): string | null {
  const { quotas, limits } = state
  const children = [...quotas.live()].filter((one) => one.spec.parent === name)
  if (spec.perKey) {
    for (const one of quotas.live())
      if (one.spec.parent === name || one.spec.keys.some(([, named]) => named === name))
        return `${one.name} uses ${name}`
    return null
  }
  const { parent } = spec
  if (parent === null) return null
  const above = quotas.get(parent)
  if (above === null) return `there is no quota ${parent}`
  if (above.spec.perKey) return `${parent} has a bucket for each key, and cannot be a parent`
  const chain = quotas.chain(above)
  if (parent === name || chain.some((one) => one.name === name)) return `${name} would be above itself`
  const depth = chain.length + 1 + heightOf(state, children)
  if (depth > limits.quotaDepthMax) return `quotas stand at most ${limits.quotaDepthMax} above each other, not ${depth}`
  let percent = spec.guaranteedPercent
  for (const one of quotas.live())
    if (one.spec.parent === parent && one.name !== name) percent += one.spec.guaranteedPercent
  return percent > 100 ? `${percent} percent of ${parent} would be guaranteed` : null
}

/** Of the trees that these are the tops of. */
function heightOf(state: State, tops: readonly Quota[]): number {
  let height = 0
  for (const { name } of tops) {
    const below = [...state.quotas.live()].filter((one) => one.spec.parent === name)
    height = Math.max(height, 1 + heightOf(state, below))
  }
  return height
}
