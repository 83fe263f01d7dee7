/** Histories of leases that are waited for, transferred and revoked, and that nobody has for a while after an unclean end. */
import type { Random, Thing, Wish } from './generate.js'
import type { Value } from './model.js'

const CLAIM_MS = 4
const HOLDERS = ['a', 'b']

interface Asked {
  readonly token?: number
  readonly ttlMs?: number
  readonly lockDelayMs?: number
  readonly holder?: string
  readonly to?: string
  readonly ticket?: string
}

/** A lease with a queue, as it should be. Who is passed over has left. */
export class QueuedLease {
  #token = 0
  #counter = 0
  #endMs = 0
  #claimed = false
  #delayMs = 0
  /** Nobody may have it before. */
  #delayedMs = 0
  #offeredTo: string | null = null
  #queue: Asked[] = []

  readonly thing: Thing = (f, input, nowMs) => {
    const asked = (input ?? {}) as Asked
    if (this.#token !== 0 && this.#endMs <= nowMs) this.#uncleanly(this.#endMs)
    if (f === 'get') return this.#token || null
    if (f === 'acquire') return this.#acquire(asked, nowMs)
    if (f === 'await') return this.#await(asked.ticket!, nowMs)
    if (f === 'revoke') return this.#revoke(nowMs)
    if (asked.token !== this.#token) return false
    if (f === 'transfer') return this.#transfer(asked.to!, nowMs)
    if (f === 'release') this.#token = 0
    else {
      this.#endMs = Math.max(this.#endMs, nowMs + asked.ttlMs!)
      this.#claimed = true
      this.#offeredTo = null
    }
    return true
  }

  #free(nowMs: number): boolean {
    return this.#token === 0 && this.#delayedMs <= nowMs
  }
  #uncleanly(endMs: number): void {
    this.#token = 0
    if (this.#claimed) this.#delayedMs = endMs + this.#delayMs
  }
  #grant(to: Asked, lastsMs: number, nowMs: number): number {
    this.#token = ++this.#counter
    this.#endMs = nowMs + lastsMs
    this.#claimed = lastsMs === to.ttlMs
    this.#delayMs = to.lockDelayMs ?? 0
    this.#offeredTo = null
    return this.#token
  }

  #acquire(asked: Asked, nowMs: number): Value {
    if (this.#free(nowMs)) {
      this.#queue = []
      return this.#grant(asked, asked.ttlMs!, nowMs)
    }
    if (asked.ticket === undefined) return null
    this.#queue.push(asked)
    return 'queued'
  }

  #await(ticket: string, nowMs: number): Value | undefined {
    const place = this.#queue.findIndex((one) => one.ticket === ticket)
    const waiter = this.#queue[place]
    if (waiter !== undefined && this.#token !== 0 && this.#offeredTo === waiter.holder) {
      this.#queue.splice(place, 1)
      this.#offeredTo = null
      this.#delayMs = waiter.lockDelayMs ?? 0
      return { token: this.#token, claimWithinMs: CLAIM_MS }
    }
    if (waiter !== undefined && this.#free(nowMs)) {
      this.#queue.splice(0, place + 1)
      return { token: this.#grant(waiter, CLAIM_MS, nowMs), claimWithinMs: CLAIM_MS }
    }
    if (waiter !== undefined || this.#free(nowMs)) return undefined
    return null
  }

  #revoke(nowMs: number): Value {
    const token = this.#token || null
    if (token !== null) this.#uncleanly(nowMs)
    return token
  }

  #transfer(to: string, nowMs: number): Value | undefined {
    const waiter = this.#queue.find((one) => one.holder === to)
    if (this.#token === 0) return false
    if (waiter === undefined) return undefined
    this.#grant(waiter, CLAIM_MS, nowMs)
    this.#claimed = false
    this.#delayMs = 0
    this.#offeredTo = to
    return true
  }
}

const pick = <T>(random: Random, of: readonly T[]): T => of[Math.floor(random() * of.length)]!

/** Of one history: tickets are numbered. */
export function queueWishes(): (random: Random) => Wish {
  let tickets = 0
  return (random) => {
    const f = pick(random, ['acquire', 'acquire', 'await', 'await', 'renew', 'release', 'transfer', 'revoke', 'get'])
    const token = 1 + Math.floor(random() * 6)
    const ttlMs = pick(random, [5, 20, 200])
    if (f === 'get' || f === 'revoke') return { f, input: null }
    if (f === 'await') return { f, input: { ticket: `t${Math.floor(random() * (tickets + 1))}` } }
    if (f === 'transfer') return { f, input: { token, to: pick(random, HOLDERS) } }
    if (f === 'release') return { f, input: { token } }
    if (f === 'renew') return { f, input: { token, ttlMs } }
    const asked = { ttlMs, holder: pick(random, HOLDERS), ...(random() < 0.3 ? { lockDelayMs: 10 } : {}) }
    const waits = random() < 0.6
    return { f, input: waits ? { ...asked, waitMs: 1_000, ticket: `t${tickets++}` } : asked }
  }
}

/** Anything that could be said to it. */
export function queueResult(f: string, random: Random): Value {
  if (f === 'renew' || f === 'release' || f === 'transfer') return random() < 0.5
  const token = pick(random, [null, 1, 2, 3, 4, 5])
  if (f !== 'await' || token === null || random() < 0.3) return token
  return { token, claimWithinMs: CLAIM_MS }
}
