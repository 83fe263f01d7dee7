/**
 * The arithmetic of token buckets, in whole numbers alone: the same in every engine, on every member, at every replay. Nothing is
 * rounded away: what flows in between two refills and is less than a micro-token is kept as a remainder. It must never overflow, and never
 * give more than the rate, however the time is cut into pieces.
 */
import type { Bandwidth } from './quota.js'

/** Micro-tokens in a token. */
export const MICRO = 1_000_000
/** Of the written rate: clocks may be so much too fast, and cluster time with them. In thousandths. */
const SHARE = 995

/** Micro-tokens per millisecond, as a reduced fraction of whole numbers. */
export interface Rate {
  readonly num: number
  readonly den: number
}

/** What a bucket holds. Changed in place. */
export interface Level {
  /** Whole micro-tokens. */
  micro: number
  /** Of a micro-token, in parts of the rate's denominator: 0 <= rest < den. */
  rest: number
}

/** What flows in: 0.995 of what is written. */
export function rateOf({ tokens, perMs }: Pick<Bandwidth, 'tokens' | 'perMs'>): Rate {
  const num = tokens * ((MICRO * SHARE) / 1_000)
  const common = greatest(num, perMs)
  return { num: num / common, den: perMs / common }
}

/** Lets flow in what comes in `elapsedMs` whole milliseconds; above `capMicro` nothing stays. */
export function refill(level: Level, { num, den }: Rate, elapsedMs: number, capMicro: number): void {
  const flow = num * elapsedMs + level.rest
  let micro: number
  if (flow <= Number.MAX_SAFE_INTEGER) {
    const whole = Math.floor(flow / den)
    micro = level.micro + whole
    level.rest = flow - whole * den
  } else {
    const exact = BigInt(num) * BigInt(elapsedMs) + BigInt(level.rest)
    const whole = exact / BigInt(den)
    // More than any bucket holds is as much as any other such number.
    micro = level.micro + Number(whole < BigInt(capMicro) ? whole : BigInt(capMicro))
    level.rest = Number(exact % BigInt(den))
  }
  if (micro >= capMicro) {
    level.micro = capMicro
    level.rest = 0
  } else level.micro = micro
}

/** Whole milliseconds until there are `wantMicro`, if nothing is taken and the bucket is large enough. At most 2^53 - 1. */
export function waitMs(level: Level, { num, den }: Rate, wantMicro: number): number {
  if (level.micro >= wantMicro) return 0
  const lacking = BigInt(wantMicro - level.micro) * BigInt(den) - BigInt(level.rest)
  const ms = (lacking + BigInt(num) - 1n) / BigInt(num)
  return Number(ms > BigInt(Number.MAX_SAFE_INTEGER) ? BigInt(Number.MAX_SAFE_INTEGER) : ms)
}

/** Whole tokens. */
export function tokensIn(micro: number): number {
  return Math.floor(micro / MICRO)
}

/** Greatest common divisor (Euclid) of two positive whole numbers. */
function greatest(a: number, b: number): number {
  return b === 0 ? a : greatest(b, a % b)
}
