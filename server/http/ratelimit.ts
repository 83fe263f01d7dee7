/**
 * What a quota says in the headers RateLimit and RateLimit-Policy (the IETF's draft, structured fields). Pure. Names of
 * quotas have no character that a quoted string would have to escape.
 */
import { type QuotaSpec, tokensPerMsOf } from '@leasehold/protocol'

export interface Standing {
  readonly remaining: number
  readonly limit: number
  readonly resetMs: number
}

/** `r`: whole tokens that are left. `t`: seconds until all are there again. */
export function rateLimit(name: string, { remaining, resetMs }: Standing): string {
  return `"${name}";r=${Math.max(0, Math.floor(remaining))};t=${wholeSeconds(resetMs)}`
}

/** `q`: tokens of a full bucket. `w`: seconds in which an empty one fills, at the slowest rate: in the long run there are q in w. */
export function rateLimitPolicy(name: string, spec: QuotaSpec, { limit }: Standing): string {
  return `"${name}";q=${limit};w=${Math.max(1, wholeSeconds(limit / tokensPerMsOf(spec)))}`
}

const wholeSeconds = (ms: number): number => Math.ceil(ms / 1_000)
