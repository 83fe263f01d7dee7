/** Limits and paces of a member's quotas, and the relations between them, asserted at import. */
import { LIMITS } from '@leasehold/protocol'
import { REPLICA_LIMITS } from '../replica/index.js'

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

  // keys
  /** Buckets of keys in the memory of whoever leads. */
  keyBucketsMax: 32_768,
  /** Keys of which a member asks whoever leads. */
  keyAccountsMax: 24_576,
  /** Asked for in one message, and bytes of names and keys in it. */
  keyAsksMax: 512,
  keyBytesMax: 98_304,
  /** An ask of which nothing is heard is sent again after this. */
  keyAgainMs: 250,
  /** A key that is used up is not asked for again before, if its bucket is large enough for that. */
  keyPauseMs: 50,
  /** What was granted under a key and is not used goes back after this. */
  keyHeldMs: 500,
  /** A key that nobody asked for in so long is not charged for any more, unless whoever leads says so. */
  keyIdleMs: 3_000,
  /** Keys with buckets, in one message; */
  keyPartMax: 8_192,
  /** messages of one list; */
  keyPartsMax: 8,
  /** how long it is believed. */
  keyListedMs: 3_000,
  /** Members tell each other which keys ask for most, and whoever leads, which have buckets. */
  exchangeMs: 1_000,
  /** What a member told so long ago does not count any more. */
  exchangedMs: 5_000,
  /** Nothing is exchanged where nobody has asked by key for so long. */
  exchangeIdleMs: 120_000,
  sketchWidth: 65_536,
  sketchDepth: 4,
  /** Half-lives are this, four times as much, and so on. */
  sketchMsMin: 64,
  talkers: 8_192,
  talkersHalfLifeMs: 30_000,
  talkersToldMax: 1_024,
} as const

/** Throws RangeError. */
export function assertQuotaLimits(l: { readonly [K in keyof typeof QUOTA_LIMITS]: number }): void {
  const relations: [boolean, string][] = [
    [
      2 * LIMITS.drawQuotasMax + l.claimsPerDrawMax + LIMITS.drawQuotasMax <= LIMITS.drawRowsMax,
      'a draw is within its bound',
    ],
    [l.cycleMsMin <= l.cycleMsMax, 'the shortest cycle is not the longest'],
    [l.tickMs <= l.cycleMsMin, 'every cycle is noticed'],
    [l.cycleMsMax < l.aheadMs, 'what is drawn in advance lasts until the next draw'],
    [l.aheadMs < l.idleMs, 'what is drawn in advance is not idle'],
    [l.passOnMsMin < LIMITS.quotaGrantMs, 'a fresh tab can be passed on'],
    [l.idleMs + l.unavailableMs < LIMITS.quotaGrantMs, 'what is idle goes back before it ends'],
    [l.tabsPerSessionMax <= l.tabsMax, 'one client does not exceed all'],
    [l.waitingMax < l.keyAccountsMax, 'a key for which nobody waits can always make way'],
    [l.keyPartMax * l.keyPartsMax >= l.keyBucketsMax, 'all keys with buckets fit their list'],
    [l.keyPartMax * 8 < REPLICA_LIMITS.toldBytesMax, 'a part of a list fits a message'],
    [l.keyBytesMax + 32 * l.keyAsksMax < REPLICA_LIMITS.toldBytesMax, 'what is asked for at once fits a message'],
    [l.exchangeMs < l.keyListedMs && l.exchangeMs < l.exchangedMs, 'what is exchanged is believed until the next time'],
    [l.exchangeMs < l.keyIdleMs, 'a fresh bucket is listed before its key is forgotten'],
    [l.keyAgainMs < l.unavailableMs, 'an ask is repeated before it is given up'],
  ]
  for (const [holds, claim] of relations) if (!holds) throw new RangeError(`quota limits disagree: ${claim}`)
}

assertQuotaLimits(QUOTA_LIMITS)
