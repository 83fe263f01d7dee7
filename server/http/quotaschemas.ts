/** Quotas over HTTP as schemas. What no field says alone (a cycle of parents, a burst below the initial tokens) is judged elsewhere. */
import { LIMITS, QUOTA_DEFAULTS } from '@leasehold/protocol'
import { Type } from 'typebox'
import { Exact, Ms, Name, Nullable } from './schemas.js'

const Tokens = (description: string) => Type.Integer({ minimum: 1, maximum: LIMITS.quotaTokensMax, description })
const Flag = (value: boolean, description: string) => Type.Boolean({ default: value, description })
const Version = Type.Integer({ minimum: 1, description: 'Of the specification: every change brings a higher one' })
const Whole = (description: string) => Type.Integer({ minimum: 0, description })
const Rate = (description: string) => Type.Number({ minimum: 0, description })

const bandwidth = {
  tokens: Tokens('Flow in per perMs'),
  perMs: Type.Integer({ minimum: 1, maximum: LIMITS.quotaPerMsMax, description: 'Milliseconds' }),
}
const burst = Tokens('It holds so many at most; as many as tokens where it is left out')

const spec = {
  parent: Nullable(Type.String({ description: 'A quota from which whoever takes here takes, too' })),
  weight: Type.Integer({
    minimum: 1,
    maximum: LIMITS.quotaWeightMax,
    default: QUOTA_DEFAULTS.weight,
    description: 'Among those of one parent, where there is not enough for all',
  }),
  guaranteedPercent: Type.Integer({ minimum: 0, maximum: 100, default: 0, description: 'Of the parent' }),
  borrow: Flag(QUOTA_DEFAULTS.borrow, 'It may have more of the parent than it is guaranteed'),
  initial: Nullable(
    Type.Integer({
      minimum: 0,
      maximum: LIMITS.quotaTokensMax,
      description: 'What a fresh bucket starts with; null: full',
    }),
  ),
  perKey: Flag(QUOTA_DEFAULTS.perKey, 'One bucket for each key'),
  shadow: Flag(QUOTA_DEFAULTS.shadow, 'It counts, and never denies'),
  whenUnavailable: Type.Union([Type.Literal('deny'), Type.Literal('allow')], { default: 'deny' }),
  keys: Type.Array(Type.Array(Type.String(), { minItems: 2, maxItems: 2 }), {
    maxItems: LIMITS.quotaKeysMax,
    description: 'Pairs of a key and the quota that it has instead',
  }),
}

export const QuotaBody = Exact({
  bandwidths: Type.Array(Exact({ ...bandwidth, burst: Type.Optional(burst) }), {
    minItems: 1,
    maxItems: LIMITS.quotaBandwidthsMax,
    description: 'All of them must admit; each has another perMs',
  }),
  parent: Type.Optional(spec.parent),
  weight: Type.Optional(spec.weight),
  guaranteedPercent: Type.Optional(spec.guaranteedPercent),
  borrow: Type.Optional(spec.borrow),
  initial: Type.Optional(spec.initial),
  perKey: Type.Optional(spec.perKey),
  shadow: Type.Optional(spec.shadow),
  whenUnavailable: Type.Optional(spec.whenUnavailable),
  keys: Type.Optional(spec.keys),
})

const told = { name: Name, version: Version, bandwidths: Type.Array(Type.Object({ ...bandwidth, burst })), ...spec }

export const QuotaSetAnswer = Type.Object({
  ...told,
  replayed: Type.Boolean({ description: 'An earlier attempt of the same request had this outcome' }),
})
export const Quota = Type.Object({
  ...told,
  available: Whole('Whole tokens of the emptiest bandwidth; 0 for a perKey quota'),
  outstanding: Whole('Tokens that members and clients hold and have not reported as spent'),
})
export const Quotas = Type.Object({ quotas: Type.Array(Quota), next: Nullable(Type.String()) })
export const QuotaDeleted = Type.Object({ deleted: Type.Literal(true), version: Version, replayed: Type.Boolean() })

const Cost = Type.Integer({ minimum: 1, maximum: LIMITS.quotaTokensMax, default: 1, description: 'Tokens' })
const Key = Nullable(
  Type.String({
    description: `Of a perKey quota, and of no other: 1 to ${LIMITS.quotaKeyBytesMax} bytes of UTF-8`,
  }),
)

export const TakeBody = Exact({
  cost: Type.Optional(Cost),
  key: Type.Optional(Key),
  upTo: Type.Optional(Flag(false, 'Take as much of the cost as there is')),
  peek: Type.Optional(Flag(false, 'Take nothing: only say')),
})
export const TakeManyBody = Exact({
  items: Type.Array(Exact({ quota: Name, cost: Type.Optional(Cost), key: Type.Optional(Key) }), {
    minItems: 1,
    maxItems: LIMITS.takeItemsMax,
    description: 'Taken from all of them, or from none',
  }),
})
export const Taken = Type.Object({
  admitted: Type.Literal(true),
  taken: Whole('Tokens'),
  remaining: Whole('Whole tokens, as far as this member knows'),
  limit: Whole('The most that can be taken at once'),
  resetMs: Ms('Until it is full again, if nobody takes'),
  how: Type.Union(
    ['exact', 'key', 'shadow', 'unavailable'].map((how) => Type.Literal(how)),
    { description: 'By which right: from tokens, by a bucket of the key, counted only, or because nobody could say' },
  ),
})

export const TOP_DEFAULT = 20
export const TopQuery = Exact({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.pageMax, default: TOP_DEFAULT })),
})
export const Top = Type.Object({
  keys: Type.Array(
    Type.Object({
      key: Type.String(),
      ratePerS: Rate('Tokens a second'),
      errorPerS: Rate('Too high by so much at most'),
    }),
  ),
  totalPerS: Rate('Tokens a second of all keys together'),
})
