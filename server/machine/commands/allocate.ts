/**
 * Allocate: the draws of several members, judged together. First every quota that is touched is refilled, under what was outstanding until
 * now; then all reports are taken, so that what was spent makes room and what was returned is there; then the tokens are shared out.
 */
import { type Allocate, type ClusterMs, type Draw, MICRO, type Reply, waitMs } from '@leasehold/protocol'
import type { DrawOutcome } from '../entry.js'
import { availableOf, type Quota } from '../quota.js'
import { DONE } from '../replies.js'
import { Sharing } from '../sharing.js'
import type { State } from '../state.js'

const RETRY_MS_MAX = 3_600_000

export function allocate(state: State, { draws }: Allocate): Reply {
  const { quotas } = state
  const taken = draws.filter((draw) => quotas.takes(draw))
  for (const { reports, wants } of taken) {
    for (const { quota } of [...reports, ...wants]) {
      const row = quotas.table.get(quota)
      if (row !== undefined) quotas.refill(row)
    }
  }
  for (const { run, reports } of taken) {
    for (const { quota, tab, spent, returned } of reports) {
      const open = quotas.tab(run, quota)
      if (open?.tab === tab) quotas.report(open, spent, returned)
    }
  }
  const sharing = new Sharing(quotas)
  for (const draw of taken) for (const want of draw.wants) sharing.want(want)
  const granted = sharing.shares()
  let at = 0
  for (const draw of taken) {
    const outcomes = draw.wants.map(({ quota, claims }) => {
      const tokens = granted[at++]!
      let wanted = 0
      for (const [count] of claims) wanted += count
      return grant(state, draw, quota, tokens, tokens < wanted ? claims.map(([count]) => count) : null)
    })
    state.drawn.push({ member: draw.member, run: draw.run, seq: draw.seq, outcomes })
  }
  return DONE
}

/** `unmet`: the claims, where they were not all met. */
function grant(state: State, draw: Draw, name: string, tokens: number, unmet: readonly number[] | null): DrawOutcome {
  const { quotas, limits } = state
  const validMs = limits.quotaGrantMs
  const quota = quotas.get(name)
  if (quota === null || quota.spec.perKey) {
    const none = {
      version: 0,
      tab: 0,
      granted: 0,
      drawn: 0,
      endMs: 0 as ClusterMs,
      validMs,
      retryAfterMs: 0,
      available: 0,
    }
    return { quota: name, ...none }
  }
  const chain = quotas.chain(quota)
  const tab = tokens > 0 ? quotas.grant(chain, draw, tokens) : quotas.tab(draw.run, name)
  return {
    quota: name,
    version: quota.version,
    tab: tab?.tab ?? 0,
    granted: tokens,
    drawn: tab?.drawn ?? 0,
    endMs: (tab?.endMs ?? 0) as ClusterMs,
    validMs,
    retryAfterMs: unmet === null ? 0 : retryAfterMs(chain, unmet),
    available: Math.min(...chain.map(availableOf)),
  }
}

/** When the smallest claim could be met, if nobody else took anything meanwhile. */
function retryAfterMs(chain: readonly Quota[], claims: readonly number[]): number {
  const least = Math.max(1, Math.min(...claims.filter((count) => count > 0)))
  let longest = 1
  for (const { buckets } of chain) {
    for (const bucket of buckets) longest = Math.max(longest, waitMs(bucket, bucket.rate, least * MICRO))
  }
  return Math.min(longest, RETRY_MS_MAX)
}
