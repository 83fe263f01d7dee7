/**
 * What a quota says in the headers RateLimit and RateLimit-Policy (the IETF's draft, structured fields). Pure. Names of
 * quotas have no character that a quoted string would have to escape.
 */

export interface Standing {
  /** Tokens that are left. */
  readonly remaining: number
  /** Of a full bucket. */
  readonly limit: number
  /** Until it is full again. */
  readonly resetMs: number
}

/** `r`: whole tokens that are left. `t`: seconds until all are there again. */
export function rateLimit(name: string, { remaining, resetMs }: Pick<Standing, 'remaining' | 'resetMs'>): string {
  return `"${name}";r=${Math.max(0, Math.floor(remaining))};t=${wholeSeconds(resetMs)}`
}

/**
 * `q`: tokens of a full bucket. `w`: seconds in which an empty one fills, at the slowest rate: in the long run there are q in w; left out where
 * `tokensPerMs` is not known.
 */
export function rateLimitPolicy(name: string, limit: number, tokensPerMs: number | null): string {
  const policy = `"${name}";q=${limit}`
  return tokensPerMs === null ? policy : `${policy};w=${Math.max(1, wholeSeconds(limit / tokensPerMs))}`
}

/** Retry-After: whole seconds, one at least. */
export function retryAfter(ms: number): string {
  return String(Math.max(1, wholeSeconds(ms)))
}

const wholeSeconds = (ms: number): number => Math.ceil(ms / 1_000)
