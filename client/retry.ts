/**
 * When to try again, and how often at most. Jitter is a function of (client, request, attempt), so that a run can be
 * replayed; the budget keeps a sick server from being buried by those who mean well.
 */

export const BACKOFF_BASE_MS = 50
export const BACKOFF_MAX_MS = 2_000

const BUDGET_START = 10
const BUDGET_MAX = 50
const PER_SUCCESS = 0.1
/** An empty budget still lets one retry through this often: or else a long grant would outlive an outage and die of thrift. */
export const PROBE_EVERY_MS = 10_000

/** Full jitter in [0, 1) from three 32-bit numbers: two rounds of the finaliser of MurmurHash3. */
export function jitter(client: number, request: number, attempt: number): number {
  let h = Math.imul(client ^ 0x9e3779b9, 0x85ebca6b) ^ mix(request + 0x7f4a7c15)
  h = mix(h ^ Math.imul(attempt + 1, 0xc2b2ae35))
  return (mix(h) >>> 0) / 0x1_0000_0000
}

function mix(value: number): number {
  let h = value | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** Milliseconds to wait after this attempt (1, 2, 3 ...) has failed: uniform below a bound that doubles ("full jitter"). */
export function backoffMs(client: number, request: number, attempt: number, maxMs: number = BACKOFF_MAX_MS): number {
  const boundMs = Math.min(maxMs, BACKOFF_BASE_MS * 2 ** Math.min(attempt - 1, 16))
  return jitter(client, request, attempt) * boundMs
}

/** Tokens for retries: 10 at first, 50 at most, a tenth more with each success, one less with each retry. */
export class RetryBudget {
  #tokens = BUDGET_START
  #probedMs = Number.NEGATIVE_INFINITY

  get tokens(): number {
    return this.#tokens
  }

  success(): void {
    if (this.#tokens < BUDGET_MAX) this.#tokens = Math.min(BUDGET_MAX, this.#tokens + PER_SUCCESS)
  }

  /** Milliseconds until spend() would say yes if nothing succeeds meanwhile; 0 where it would now. */
  waitMs(nowMs: number): number {
    if (this.#tokens >= 1) return 0
    return Math.max(0, this.#probedMs + PROBE_EVERY_MS - nowMs)
  }

  /** Takes one token for one retry, or says no. */
  spend(nowMs: number): boolean {
    if (this.waitMs(nowMs) > 0) return false
    if (this.#tokens >= 1) this.#tokens -= 1
    this.#probedMs = nowMs
    return true
  }
}
