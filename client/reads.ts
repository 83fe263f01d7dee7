/**
 * Reads of single leases, with a cache for those who say that an older answer will do. Nothing depends on the cache: it
 * is bounded, a name is asked for once at a time, and "there is none" is kept for a second at most.
 */
import {
  checkLimit,
  checkName,
  checkPrefix,
  durationMs,
  ERRORS,
  type GetFields,
  type LeaseView,
  LIMITS,
  type ListFields,
  OP,
} from '@leasehold/protocol'
import { LRUCache } from 'lru-cache'
import { ask, isOk, outcomeError } from './ask.js'
import type { Core } from './core.js'
import { aborted, LeaseholdError, refusedHere } from './errors.js'
import type { GetOptions, LeaseInfo, LeasePage, ListOptions, WaitOptions } from './types.js'
import type { Mark } from './validity.js'

const ENTRIES_MAX = 1_000
const ABSENT_MS_MAX = 1_000
/** An age beyond all that is asked for. */
const AGE_MS_MAX = 2 ** 40

interface Entry {
  readonly lease: LeaseInfo | null
  /** Before the request that brought it was sent. */
  readonly mark: Mark
}

export function leaseInfo(view: LeaseView): LeaseInfo {
  const [name, holder, token, ttlMs, remainingMs, state, waiters, meta] = view
  return { name, holder, token, ttlMs, remainingMs, state, waiters, meta }
}

export function timeoutOf(core: Core, options: WaitOptions): number {
  return options.timeout === undefined ? core.timeoutMs : durationMs(options.timeout, 'timeout')
}

export class Reads {
  readonly #core: Core
  readonly #cache = new LRUCache<string, Entry>({ max: ENTRIES_MAX })
  readonly #underWay = new Map<string, Promise<Entry>>()

  constructor(core: Core) {
    this.#core = core
  }

  /** The lease, or null where nobody has the name. */
  async get(name: string, options: GetOptions): Promise<LeaseInfo | null> {
    const wanted = this.#check(name, options)
    if (options.signal?.aborted) throw aborted(options.signal, 'no')
    const kept = wanted.maxAgeMs + wanted.maxStaleMs > 0 ? this.#cache.get(wanted.name) : undefined
    if (kept !== undefined && this.#ageMs(kept) <= wanted.maxAgeMs) return this.#aged(kept)
    try {
      const shared = wanted.maxAgeMs > 0 && options.signal === undefined
      const entry = await (shared ? this.#shared(wanted.name, wanted.timeoutMs) : this.#ask(wanted.name, options))
      return this.#aged(entry)
    } catch (error) {
      const away = error instanceof LeaseholdError && error.retryable
      if (away && kept !== undefined && this.#ageMs(kept) <= wanted.maxAgeMs + wanted.maxStaleMs)
        return this.#aged(kept)
      throw error
    }
  }

  #check(name: unknown, options: GetOptions) {
    try {
      return {
        name: checkName(name, 'name'),
        maxAgeMs: durationMs(options.maxAge ?? 0, 'maxAge'),
        maxStaleMs: durationMs(options.maxStale ?? 0, 'maxStale'),
        timeoutMs: timeoutOf(this.#core, options),
      }
    } catch (error) {
      throw refusedHere(error)
    }
  }

  /** One request for a name at a time, for all who would take a cached answer. */
  #shared(name: string, timeoutMs: number): Promise<Entry> {
    const underWay = this.#underWay.get(name)
    if (underWay !== undefined) return underWay
    const asked = this.#ask(name, { timeout: timeoutMs }).finally(() => this.#underWay.delete(name))
    this.#underWay.set(name, asked)
    return asked
  }

  async #ask(name: string, options: WaitOptions): Promise<Entry> {
    const mark = this.#core.timeline.mark()
    const lease = await ask<LeaseInfo | null>(
      this.#core,
      {
        op: OP.get,
        body: () => [name],
        read: (code, fields) => {
          if (isOk(code)) return leaseInfo((fields as GetFields)[0])
          if (code === ERRORS.LEASE_NOT_FOUND.wire) return null
          throw outcomeError(code, fields)
        },
      },
      { signal: options.signal, timeoutMs: timeoutOf(this.#core, options) },
    )
    const entry = { lease, mark }
    this.#cache.set(name, entry)
    return entry
  }

  #ageMs(entry: Entry): number {
    const ageMs = AGE_MS_MAX - this.#core.timeline.leftMs(entry.mark, AGE_MS_MAX)
    return entry.lease === null && ageMs > ABSENT_MS_MAX ? Number.POSITIVE_INFINITY : ageMs
  }

  #aged({ lease, mark }: Entry): LeaseInfo | null {
    if (lease === null) return null
    return { ...lease, remainingMs: Math.max(0, Math.floor(this.#core.timeline.leftMs(mark, lease.remainingMs))) }
  }
}

/** One page of leases by name. */
export async function list(core: Core, options: ListOptions): Promise<LeasePage> {
  let body: readonly unknown[]
  let timeoutMs: number
  try {
    const after = options.after === undefined ? null : checkName(options.after, 'after')
    body = [checkPrefix(options.prefix ?? '', 'prefix'), after, checkLimit(options.limit ?? LIMITS.pageDefault)]
    timeoutMs = timeoutOf(core, options)
  } catch (error) {
    throw refusedHere(error)
  }
  return ask<LeasePage>(
    core,
    {
      op: OP.list,
      body: () => body,
      read: (code, fields) => {
        if (!isOk(code)) throw outcomeError(code, fields)
        const [leases, next] = fields as ListFields
        return { leases: leases.map(leaseInfo), next }
      },
    },
    { signal: options.signal, timeoutMs },
  )
}
