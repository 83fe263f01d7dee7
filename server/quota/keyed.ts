/**
 * Buckets by key, as this member sees them. A sketch says who is below what deserves a bucket, and admits him; only exact buckets, which whoever
 * leads keeps, ever deny. The sketch says too much rather than too little, so that somebody may be given a bucket that he did not need, and
 * nobody is denied for what others did.
 */
import type { QuotaView, TakeItem } from '@leasehold/protocol'
import type { Replica } from '../replica/index.js'
import { CountMin } from './countmin.js'
import { KeyAccount } from './keyaccount.js'
import { halfLifeMsOf, KeyedQuota } from './keyedquota.js'
import { KeyHash } from './keyhash.js'
import { QUOTA_LIMITS as L } from './limits.js'
import { SoftBuckets } from './softbuckets.js'
import { Talkers } from './talkers.js'

/** Accounts that are looked at for one that can make way. */
const ROOM_TRIES = 64

export class Keyed {
  readonly #replica: Replica
  readonly #quotas = new Map<string, KeyedQuota>()
  /** By half-life: quotas with about the same one share a sketch. */
  readonly #sketches = new Map<number, CountMin>()
  /** Oldest first, but for those that were passed over lately. */
  readonly #accounts = new Set<KeyAccount>()
  readonly #hash = new KeyHash()
  #talkers: Talkers | null = null
  /** Of this member, while it leads. */
  readonly buckets = new SoftBuckets(L.keyBucketsMax)
  /** Keys that have buckets elsewhere, and until when that is believed. */
  listed: ReadonlySet<number> = new Set()
  listedUntilMs = 0
  /** When somebody asked by key last. */
  askedMs = Number.NEGATIVE_INFINITY
  /** Accounts that hold what is to be given back. */
  readonly returning = new Set<KeyAccount>()

  constructor(replica: Replica) {
    this.#replica = replica
  }

  get accounts(): number {
    return this.#accounts.size
  }

  talkers(nowMs: number): Talkers {
    this.#talkers ??= new Talkers(L.talkers, L.talkersHalfLifeMs, nowMs)
    return this.#talkers
  }

  /** Voters, as far as is known here. */
  get members(): number {
    return Math.max(1, this.#replica.configuration?.voters.length ?? 1)
  }

  /** Takes at once what needs no bucket, and returns how much is left, about; null: it has to be asked for. */
  light(view: QuotaView, key: string, cost: number, nowMs: number): number | null {
    const quota = this.quota(view, nowMs)
    const known = quota.accounts.get(key)
    if (known !== undefined && !this.#isLight(known, nowMs)) return null
    const { high, low, whole } = this.#hash.of(key, quota.seed)
    const taken = quota.sketch.estimate(high, low, nowMs) + cost
    if (taken > quota.theta(this.members) || this.#hasBucket(quota.name, key, whole, nowMs)) return null
    if (known !== undefined) this.#close(known)
    quota.sketch.add(high, low, cost, nowMs)
    return Math.max(0, Math.floor(quota.burst - taken))
  }

  /** What is left under a key, as far as is known here. Takes nothing. */
  peek(view: QuotaView, key: string, nowMs: number): number {
    const quota = this.quota(view, nowMs)
    const known = quota.accounts.get(key)
    if (known !== undefined) return Math.min(quota.burst, known.remaining)
    const { high, low } = this.#hash.of(key, quota.seed)
    return Math.max(0, Math.floor(quota.burst - quota.sketch.estimate(high, low, nowMs)))
  }

  /** Where it is asked for, from now on; null: there are too many. */
  account(view: QuotaView, key: string, nowMs: number): KeyAccount | null {
    const quota = this.quota(view, nowMs)
    const known = quota.accounts.get(key)
    if (known !== undefined) {
      known.askedMs = nowMs
      return known
    }
    if (this.#accounts.size >= L.keyAccountsMax && !this.#makeRoom(nowMs)) return null
    const account = new KeyAccount(quota, key, this.#hash.of(key, quota.seed), nowMs)
    quota.accounts.set(key, account)
    this.#accounts.add(account)
    return account
  }

  /** Somebody asks for it, whether or not he gets it. */
  count({ quota: name, key, cost }: TakeItem, nowMs: number): void {
    this.askedMs = nowMs
    const talkers = this.talkers(nowMs)
    talkers.add(talkers.group(name), key!, cost, nowMs)
  }

  /** As its specification is now. */
  quota(view: QuotaView, nowMs: number): KeyedQuota {
    const known = this.#quotas.get(view.name)
    if (known?.view.version === view.version) return known
    const seed = this.#hash.of(view.name, 0).low
    const quota = new KeyedQuota(view, seed, this.#sketchOf(view, nowMs))
    // What was granted under the old one is let go.
    for (const account of known?.accounts.values() ?? []) this.#accounts.delete(account)
    this.#quotas.set(view.name, quota)
    return quota
  }

  /** Those that are no more, or have no keys any more, and accounts that are idle. What is left in those goes back. */
  sweep(nowMs: number): void {
    for (const { name } of [...this.#quotas.values()]) {
      if (this.#replica.getQuota(name)?.spec.perKey === true) continue
      for (const account of this.#quotas.get(name)!.accounts.values()) if (account.waiting === 0) this.#close(account)
      this.#quotas.delete(name)
      this.talkers(nowMs).forget(name)
    }
    for (const account of this.#accounts) {
      account.freeAt(nowMs)
      if (account.back > 0) this.returning.add(account)
      else if (account.waiting === 0 && account.free === 0 && nowMs - account.askedMs >= L.keyIdleMs)
        this.#close(account)
    }
  }

  /** It has had no bucket for long enough that everybody knows. */
  #isLight(account: KeyAccount, nowMs: number): boolean {
    if (account.waiting > 0 || account.free > 0 || account.back > 0 || nowMs < account.exhaustedUntilMs) return false
    return nowMs - account.openedMs >= L.keyIdleMs
  }

  #hasBucket(name: string, key: string, hash: number, nowMs: number): boolean {
    if (this.#replica.leads) return this.buckets.has(name, key)
    return nowMs < this.listedUntilMs && this.listed.has(hash)
  }

  #close(account: KeyAccount): void {
    account.of.accounts.delete(account.key)
    this.#accounts.delete(account)
    this.returning.delete(account)
  }

  /** One for which nobody waits goes, of the first few; the others stand at the end from now on. */
  #makeRoom(nowMs: number): boolean {
    let tries = 0
    for (const account of this.#accounts) {
      if (account.waiting === 0 && (account.exhaustedUntilMs <= nowMs || tries > ROOM_TRIES / 2)) {
        this.#close(account)
        return true
      }
      if (++tries === ROOM_TRIES) break
      this.#accounts.delete(account)
      this.#accounts.add(account)
    }
    return false
  }

  #sketchOf(view: QuotaView, nowMs: number): CountMin {
    let halfLifeMs: number = L.sketchMsMin
    while (halfLifeMs < halfLifeMsOf(view)) halfLifeMs *= 4
    const known = this.#sketches.get(halfLifeMs)
    if (known !== undefined) return known
    const sketch = new CountMin(L.sketchWidth, L.sketchDepth, halfLifeMs, nowMs)
    this.#sketches.set(halfLifeMs, sketch)
    return sketch
  }
}
