/**
 * Which member to go to next. Any member serves, so the order is of no meaning to one client; over all clients it spreads
 * them, since each begins elsewhere. Never comes back to an endpoint that failed lately while there is another one,
 * never follows a hint to an address that the caller did not name, and never follows one twice.
 */
import { jitter } from './retry.js'

/** An endpoint that failed is tried last for so long. */
export const FAILED_MS = 10_000

export interface Endpoint {
  /** An origin, without a path. */
  readonly url: string
  /** When it last failed, on the monotonic clock. */
  failedMs: number
  /** Another cluster answered there, when last asked. */
  foreign: boolean
}

export class Endpoints {
  /** In the order in which this client goes round. */
  readonly #all: readonly Endpoint[]
  #at = -1
  #hinted: Endpoint | null = null

  /** `seed` decides the order: a function of the client's name and of chance. */
  constructor(urls: readonly string[], seed: number) {
    const drawn = [...new Set(urls)].map((url, i) => ({ url, draw: jitter(seed, i, 0) }))
    drawn.sort((a, b) => a.draw - b.draw)
    this.#all = drawn.map(({ url }) => ({ url, failedMs: Number.NEGATIVE_INFINITY, foreign: false }))
  }

  get count(): number {
    return this.#all.length
  }

  /** Whether another cluster answered wherever somebody did. */
  get allForeign(): boolean {
    return this.#all.every((endpoint) => endpoint.foreign)
  }

  /** The one to dial now. `but`: not this one, where there is any other. */
  next(nowMs: number, but: Endpoint | null): Endpoint {
    const round = this.#all.map((_, i) => this.#all[(this.#at + 1 + i) % this.#all.length]!)
    const others = this.#all.length === 1 ? round : round.filter((one) => one !== but)
    const fit = others.filter((one) => !one.foreign && nowMs - one.failedMs >= FAILED_MS)
    const hinted = fit.find((one) => one === this.#hinted)
    this.#hinted = null
    const chosen = hinted ?? fit[0] ?? others.reduce((a, b) => (b.failedMs < a.failedMs ? b : a))
    this.#at = this.#all.indexOf(chosen)
    return chosen
  }

  /** Who leads, as a member told it: the next one to go to, should it come to that, where it is an endpoint of ours. */
  hint(url: string | null): void {
    const origin = url !== null && URL.canParse(url) ? new URL(url).origin : null
    this.#hinted = this.#all.find((endpoint) => endpoint.url === origin) ?? null
  }
}

/** A number from a name (FNV-1a), for seeds. */
export function seedOf(name: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193)
  return h | 0
}
