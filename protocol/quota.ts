/**
 * What a quota is: a list of bandwidths that must all admit, and how it shares with others. The shape, its limits, and its
 * two forms: an object where people write it (HTTP, the library), a flat array on the wire, in the log and in stored rows.
 *
 *   fields   [parent, weight, guaranteedPercent, borrow, initial, perKey, shadow, whenUnavailable,
 *             bandwidths, then tokens, perMs, burst of each, keys, then key, quota of each]
 */
import { checkArray, checkBoolean, checkInteger, checkNatural, checkString, checkText } from './checks.js'
import { ProtocolError } from './fault.js'
import { LIMITS } from './limits.js'
import { checkName } from './names.js'
import { describe } from './text.js'

/** A token bucket: it holds `burst` tokens at most, and `tokens` flow in per `perMs` milliseconds. */
export interface Bandwidth {
  readonly tokens: number
  readonly perMs: number
  readonly burst: number
}

/** What is answered where no tokens can be had because nobody leads. Either way the answer is marked. */
export type WhenUnavailable = 'deny' | 'allow'

export interface QuotaSpec {
  /** One to four, none with the same perMs as another: whoever takes, takes from all of them. */
  readonly bandwidths: readonly Bandwidth[]
  /** Whoever takes here takes there, too, and from its parent, and so on: all or nothing. */
  readonly parent: string | null
  /** Among those of one parent, where there is not enough for all. */
  readonly weight: number
  /** Of what the parent has, so much is this one's first. The sum over all children is at most 100. */
  readonly guaranteedPercent: number
  /** Whether it may have more of the parent than it is guaranteed. */
  readonly borrow: boolean
  /** Tokens that a fresh bucket starts with; null: full, as those of keys always are. */
  readonly initial: number | null
  /** One bucket for each key. Kept in memory, with a bound of its own. It has no parent. */
  readonly perKey: boolean
  /** Counts, and never denies. */
  readonly shadow: boolean
  readonly whenUnavailable: WhenUnavailable
  /** Keys with limits of their own: each names an ordinary quota. Of a perKey quota alone. */
  readonly keys: readonly (readonly [key: string, quota: string])[]
}

/** A quota as readers see it. */
export interface QuotaView {
  readonly name: string
  /** Of this specification: changes with each of them, and only grows. */
  readonly version: number
  readonly spec: QuotaSpec
  /** Whole tokens of the emptiest bandwidth, by the time of the applied state; 0 for a perKey quota. */
  readonly available: number
  /** Whole tokens that members and clients hold and have not reported as spent. */
  readonly outstanding: number
}

/** What a specification has where it does not say. */
export const QUOTA_DEFAULTS = {
  parent: null,
  weight: 1,
  guaranteedPercent: 0,
  borrow: true,
  initial: null,
  perKey: false,
  shadow: false,
  whenUnavailable: 'deny',
  keys: [],
} as const satisfies Partial<QuotaSpec>

/** The most that can ever be taken at once. */
export function burstOf({ bandwidths }: QuotaSpec): number {
  return Math.min(...bandwidths.map(({ burst }) => burst))
}

/** Tokens per millisecond that the slowest bandwidth admits in the long run. */
export function tokensPerMsOf({ bandwidths }: QuotaSpec): number {
  return Math.min(...bandwidths.map(({ tokens, perMs }) => tokens / perMs))
}

/** From what a person wrote; absent fields have their defaults. Throws ProtocolError INVALID_ARGUMENT, which names the field. */
export function checkQuotaSpec(value: unknown): QuotaSpec {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('quota', 'an object', value)
  const given = value as Record<string, unknown>
  for (const field of Object.keys(given)) {
    if (field !== 'bandwidths' && !Object.hasOwn(QUOTA_DEFAULTS, field)) {
      throw new ProtocolError('INVALID_ARGUMENT', `${field} is no field of a quota`)
    }
  }
  const spec = { ...QUOTA_DEFAULTS, ...given } as Record<keyof QuotaSpec, unknown>
  return related({
    bandwidths: checkArray(spec.bandwidths, 'bandwidths').map(bandwidthOf),
    parent: spec.parent === null ? null : checkName(spec.parent, 'parent'),
    weight: checkInteger(spec.weight, 'weight', 1, LIMITS.quotaWeightMax),
    guaranteedPercent: checkInteger(spec.guaranteedPercent, 'guaranteedPercent', 0, 100),
    borrow: checkBoolean(spec.borrow, 'borrow'),
    initial: spec.initial === null ? null : checkInteger(spec.initial, 'initial', 0, LIMITS.quotaTokensMax),
    perKey: checkBoolean(spec.perKey, 'perKey'),
    shadow: checkBoolean(spec.shadow, 'shadow'),
    whenUnavailable: checkWhenUnavailable(spec.whenUnavailable),
    keys: checkArray(spec.keys, 'keys').map(namedKeyOf),
  })
}

/** A key of a perKey quota: any text of 1 to 255 bytes of UTF-8. */
export function checkQuotaKey(value: unknown, field = 'key'): string {
  const key = checkString(value, field, LIMITS.quotaKeyBytesMax)
  if (key === '') throw new ProtocolError('INVALID_ARGUMENT', `${field} must not be empty`)
  return key
}

/** Tokens that a request costs. Whether the quota can ever admit so many is judged where the quota is known. */
export function checkCost(value: unknown, field = 'cost'): number {
  return checkInteger(value, field, 1, LIMITS.quotaTokensMax)
}

export function quotaFields(spec: QuotaSpec): (string | number | boolean | null)[] {
  const { parent, weight, guaranteedPercent, borrow, initial, perKey, shadow, whenUnavailable } = spec
  const fields: (string | number | boolean | null)[] = [parent, weight, guaranteedPercent, borrow]
  fields.push(initial, perKey, shadow, whenUnavailable, spec.bandwidths.length)
  for (const { tokens, perMs, burst } of spec.bandwidths) fields.push(tokens, perMs, burst)
  fields.push(spec.keys.length)
  for (const [key, quota] of spec.keys) fields.push(key, quota)
  return fields
}

/** The specification that begins at `from`, and where it ends. Throws ProtocolError for what is none. */
export function quotaOfFields(f: readonly unknown[], from: number): { readonly spec: QuotaSpec; readonly end: number } {
  let at = from + 8
  const bandwidths: unknown[] = []
  for (let left = checkNatural(f[at++], 'bandwidths'); left > 0 && at < f.length; left--, at += 3) {
    bandwidths.push({ tokens: f[at], perMs: f[at + 1], burst: f[at + 2] })
  }
  const keys: unknown[] = []
  for (let left = checkNatural(f[at++], 'keys'); left > 0 && at < f.length; left--, at += 2)
    keys.push([f[at], f[at + 1]])
  if (at > f.length) throw new ProtocolError('INVALID_ARGUMENT', 'quota ends too early')
  const spec = checkQuotaSpec({
    ...{ bandwidths, keys, parent: f[from], weight: f[from + 1], guaranteedPercent: f[from + 2], borrow: f[from + 3] },
    ...{ initial: f[from + 4], perKey: f[from + 5], shadow: f[from + 6], whenUnavailable: f[from + 7] },
  })
  return { spec, end: at }
}

function bandwidthOf(value: unknown, at: number): Bandwidth {
  const field = `bandwidths[${at}]`
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(field, 'an object', value)
  const { tokens, perMs, burst, ...rest } = value as Record<string, unknown>
  for (const name of Object.keys(rest)) {
    throw new ProtocolError('INVALID_ARGUMENT', `${field}.${name} is no field of a bandwidth`)
  }
  const count = checkInteger(tokens, `${field}.tokens`, 1, LIMITS.quotaTokensMax)
  return {
    tokens: count,
    perMs: checkInteger(perMs, `${field}.perMs`, 1, LIMITS.quotaPerMsMax),
    burst: burst === undefined ? count : checkInteger(burst, `${field}.burst`, 1, LIMITS.quotaTokensMax),
  }
}

function namedKeyOf(value: unknown, at: number): readonly [string, string] {
  const pair = checkArray(value, `keys[${at}]`)
  if (pair.length !== 2) throw wrong(`keys[${at}]`, 'a key and the name of a quota', value)
  return [checkQuotaKey(pair[0], `keys[${at}][0]`), checkName(pair[1], `keys[${at}][1]`)]
}

function checkWhenUnavailable(value: unknown): WhenUnavailable {
  const word = checkText(value, 'whenUnavailable')
  if (word === 'deny' || word === 'allow') return word
  throw wrong('whenUnavailable', 'deny or allow', value)
}

/** What no field says alone. */
function related(spec: QuotaSpec): QuotaSpec {
  const { bandwidths, keys } = spec
  const burst = burstOf(spec)
  const wrongs: [boolean, string][] = [
    [
      bandwidths.length < 1 || bandwidths.length > LIMITS.quotaBandwidthsMax,
      `bandwidths must be 1 to ${LIMITS.quotaBandwidthsMax}`,
    ],
    [new Set(bandwidths.map(({ perMs }) => perMs)).size < bandwidths.length, 'bandwidths must differ in perMs'],
    [spec.initial !== null && spec.initial > burst, `initial must be at most the smallest burst, ${burst}`],
    [spec.perKey && spec.parent !== null, 'parent must be null for a perKey quota'],
    [spec.perKey && spec.initial !== null, 'initial must be null for a perKey quota'],
    [!spec.perKey && keys.length > 0, 'keys must be empty unless perKey is true'],
    [keys.length > LIMITS.quotaKeysMax, `keys must be at most ${LIMITS.quotaKeysMax}`],
    [new Set(keys.map(([key]) => key)).size < keys.length, 'keys must differ'],
    [spec.parent === null && spec.guaranteedPercent > 0, 'guaranteedPercent must be 0 without a parent'],
    [!spec.borrow && spec.guaranteedPercent === 0, 'borrow must be true where nothing is guaranteed'],
  ]
  for (const [is, sentence] of wrongs) if (is) throw new ProtocolError('INVALID_ARGUMENT', sentence)
  return spec
}

function wrong(field: string, expected: string, value: unknown): ProtocolError {
  return new ProtocolError('INVALID_ARGUMENT', `${field} must be ${expected}, not ${describe(value)}`)
}
