/** The shapes of quotas in the library's surface. */
import type { Bandwidth, Duration, QuotaSpec, TakenHow, WhenUnavailable } from '@leasehold/protocol'
import type { WaitOptions } from './types.js'

/** `cold`: nothing was drawn yet, or nothing is left and more is on its way. `empty`: used up. `unavailable`: no member could say. */
export type TryTaken =
  | { readonly ok: true; readonly how: 'exact' | 'shadow' | 'unavailable' }
  | { readonly ok: false; readonly reason: 'empty' | 'cold' | 'unavailable'; readonly retryAfterMs: number }

export interface TakeOptions {
  readonly signal?: AbortSignal
  /** How long to wait for its turn. The client's timeout by default. */
  readonly timeout?: Duration
  /** Fewer will do, one at least. */
  readonly upTo?: boolean
}

export interface Taken {
  readonly taken: number
  /** `exact`: from tokens. `shadow` and `unavailable`: without any, by right of the quota's specification. */
  readonly how: 'exact' | 'shadow' | 'unavailable'
}

export interface QuotaCounts {
  shadow: number
  unavailable: number
}

/** A member's decision. Times in milliseconds; `resetMs`: until the bucket is full again. */
export type Admission =
  | {
      readonly admitted: true
      readonly taken: number
      readonly remaining: number
      readonly limit: number
      readonly resetMs: number
      readonly how: TakenHow
    }
  | {
      readonly admitted: false
      readonly retryAfterMs: number
      readonly remaining: number
      readonly limit: number
      readonly resetMs: number
    }

export interface AdmitOptions extends WaitOptions {}

export interface QuotaItem {
  readonly quota: string
  readonly cost?: number
  readonly key?: string | null
}

/** What a quota is made of: bandwidths (a burst that is left out is as many as the tokens), and what else differs from the defaults. */
export interface QuotaWish extends Partial<Omit<QuotaSpec, 'bandwidths'>> {
  readonly bandwidths: readonly (Omit<Bandwidth, 'burst'> & { readonly burst?: number })[]
}

export interface QuotaInfo extends QuotaSpec {
  readonly name: string
  readonly version: number
  readonly available: number
  readonly outstanding: number
}

export interface QuotaListOptions extends WaitOptions {
  readonly prefix?: string
  readonly after?: string
  /** Quotas a page: 1 to 1000, 100 by default. */
  readonly limit?: number
}

export interface QuotaPage {
  readonly quotas: readonly QuotaInfo[]
  readonly next: string | null
}

export interface TopKeys {
  readonly keys: readonly { readonly key: string; readonly ratePerS: number; readonly errorPerS: number }[]
  readonly totalPerS: number
}

export type { WhenUnavailable }
