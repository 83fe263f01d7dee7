/** A quota as the HTTP interface shows it, and as people read it. Pure. */

export function quotaPath(name: string, action = ''): string {
  return `/v1/quotas/${encodeURIComponent(name)}${action}`
}

export interface BandwidthBody {
  readonly tokens: number
  readonly perMs: number
  readonly burst: number
}

/** What a change is answered with lacks the last two. */
export interface QuotaBody {
  readonly name: string
  readonly version: number
  readonly bandwidths: readonly BandwidthBody[]
  readonly parent: string | null
  readonly weight: number
  readonly guaranteedPercent: number
  readonly borrow: boolean
  readonly initial: number | null
  readonly perKey: boolean
  readonly shadow: boolean
  readonly whenUnavailable: string
  readonly keys: readonly (readonly [key: string, quota: string])[]
  readonly available?: number
  readonly outstanding?: number
}

/** As `--rate` takes it: `100/s:200`, and without the burst where it is as many as the tokens. */
export function rateText({ tokens, perMs, burst }: BandwidthBody): string {
  return `${tokens}/${perText(perMs)}${burst === tokens ? '' : `:${burst}`}`
}

export const ratesText = ({ bandwidths }: QuotaBody): string => bandwidths.map(rateText).join(' ')

/** Of all that a quota says of itself, what is not as it is by default. */
export function described(quota: QuotaBody): [string, string][] {
  const { parent, weight, guaranteedPercent, borrow, initial, available, outstanding } = quota
  const entries: [string, string][] = [
    ['name', quota.name],
    ['version', String(quota.version)],
    ['rate', ratesText(quota)],
  ]
  if (parent !== null) entries.push(['parent', parent], ['weight', String(weight)])
  if (guaranteedPercent > 0) entries.push(['guaranteed', `${guaranteedPercent} %${borrow ? '' : ', and no more'}`])
  if (initial !== null) entries.push(['initial', String(initial)])
  if (kindOf(quota) !== '') entries.push(['kind', kindOf(quota)])
  for (const [key, own] of quota.keys) entries.push(['key', `${keyText(key)} has ${own}`])
  if (available !== undefined && !quota.perKey) entries.push(['available', String(available)])
  if (outstanding !== undefined && !quota.perKey) entries.push(['outstanding', String(outstanding)])
  return entries
}

/** In a few words, what is unusual about it. */
export function kindOf({ perKey, shadow, whenUnavailable }: QuotaBody): string {
  const words = [perKey && 'per key', shadow && 'shadow', whenUnavailable === 'allow' && 'allows when unavailable']
  return words.filter((word) => word !== false).join(', ')
}

/** Keys are any text: what a terminal might act on, or what would look like two columns, is shown as JSON has it. */
export function keyText(key: string): string {
  return /^[\p{L}\p{N}\p{P}\p{S}]+$/u.test(key) ? key : JSON.stringify(key).replaceAll(/[^\x20-\x7e]/gu, escaped)
}

const escaped = (character: string): string => `\\u{${character.codePointAt(0)?.toString(16)}}`

/** `s`, `10s`, `1h`: the largest unit of which it is a whole number. */
function perText(perMs: number): string {
  const units = [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
  ] as const
  for (const [unit, ms] of units) if (perMs % ms === 0) return perMs === ms ? unit : `${perMs / ms}${unit}`
  return perMs === 1 ? 'ms' : `${perMs}ms`
}
