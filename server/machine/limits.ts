/**
 * The limits that the machine keeps, as one value, so that tests can make them small. Every member of a cluster must
 * run with the same ones: they are part of what `apply` computes.
 */
import { LIMITS } from '@leasehold/protocol'

export interface MachineLimits {
  readonly waitersPerNameMax: number
  readonly claimWithinMs: number
  readonly lostWaiterKeptMs: number
  readonly endingKeptMs: number
  readonly endingsMax: number
  /** Endings stored in one row. Divides endingsMax. */
  readonly endingsPerRow: number
  /** Renewals stored in one row. */
  readonly renewalsPerRow: number
  readonly retentionMs: number
  readonly recordsPerPrincipalMax: number
  readonly sweepPerEntryMax: number
  readonly holdMs: number
  readonly holdEveryMs: number
  readonly tokenMax: number
  readonly membersMax: number
  readonly quotasMax: number
  readonly quotaDepthMax: number
  readonly quotaRetiredMax: number
  readonly quotaGrantMs: number
}

export const MACHINE_LIMITS: MachineLimits = {
  waitersPerNameMax: LIMITS.waitersPerNameMax,
  claimWithinMs: LIMITS.claimWithinMs,
  lostWaiterKeptMs: LIMITS.lostWaiterKeptMs,
  endingKeptMs: LIMITS.endingKeptMs,
  endingsMax: LIMITS.endingsMax,
  endingsPerRow: 256,
  renewalsPerRow: 256,
  retentionMs: LIMITS.retentionMs,
  recordsPerPrincipalMax: LIMITS.recordsPerPrincipalMax,
  sweepPerEntryMax: LIMITS.sweepPerEntryMax,
  holdMs: LIMITS.holdMs,
  holdEveryMs: LIMITS.holdEveryMs,
  tokenMax: LIMITS.tokenMax,
  membersMax: LIMITS.membersMax,
  quotasMax: LIMITS.quotasMax,
  quotaDepthMax: LIMITS.quotaDepthMax,
  quotaRetiredMax: LIMITS.quotaRetiredMax,
  quotaGrantMs: LIMITS.quotaGrantMs,
}

/** Throws RangeError where the limits disagree. */
export function assertMachineLimits(l: MachineLimits): void {
  const relations: [boolean, string][] = [
    [l.endingsMax % l.endingsPerRow === 0, 'the rows of endings are filled evenly'],
    [l.endingsMax >= 2 * l.endingsPerRow, 'a full row of endings is kept beside the one that fills'],
    [l.renewalsPerRow >= 1, 'a renewal finds room in a row'],
    [l.sweepPerEntryMax >= 1, 'every sweep gets on'],
    [l.holdMs < l.holdEveryMs, 'the horizon moves between holds'],
  ]
  for (const [holds, claim] of relations) if (!holds) throw new RangeError(`limits disagree: ${claim}`)
}
