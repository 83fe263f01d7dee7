/**
 * Every limit that both sides know, with its unit in its name, and the relations between limits, asserted at import.
 * A limit that only one room needs stands in that room's own `limits.ts`.
 */

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

export const LIMITS = {
  // names
  nameBytesMax: 255,
  metaBytesMax: 1_024,
  idempotencyKeyBytesMax: 255,

  // leases
  ttlMsMin: 100,
  ttlMsMax: 24 * HOUR_MS,
  ttlMsDefault: 10 * SECOND_MS,
  waitMsMax: HOUR_MS,
  lockDelayMsMax: HOUR_MS,
  priorityMin: -1_000,
  priorityMax: 1_000,
  waitersPerNameMax: 10_000,
  claimWithinMs: 3 * SECOND_MS,
  lostWaiterKeptMs: 5 * SECOND_MS,
  handoverDrainMsMax: HOUR_MS,

  // what became of ended grants
  endingKeptMs: HOUR_MS,
  endingsMax: 131_072,

  // idempotency
  retentionMs: 10 * MINUTE_MS,
  recordsPerPrincipalMax: 100_000,
  tokenMax: Number.MAX_SAFE_INTEGER,
  restoredTokenGap: 2 ** 40,

  // quotas
  quotaTokensMax: 1_000_000_000,
  quotaPerMsMax: 31 * 24 * HOUR_MS,
  quotaBandwidthsMax: 4,
  quotaWeightMax: 1_000,
  quotaKeysMax: 256,
  quotaKeyBytesMax: 255,
  /** A quota, its parent, its parent's parent ... */
  quotaDepthMax: 4,
  quotasMax: 10_000,
  /** Levels of bandwidths that were removed, of one quota: kept until they would be full. */
  quotaRetiredMax: 8,
  /** For so long a member may spend what it has drawn, and clients what it has passed on, without drawing again. */
  quotaGrantMs: 5 * SECOND_MS,
  /** Quotas of one draw, and claims on one quota in it. */
  drawQuotasMax: 1_024,
  drawClaimsMax: 64,
  /** Reports, wants and claims of one draw together. */
  drawRowsMax: 8_192,
  /** Quotas of one take, all or nothing. */
  takeItemsMax: 8,

  // time
  // Small enough that a renewal which arrives in the midst of a mass expiry waits for a few milliseconds of it.
  sweepPerEntryMax: 256,
  holdMs: SECOND_MS,
  holdEveryMs: 10 * SECOND_MS,
  beatMs: 250,
  driftMin: 0.015,

  // the cluster
  votersMax: 9,
  /** Voters, those before a change, and learners together. */
  peersMax: 32,
  /** `member@directory`. */
  peerBytesMax: 320,
  addressBytesMax: 300,
  nonceBytesMax: 64,
  /** Rows of members: of those that are configured, and of those that ask before any configuration. */
  membersMax: 64,

  // the wire
  frameBytesMax: 1_048_576,
  frameRequestsMax: 1_024,
  /** One reply may be a full page, and then fills a frame of its own. */
  replyBytesMax: 4_194_304,
  repliesMax: 65_535,
  requestItemsMax: 1_024,
  cursorBytesMax: 300,
  credentialBytesMax: 4_096,
  urlBytesMax: 2_048,
  detailBytesMax: 4_096,
  httpBodyBytesMax: 65_536,
  msgpackDepthMax: 4,
  pageMax: 1_000,
  pageDefault: 100,
} as const

/** The relations that hold between limits; the test of this file also plants a broken one. Throws RangeError. */
export function assertLimits(l: { readonly [K in keyof typeof LIMITS]: number }): void {
  const relations: [boolean, string][] = [
    [l.ttlMsMin <= l.ttlMsDefault && l.ttlMsDefault <= l.ttlMsMax, 'the default ttl lies within its bounds'],
    [l.claimWithinMs < l.lostWaiterKeptMs, 'an offer ends before a lost waiter is forgotten'],
    [l.waitMsMax + l.lostWaiterKeptMs <= l.endingKeptMs + l.retentionMs, 'a wait ends within what is remembered'],
    [2 * l.metaBytesMax + 4 * l.nameBytesMax < l.httpBodyBytesMax, 'the largest command fits an HTTP body'],
    [l.httpBodyBytesMax < l.frameBytesMax, 'the largest command fits a frame'],
    [l.frameRequestsMax <= 65_535 && l.repliesMax <= 65_535, 'the count of a frame is a u16'],
    [l.frameRequestsMax <= l.repliesMax, 'the replies to a frame fit a frame'],
    [
      l.pageMax * (l.metaBytesMax + 4 * l.nameBytesMax + 256) < l.replyBytesMax,
      'the largest page of leases or events fits a reply',
    ],
    [l.nameBytesMax + 17 < l.cursorBytesMax, 'every cursor that is given out is taken back'],
    [l.holdMs < l.holdEveryMs, 'the horizon moves between holds'],
    [l.beatMs < l.holdMs, 'a beat comes within a hold'],
    [l.ttlMsMin * l.driftMin > 1, 'drift takes at least a millisecond off the shortest ttl'],
    [l.tokenMax > 2 ** 12 * l.restoredTokenGap, 'four thousand restores leave tokens'],
    [2 * l.votersMax <= l.peersMax, 'the voters before and after a change fit a configuration'],
    [l.peersMax <= l.membersMax, 'every configured member has room for its run'],
    [l.nameBytesMax + 1 + l.nonceBytesMax <= l.peerBytesMax, 'a member and its directory fit the name of a peer'],
    [
      l.peersMax * (l.peerBytesMax + l.addressBytesMax + 16) < l.frameBytesMax,
      'the largest configuration fits a frame',
    ],
    [l.quotaTokensMax * 1_000_000 < Number.MAX_SAFE_INTEGER, 'a full bucket is a whole number of micro-tokens'],
    [3 * l.drawQuotasMax < l.drawRowsMax, 'a draw of all quotas that it may have fits its bound'],
    [l.quotaGrantMs * l.driftMin > 10, 'drift takes milliseconds off a draw'],
    [2 * l.quotaKeysMax * (l.quotaKeyBytesMax + l.nameBytesMax) < l.frameBytesMax, 'the largest quota fits a frame'],
    [l.pageDefault <= l.pageMax, 'the default page lies within its bound'],
  ]
  for (const [holds, claim] of relations) if (!holds) throw new RangeError(`limits disagree: ${claim}`)
}

assertLimits(LIMITS)
