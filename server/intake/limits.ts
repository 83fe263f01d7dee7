/** Limits of the front door. Counts are of requests, bytes are of their bodies as they arrived. */
import { LIMITS } from '@leasehold/protocol'

export const INTAKE_LIMITS = {
  // accepted and not yet answered; waiting acquires are counted apart
  inFlightPerLaneMax: 4_096,
  inFlightBytesPerLaneMax: 4_194_304,
  inFlightMax: 32_768,
  inFlightBytesMax: 67_108_864,

  // acquires that stand in a queue
  waitingPerLaneMax: 16_384,
  waitingMax: 200_000,

  // a page is up to a thousand rows: few at a time, and those of the audit are read from disk
  pagesPerLaneMax: 16,
  historyReadsMax: 64,

  // what a refused client is told; drawn anew for each, so that they do not come back together
  retryAfterMsMin: 25,
  retryAfterMsMax: 250,

  // one structured event per unit of work, as far as it is affordable
  sampleEvery: 100,
  slowMs: 1_000,
  eventsPerSecondMax: 50,
} as const

/** The relations that hold between these limits and the wire's. Throws RangeError. */
export function assertIntakeLimits(l: { readonly [K in keyof typeof INTAKE_LIMITS]: number }): void {
  const relations: [boolean, string][] = [
    [LIMITS.frameRequestsMax <= l.inFlightPerLaneMax, 'a full frame fits an idle lane'],
    [LIMITS.frameBytesMax <= l.inFlightBytesPerLaneMax, 'the largest frame fits an idle lane'],
    [l.inFlightPerLaneMax <= l.inFlightMax, 'one lane does not exceed all lanes'],
    [l.inFlightPerLaneMax + l.waitingPerLaneMax < TICKETS, 'every slot of a lane has its number'],
    [l.pagesPerLaneMax <= l.historyReadsMax, 'one lane does not exceed all lanes in pages'],
    [l.retryAfterMsMin < l.retryAfterMsMax, 'there is room for jitter'],
  ]
  for (const [holds, claim] of relations) if (!holds) throw new RangeError(`intake limits disagree: ${claim}`)
}

/** Slots of one lane; a request's ticket is its slot and how often the slot was used before. */
export const TICKETS = 32_768

assertIntakeLimits(INTAKE_LIMITS)
