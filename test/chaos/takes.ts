/**
 * What was admitted of quotas during chaos, and its judgement: over no window more than burst + rate x length, for each quota and for the parent of two of
 * them. A decision of a client is a moment; a member's lies somewhere between the request and its answer, and counts in a window only if all
 * of that does. What has no answer is not counted. Pure.
 */
import type { Bandwidth } from '@leasehold/protocol'

export interface ChaosQuota extends Bandwidth {
  readonly name: string
  readonly parent: string | null
}

const PARENT = 'chaos/parent'
/** Fast and slow, and two that share. */
export const QUOTAS: readonly ChaosQuota[] = [
  { name: 'chaos/fast', tokens: 200, perMs: 1_000, burst: 100, parent: null },
  { name: 'chaos/slow', tokens: 60, perMs: 60_000, burst: 10, parent: null },
  { name: PARENT, tokens: 100, perMs: 1_000, burst: 50, parent: null },
  { name: `${PARENT}/a`, tokens: 100, perMs: 1_000, burst: 50, parent: PARENT },
  { name: `${PARENT}/b`, tokens: 80, perMs: 1_000, burst: 20, parent: PARENT },
]
/** Those that are taken from. */
export const TAKEN: readonly ChaosQuota[] = QUOTAS.filter(({ name }) => name !== PARENT)

/** One admission. Times on the clients' one clock, in milliseconds; the same where a client decided. */
export type Take = readonly [quota: number, tokens: number, fromMs: number, untilMs: number]

/** Complaints, one for each quota that was overdrawn, with its worst window. */
export function judgeTakes(takes: readonly Take[]): string[] {
  return QUOTAS.flatMap((quota) => {
    const own = takes.filter(([at]) => TAKEN[at]!.name === quota.name || TAKEN[at]!.parent === quota.name)
    const worst = worstWindow(quota, own)
    if (worst === null) return []
    const { tokens, admitted, fromMs, untilMs } = worst
    const ms = Math.round(untilMs - fromMs)
    return [`quota ${quota.name}: ${admitted} admitted within ${ms} ms, ${tokens.toFixed(2)} above the bound`]
  })
}

const SLACK = 1e-6

/** Windows that begin with some admission and end with another: no other one can be worse. */
function worstWindow({ tokens, perMs, burst }: Bandwidth, takes: readonly Take[]) {
  const byEnd = takes.toSorted(([, , , a], [, , , b]) => a - b)
  let worst: { tokens: number; admitted: number; fromMs: number; untilMs: number } | null = null
  for (const fromMs of new Set(takes.map(([, , from]) => from))) {
    let admitted = 0
    for (const [, count, from, untilMs] of byEnd) {
      if (from < fromMs) continue
      admitted += count
      const over = admitted - burst - ((untilMs - fromMs) * tokens) / perMs
      if (over > SLACK * burst && over > (worst?.tokens ?? 0)) worst = { tokens: over, admitted, fromMs, untilMs }
    }
  }
  return worst
}

/** A run in which nothing was taken says nothing. */
export function untaken(takes: readonly Take[]): string[] {
  const taken = new Set(takes.map(([at]) => at))
  return TAKEN.flatMap(({ name }, at) => (taken.has(at) ? [] : [`quota ${name}: nothing was admitted of it`]))
}

/** Tokens that were admitted. */
export function admittedOf(takes: readonly Take[]): number {
  return takes.reduce((sum, [, tokens]) => sum + tokens, 0)
}
