/** Limits and paces of a member's quotas, and the relations between them, asserted at import. */
import { LIMITS } from '@leasehold/protocol'

export const QUOTA_LIMITS = {
  /** Quotas that this member has an account of. */
  accountsMax: LIMITS.quotasMax,
  /** Requests that wait for tokens. */
  waitingMax: 20_000,
  /** Tabs of one client's connection, and of all. */
  tabsPerSessionMax: 1_024,
  tabsMax: 100_000,
  /** Claims of one draw; what is beyond waits for the next. */
  claimsPerDrawMax: 4_096,

  // the cycle
  /** What is asked for within this goes into one draw. */
  drawGatherMs: 2,
  /** An account is looked at so often while anything is going on. */
  tickMs: 20,
  /** While tokens are spent, a draw reports it at least so often: less for a small bucket, which would starve. */
  cycleMsMin: 20,
  cycleMsMax: 100,
  /** So long in advance a busy quota draws what it will want. */
  aheadMs: 200,
  /** How much of what was measured lately counts against what was known before. */
  demandShare: 0.3,
  /** Tokens that nobody asked for in so long go back. */
  idleMs: 1_000,
  /** An account of which nothing is outstanding is forgotten after this. */
  forgetMs: 10_000,
  /** With less left of a tab, a client gets nothing of it before it lasts longer. */
  passOnMsMin: 1_000,
  /** A draw of which nothing is heard for so long: nobody can say. */
  unavailableMs: 1_500,
  /** Of what was said to come back after, so much more by chance: those denied together do not come back together. */
  jitterShare: 0.25,
} as const

/** Throws RangeError. */
export function assertQuotaLimits(l: { readonly [K in keyof typeof QUOTA_LIMITS]: number }): void {
  const relations: [boolean, string][] = [
    [l.cycleMsMin <= l.cycleMsMax, 'the shortest cycle is not the longest'],
    [l.tickMs <= l.cycleMsMin, 'every cycle is noticed'],
    [l.cycleMsMax < l.aheadMs, 'what is drawn in advance lasts until the next draw'],
    [l.aheadMs < l.idleMs, 'what is drawn in advance is not idle'],
    [l.passOnMsMin < LIMITS.quotaGrantMs, 'a fresh tab can be passed on'],
    [l.idleMs + l.unavailableMs < LIMITS.quotaGrantMs, 'what is idle goes back before it ends'],
    [l.tabsPerSessionMax <= l.tabsMax, 'one client does not exceed all'],
  ]
  for (const [holds, claim] of relations) if (!holds) throw new RangeError(`quota limits disagree: ${claim}`)
}

assertQuotaLimits(QUOTA_LIMITS)
