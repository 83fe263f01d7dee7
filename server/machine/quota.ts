/**
 * One quota's row: its specification, a bucket for each bandwidth, and the tokens that members hold of it. For each bucket, whatever
 * happens, level + outstanding <= burst: refill stops at what is not outstanding, and whatever changes a level, what is outstanding, the rate or the
 * burst refills first, under what held until then.
 */
import {
  type Bandwidth,
  type Level,
  MICRO,
  type QuotaSpec,
  quotaFields,
  quotaOfFields,
  type Rate,
  rateOf,
  refill,
  tokensIn,
  waitMs,
} from '@leasehold/protocol'
import type { Row } from './changes.js'
import type { Due } from './due.js'
import type { FieldReader } from './fields.js'
import type { Codec } from './table.js'

export interface Bucket extends Level {
  readonly bandwidth: Bandwidth
  readonly rate: Rate
}

/** Stands in a queue of what is due only while it is deleted. */
export interface Quota extends Row, Due {
  readonly name: string
  /** Of the specification. Only grows. */
  version: number
  spec: QuotaSpec
  /** In the order of the specification's bandwidths; none of a perKey quota. */
  buckets: readonly Bucket[]
  /** Of bandwidths that are gone, until they would be full: so that nothing is gained by taking one away and putting it back. */
  retired: readonly Bucket[]
  /** Whole tokens that tabs hold, of this quota and of those below it. */
  outstanding: number
  /** All levels are as of then. */
  refilledMs: number
  /** Kept until it would be full: so that nothing is gained by making it anew. */
  deleted: boolean
}

export function bucketOf(bandwidth: Bandwidth, micro: number, rest = 0): Bucket {
  return { bandwidth, rate: rateOf(bandwidth), micro, rest }
}

/** What may be in the bucket beside what is outstanding. */
export function capMicro({ burst }: Bandwidth, outstanding: number): number {
  return Math.max(0, burst - outstanding) * MICRO
}

/** Lets flow in what has come since, under the rates and the outstanding of until now. False where no time has passed. */
export function refillQuota(quota: Quota, nowMs: number): boolean {
  const elapsedMs = nowMs - quota.refilledMs
  if (elapsedMs === 0) return false
  const { outstanding } = quota
  quota.refilledMs = nowMs
  for (const bucket of quota.buckets) refill(bucket, bucket.rate, elapsedMs, capMicro(bucket.bandwidth, outstanding))
  if (quota.retired.length > 0) {
    for (const bucket of quota.retired) refill(bucket, bucket.rate, elapsedMs, capMicro(bucket.bandwidth, outstanding))
    quota.retired = quota.retired.filter((bucket) => !isFull(bucket))
  }
  return true
}

export const isFull = ({ micro, bandwidth }: Bucket): boolean => micro === bandwidth.burst * MICRO

/** Whole tokens of the emptiest bucket, as of the last refill. */
export function availableOf({ buckets }: Quota): number {
  let least = Number.MAX_SAFE_INTEGER
  for (const { micro } of buckets) if (micro < least) least = micro
  return tokensIn(least)
}

/** The same, by a later time. Changes nothing. */
export function availableAt({ buckets, outstanding, refilledMs }: Quota, nowMs: number): number {
  let least = Number.MAX_SAFE_INTEGER
  for (const { bandwidth, rate, micro, rest } of buckets) {
    const level = { micro, rest }
    refill(level, rate, nowMs - refilledMs, capMicro(bandwidth, outstanding))
    least = Math.min(least, level.micro)
  }
  return tokensIn(least)
}

/** Until every bucket has so many tokens, if nothing is taken; from the last refill on. */
export function untilMs({ buckets }: Quota, tokens: (bandwidth: Bandwidth) => number): number {
  let longest = 0
  for (const bucket of buckets)
    longest = Math.max(longest, waitMs(bucket, bucket.rate, tokens(bucket.bandwidth) * MICRO))
  return longest
}

/** Throws where a bucket holds what is outstanding already: better no answer than a wrong one. */
export function checkQuota({ name, buckets, outstanding }: Quota): void {
  for (const { micro, bandwidth } of buckets) {
    const fits = micro >= 0 && outstanding >= 0 && (micro === 0 || micro <= capMicro(bandwidth, outstanding))
    if (!fits)
      throw new Error(
        `quota ${name}: ${micro} micro-tokens beside ${outstanding} outstanding tokens of ${bandwidth.burst}`,
      )
  }
}

const DELETED = 1

export const quotaCodec: Codec<Quota> = {
  name: 'quotas',
  keyOf: (quota) => quota.name,
  encode: (quota) => {
    const fields: unknown[] = [quota.version, quota.refilledMs, quota.outstanding, quota.deleted ? DELETED : 0]
    fields.push(quota.buckets.length)
    for (const { micro, rest } of quota.buckets) fields.push(micro, rest)
    fields.push(quota.retired.length)
    for (const { bandwidth, micro, rest } of quota.retired)
      fields.push(bandwidth.tokens, bandwidth.perMs, bandwidth.burst, micro, rest)
    fields.push(...quotaFields(quota.spec))
    return fields
  },
  decode: (name, fields) => {
    const [version, refilledMs, outstanding, deleted] = [fields.int(), fields.int(), fields.int(), fields.int()]
    const levels = list(fields, () => ({ micro: fields.int(), rest: fields.int() }))
    const retired = list(fields, () => {
      const bandwidth = { tokens: fields.int(), perMs: fields.int(), burst: fields.int() }
      return bucketOf(bandwidth, fields.int(), fields.int())
    })
    const spec = specOf(name, fields.rest())
    if (levels.length !== (spec.perKey ? 0 : spec.bandwidths.length)) throw unknown(name)
    const buckets = levels.map(({ micro, rest }, at) => bucketOf(spec.bandwidths[at]!, micro, rest))
    const due = { endMs: 0, placedMs: 0, slot: 0 }
    const is = { name, version, spec, buckets, retired, outstanding, refilledMs, deleted: deleted === DELETED }
    return { saved: 0, change: -1, ...due, ...is }
  },
}

function specOf(name: string, fields: readonly unknown[]): QuotaSpec {
  try {
    const { spec, end } = quotaOfFields(fields, 0)
    if (end === fields.length) return spec
  } catch {
    // as below
  }
  throw unknown(name)
}

const unknown = (name: string) => new Error(`stored row quotas/${name}: a shape that this version does not know`)

function list<T>(fields: FieldReader, item: () => T): T[] {
  const items: T[] = []
  for (let left = fields.int(); left > 0; left--) items.push(item())
  return items
}

/** A fresh one: full, or as full as its specification says. */
export function blankQuota(name: string, spec: QuotaSpec, nowMs: number): Quota {
  const { perKey, bandwidths, initial } = spec
  const begin = (bandwidth: Bandwidth) =>
    bucketOf(bandwidth, Math.min(initial ?? bandwidth.burst, bandwidth.burst) * MICRO)
  const buckets = perKey ? [] : bandwidths.map(begin)
  const due = { endMs: 0, placedMs: 0, slot: 0 }
  const state = { buckets, retired: [], outstanding: 0, refilledMs: nowMs, deleted: false }
  return { saved: 0, change: -1, ...due, name, version: 0, spec, ...state }
}
