/**
 * A quota in front of a request: whether it passes, and what is said about it in headers. Decided in this process from tokens that it holds, or by a
 * member, where there is a key. Who made the request hears of a denial; who wrote the program, of a mistake in it.
 */
import {
  type Duration,
  ERRORS,
  type ErrorCode,
  rateLimit,
  rateLimitPolicy,
  retryAfter,
  type WhenUnavailable,
} from '@leasehold/protocol'
import { LeaseholdError } from '../errors.js'
import type { Admission, AdmitOptions, Taken, TakeOptions, TryTaken } from '../quotatypes.js'

/** What of a client is needed here. */
export interface Limiter {
  quota(name: string): {
    tryTake(tokens?: number): TryTaken
    take(tokens?: number, options?: TakeOptions): Promise<Taken>
  }
  admit(name: string, key?: string | null, cost?: number, options?: AdmitOptions): Promise<Admission>
}

export interface RateLimitOptions<Request> {
  /** Tokens of a request. 1 by default. */
  readonly cost?: number | ((request: Request) => number)
  /** Of a perKey quota: whose bucket. A member decides then. */
  readonly key?: (request: Request) => string
  /** How long a request may wait for its turn, or for a member's answer. 250 ms by default. */
  readonly wait?: Duration
  /** Where nobody can say: 503, or let it pass. `deny` by default. */
  readonly whenUnavailable?: WhenUnavailable
  /** Requests that are not counted, and always pass. */
  readonly skip?: (request: Request) => boolean
}

export type Headers = Readonly<Record<string, string>>

/** `body`: a problem document, where the request does not pass. */
export type Verdict =
  | { readonly passes: true; readonly headers: Headers }
  | { readonly passes: false; readonly status: number; readonly headers: Headers; readonly body: object }

const WAIT = '250ms'
const NO_HEADERS: Headers = Object.freeze({})
const PASSES: Verdict = Object.freeze({ passes: true, headers: NO_HEADERS })
const PROBLEM = { 'content-type': 'application/problem+json' } as const

/** Errors that no waiting mends: whoever wrote the program is to hear of them. */
const MISTAKES: ReadonlySet<ErrorCode> = new Set([
  'INVALID_ARGUMENT',
  'QUOTA_NOT_FOUND',
  'TOO_LARGE',
  'CLOSED',
  'WRONG_CLUSTER',
])

/** What a member's decision says in headers: RateLimit, RateLimit-Policy and, where it is a denial, Retry-After. */
export function rateLimitHeaders(name: string, admission: Admission): Headers {
  const headers = {
    ratelimit: rateLimit(name, admission),
    'ratelimit-policy': rateLimitPolicy(name, admission.limit, null),
  }
  return admission.admitted ? headers : { ...headers, 'retry-after': retryAfter(admission.retryAfterMs) }
}

/** At once where this process has the tokens. Throws, or rejects with, LeaseholdError for a mistake of the program: INVALID_ARGUMENT, QUOTA_NOT_FOUND. */
export function decide<Request>(
  limiter: Limiter,
  name: string,
  options: RateLimitOptions<Request>,
  request: Request,
): Verdict | Promise<Verdict> {
  if (options.skip?.(request) === true) return PASSES
  const cost = typeof options.cost === 'function' ? options.cost(request) : (options.cost ?? 1)
  const timeout = options.wait ?? WAIT
  if (options.key !== undefined) {
    return limiter.admit(name, options.key(request), cost, { timeout }).then(
      (admission) => asked(name, admission),
      (error) => failed(name, options, error),
    )
  }
  const quota = limiter.quota(name)
  if (quota.tryTake(cost).ok) return PASSES
  return quota.take(cost, { timeout }).then(
    () => PASSES,
    (error) => failed(name, options, error),
  )
}

function asked(name: string, admission: Admission): Verdict {
  const headers = rateLimitHeaders(name, admission)
  if (admission.admitted) return { passes: true, headers }
  return refusal('QUOTA_EXCEEDED', `${name} is used up`, headers, admission.retryAfterMs)
}

/** Throws what is a mistake. */
function failed<Request>(
  name: string,
  { whenUnavailable = 'deny' }: RateLimitOptions<Request>,
  error: unknown,
): Verdict {
  if (!(error instanceof LeaseholdError) || MISTAKES.has(error.code)) throw error
  const afterMs = error.retryAfterMs ?? 1_000
  if (error.code === 'QUOTA_EXCEEDED') {
    const headers = {
      ratelimit: rateLimit(name, { remaining: 0, resetMs: afterMs }),
      'retry-after': retryAfter(afterMs),
    }
    return refusal('QUOTA_EXCEEDED', `${name} is used up`, headers, afterMs)
  }
  if (whenUnavailable === 'allow') return PASSES
  const detail = `nobody can say now whether ${name} admits it`
  return refusal('NO_QUORUM', detail, { 'retry-after': retryAfter(afterMs) }, afterMs)
}

function refusal(code: ErrorCode, detail: string, headers: Headers, retryAfterMs: number): Verdict {
  const { status, title, retryable } = ERRORS[code]
  const body = { type: 'about:blank', title, status, detail, code, retryable, retryAfterMs: Math.ceil(retryAfterMs) }
  return { passes: false, status, headers: { ...headers, ...PROBLEM }, body }
}
