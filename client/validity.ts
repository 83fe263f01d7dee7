/**
 * For how long a grant may be used: the rules of time at the client, pure. They decide from readings of three clocks
 * that others take. Never lengthens a grant: where the clocks disagree, more time has passed.
 *
 * The monotonic clock stands still while a machine sleeps; the wall clock does not, but somebody may set it; the uptime
 * (on Linux it counts sleep) is slow to read and coarse. So a span is the larger of the monotonic and the wall clock's
 * advance, and only where these two part is the uptime asked which of them is right.
 */
import { LIMITS } from '@leasehold/protocol'

/** How far the wall clock may part from the monotonic one, within one account, before the uptime is asked. */
export const PARTING_MS = 50
/** Taken off every validity: rounding at both sides. */
export const ROUNDING_MS = 2
/** An account is renewed on use when it is older, so that slow corrections of the wall clock do not add up. */
export const ACCOUNT_MS = 60_000
/** How far the rates of the monotonic clock and the uptime may differ (corrections of the clock included). */
const RATE_SLACK = 0.001

/** All in milliseconds. */
export interface Reading {
  readonly monotonicMs: number
  readonly wallMs: number
  /** Since the machine started, sleep included; NaN where it cannot be had. */
  readonly uptimeMs: number
}

/**
 * A moment, as grants remember it. `steadyMs` is the wall clock freed from its jumps. Marks of different epochs cannot
 * be compared: something happened between them that no clock could settle.
 */
export interface Mark {
  readonly monotonicMs: number
  readonly steadyMs: number
  readonly epoch: number
}

/** The last reading of all three clocks, and what it was found to mean. */
export interface Account extends Reading {
  /** Added to the wall clock gives the steady one. */
  readonly shiftMs: number
  readonly epoch: number
}

export function firstAccount(reading: Reading): Account {
  return { ...reading, shiftMs: 0, epoch: 1 }
}

/** Milliseconds for which a grant may be used, counted from before the answered attempt was sent. */
export function validityMs(remainingMs: number, drift: number): number {
  return Math.floor(remainingMs * (1 - drift)) - ROUNDING_MS
}

/** The drift to use: raised where asked for, never below what the assumptions on clocks demand. Throws RangeError. */
export function checkDrift(drift: number): number {
  if (!(drift >= LIMITS.driftMin && drift < 0.5))
    throw new RangeError(`drift must be at least ${LIMITS.driftMin} and below 0.5`)
  return drift
}

/** The uptime ticks in whole seconds on some systems, in hundredths on others: one reading of hundredths tells. */
function grainMs(before: number, now: number): number {
  return before % 1_000 === 0 && now % 1_000 === 0 ? 1_000 : 10
}

/** Most that the machine can have slept between two readings, or NaN where they cannot be. `least` is the opposite. */
function slept(before: Reading, now: Reading): { least: number; most: number } {
  const awakeMs = now.monotonicMs - before.monotonicMs
  const sleptMs = now.uptimeMs - before.uptimeMs - awakeMs
  const slackMs = grainMs(before.uptimeMs, now.uptimeMs) + 10 + awakeMs * RATE_SLACK
  if (!(awakeMs >= 0) || !(sleptMs >= -slackMs)) return { least: Number.NaN, most: Number.NaN }
  return { least: sleptMs - slackMs, most: Math.max(0, sleptMs) + slackMs }
}

/**
 * A new account from the last one and a reading of all three clocks. What the machine slept moves the steady clock on;
 * what somebody set the wall clock by does not. Where that cannot be told apart a new epoch begins: every grant of the
 * old one is lost.
 */
export function settle(last: Account, now: Reading): Account {
  const awakeMs = now.monotonicMs - last.monotonicMs
  const gapMs = now.wallMs - last.wallMs - awakeMs
  const sleep = slept(last, now)
  const agreed = Math.abs(gapMs) <= PARTING_MS
  if (!Number.isFinite(sleep.most) || !Number.isFinite(gapMs)) {
    if (agreed && awakeMs >= 0) return { ...now, shiftMs: last.shiftMs, epoch: last.epoch }
    return { ...now, shiftMs: 0, epoch: last.epoch + 1 }
  }
  if (agreed && sleep.least <= PARTING_MS) return { ...now, shiftMs: last.shiftMs, epoch: last.epoch }
  // Forward by more than the machine slept: somebody set the clock, and the sleep is at most what the wall clock shows.
  const sleptMs = gapMs > 0 && sleep.least <= gapMs ? Math.min(gapMs, sleep.most) : sleep.most
  // A mark within the bound may have been ahead by as much as the bound: that is added, so that none ever gains.
  const steadyMs = last.wallMs + last.shiftMs + awakeMs + sleptMs + PARTING_MS
  return { ...now, shiftMs: steadyMs - now.wallMs, epoch: last.epoch }
}

/** Whether the two quick clocks have parted since the account, so that settle() must be asked. */
export function parted(account: Account, monotonicMs: number, wallMs: number): boolean {
  const gapMs = wallMs - account.wallMs - (monotonicMs - account.monotonicMs)
  return !(gapMs <= PARTING_MS && gapMs >= -PARTING_MS)
}
