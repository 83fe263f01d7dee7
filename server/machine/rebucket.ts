/**
 * What becomes of a quota's buckets where its bandwidths change. Bandwidths are told apart by their time (perMs): of one that stays, the level
 * stays, cut to what its burst leaves beside what is outstanding. One that comes in another's place has no more than that one had; one that
 * returns no more than it would have by now. Only a bandwidth that comes in addition begins full.
 */
import type { Bandwidth, QuotaSpec } from '@leasehold/protocol'
import { type Bucket, bucketOf, capMicro, isFull, type Quota } from './quota.js'

export interface Rebucketed {
  readonly live: readonly Bucket[]
  readonly retired: readonly Bucket[]
}

/** The quota was refilled before. */
export function rebucket({ buckets, retired, outstanding }: Quota, { bandwidths, perKey }: QuotaSpec): Rebucketed {
  const wanted = perKey ? [] : bandwidths
  const gone = buckets.filter(({ bandwidth }) => !wanted.some(({ perMs }) => perMs === bandwidth.perMs))
  const replaced = [...gone]
  const live = wanted.map((bandwidth) => {
    const stays = buckets.find((bucket) => bucket.bandwidth.perMs === bandwidth.perMs)
    if (stays !== undefined) return over(stays, bandwidth, outstanding)
    const before = [replaced.shift(), retired.find((bucket) => bucket.bandwidth.perMs === bandwidth.perMs)]
    let micro = capMicro(bandwidth, outstanding)
    for (const bucket of before) if (bucket !== undefined) micro = Math.min(micro, bucket.micro)
    return bucketOf(bandwidth, micro)
  })
  const back = (bucket: Bucket) => wanted.some(({ perMs }) => perMs === bucket.bandwidth.perMs)
  return { live, retired: [...retired.filter((bucket) => !back(bucket)), ...gone.filter((bucket) => !isFull(bucket))] }
}

/** The remainder is in parts of the rate's denominator: of another rate it means nothing, and is let go. */
function over({ bandwidth: before, micro, rest }: Bucket, bandwidth: Bandwidth, outstanding: number): Bucket {
  const cap = capMicro(bandwidth, outstanding)
  const keeps = micro < cap && before.tokens === bandwidth.tokens
  return bucketOf(bandwidth, Math.min(micro, cap), keeps ? rest : 0)
}
