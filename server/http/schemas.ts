/**
 * The contract over HTTP as schemas: what is checked and what /openapi.json says are the same thing. Bodies refuse
 * unknown fields; answers may grow, so they allow them.
 */
import { ERRORS, type ErrorCode, LIMITS } from '@leasehold/protocol'
import { type TProperties, type TSchema, Type } from 'typebox'

const closed = { additionalProperties: false } as const

/** A request's object: no other fields. */
export const Exact = <P extends TProperties>(properties: P) => Type.Object(properties, closed)

export const Name = Type.String({
  description: 'A to Z, a to z, 0 to 9, . _ : @ / -; no empty, . or .. segment; at most 255 bytes',
})
const Token = Type.Integer({ minimum: 1, maximum: LIMITS.tokenMax, description: 'Fencing token' })
export const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
export const Ms = (description: string) => Type.Integer({ minimum: 0, description })

export const NameParams = Type.Object({ name: Name })
export const NoQuery = Exact({})

export const AcquireBody = Exact({
  holder: Name,
  ttlMs: Type.Optional(
    Type.Integer({ minimum: LIMITS.ttlMsMin, maximum: LIMITS.ttlMsMax, default: LIMITS.ttlMsDefault }),
  ),
  waitMs: Type.Optional(Type.Integer({ minimum: 0, maximum: LIMITS.waitMsMax, default: 0 })),
  priority: Type.Optional(Type.Integer({ minimum: LIMITS.priorityMin, maximum: LIMITS.priorityMax, default: 0 })),
  lockDelayMs: Type.Optional(Type.Integer({ minimum: 0, maximum: LIMITS.lockDelayMsMax, default: 0 })),
  meta: Type.Optional(Nullable(Type.String({ description: `At most ${LIMITS.metaBytesMax} bytes of UTF-8` }))),
})
export const TokenBody = Exact({ token: Token })
export const TransferBody = Exact({ token: Token, to: Name })

const Limit = Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.pageMax, default: LIMITS.pageDefault }))
export const ListQuery = Exact({ prefix: Type.Optional(Type.String()), after: Type.Optional(Name), limit: Limit })
export const EventsQuery = Exact({ after: Type.Optional(Type.String({ description: 'Cursor' })), limit: Limit })
export const AllEventsQuery = Exact({
  prefix: Type.Optional(Type.String()),
  after: Type.Optional(Type.String({ description: 'Cursor' })),
  limit: Limit,
})
export const WatchQuery = Exact({
  prefix: Type.Optional(Type.String()),
  after: Type.Optional(Type.String({ description: 'Cursor' })),
})

export const Granted = Type.Object({
  name: Name,
  holder: Name,
  token: Token,
  ttlMs: Ms('Asked for'),
  remainingMs: Ms('Left when this request was ordered'),
  replayed: Type.Boolean({ description: 'An earlier attempt of the same request had this outcome' }),
})
export const Offered = Type.Object({
  name: Name,
  holder: Name,
  offered: Type.Literal(true),
  token: Token,
  ttlMs: Ms('Of the grant, from its claim'),
  claimWithinMs: Ms('Claim it by a renew within this time'),
  replayed: Type.Boolean(),
})
export const Released = Type.Object({ released: Type.Literal(true), replayed: Type.Boolean() })
export const Transferred = Type.Object({
  released: Type.Literal(true),
  offered: Type.Literal(true),
  replayed: Type.Boolean(),
})
export const Revoked = Type.Object({ revoked: Type.Literal(true), token: Token, replayed: Type.Boolean() })
export const Lease = Type.Object({
  name: Name,
  holder: Name,
  token: Token,
  ttlMs: Ms('Asked for'),
  remainingMs: Ms('Left; of an offer, to claim it; of a delay, until the name is free'),
  state: Type.Union([Type.Literal('held'), Type.Literal('offered'), Type.Literal('delayed')]),
  waiters: Type.Integer({ minimum: 0 }),
  meta: Nullable(Type.String()),
})
export const Leases = Type.Object({ leases: Type.Array(Lease), next: Nullable(Type.String()) })

export const Event = Type.Object({
  seq: Type.Integer({ minimum: 1 }),
  cursor: Type.String(),
  type: Type.Union(
    ['granted', 'offered', 'released', 'expired', 'revoked', 'transferred', 'quotaSet', 'quotaDeleted'].map((type) =>
      Type.Literal(type),
    ),
  ),
  name: Name,
  holder: Type.String({ description: 'Empty for a quota' }),
  token: Type.Integer({ minimum: 1, maximum: LIMITS.tokenMax, description: 'Fencing token; of a quota: its version' }),
  reason: Nullable(Type.String()),
  cause: Type.String(),
  principal: Type.String(),
  at: Type.String({ description: "The leader's wall clock, ISO 8601; for people only" }),
  clusterMs: Ms('Cluster time'),
  member: Type.String(),
  term: Type.Integer({ minimum: 1 }),
  renewals: Type.Integer({ minimum: 0 }),
  vacant: Type.Boolean({ description: 'Nobody has the name, or an offer of it, after this change' }),
  previousHash: Type.String(),
  hash: Type.String(),
})
export const Events = Type.Object({ events: Type.Array(Event), next: Nullable(Type.String()) })

export const EventStream = Type.String({
  description: 'Events whose id is a cursor and whose data is an event as JSON',
})
export const Backup = Type.String({ description: 'A backup, for `leasehold restore`', format: 'binary' })
export const Exposition = Type.String({ description: 'Metrics in the text format of Prometheus' })

export const Member = Type.Object({
  id: Type.String(),
  role: Type.Union([Type.Literal('leader'), Type.Literal('follower'), Type.Literal('learner')]),
  url: Nullable(Type.String({ description: 'Where clients reach it; null where it has not said' })),
  peerUrl: Nullable(Type.String({ description: 'HOST:PORT for other members' })),
  voter: Type.Boolean(),
  appliedIndex: Nullable(
    Type.Integer({ minimum: 0, description: 'Of others, as they told last, about once a second' }),
  ),
  directoryId: Type.String({ description: 'Tells a wiped data directory from the one before' }),
  reached: Nullable(Type.Boolean({ description: 'It was heard lately; leaders know' })),
})
const MemberId = Type.String({ description: 'A name of a member: as other names, without an @' })
export const IdParams = Type.Object({ id: Type.String({ description: 'A member, or MEMBER@DIRECTORY' }) })
export const AddBody = Exact({
  id: MemberId,
  peerUrl: Type.String({ description: 'HOST:PORT where it listens for other members' }),
  directoryId: Type.Optional(Type.String({ description: 'Asked for at peerUrl where it is left out' })),
})
export const TransferLeadershipBody = Exact({ to: MemberId })
export const Cluster = Type.Object({
  clusterId: Type.String(),
  leader: Nullable(Type.String()),
  term: Type.Integer({ minimum: 0 }),
  commitIndex: Type.Integer({ minimum: 0 }),
  clusterMs: Ms('Cluster time'),
  members: Type.Array(Member),
  leases: Type.Integer({ minimum: 0 }),
  waiters: Type.Integer({ minimum: 0 }),
  version: Type.String({ description: 'Of the member that is asked' }),
  format: Type.Integer({
    minimum: 1,
    description: 'In use by the cluster: one that a newer version brings comes with the last upgraded member',
  }),
})

export const Healthy = Type.Object({ ok: Type.Literal(true) })
export const Ready = Type.Object({ ready: Type.Literal(true) })

const problemFields = {
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String(),
  retryable: Type.Boolean(),
  executed: Type.Optional(Type.Literal(false)),
  retryAfterMs: Type.Optional(Type.Integer({ minimum: 1 })),
  requestId: Type.Optional(Type.String()),
}

const extras: Partial<Record<ErrorCode, TProperties>> = {
  LEASE_HELD: {
    holder: Name,
    remainingMs: Ms('Until it may be free'),
    meta: Nullable(Type.String()),
    replayed: Type.Boolean(),
  },
  LEASE_LOST: {
    token: Token,
    reason: Type.Union(
      ['expired', 'released', 'revoked', 'transferred', 'superseded', 'unknown'].map((reason) => Type.Literal(reason)),
    ),
  },
  QUOTA_EXCEEDED: {
    remaining: Type.Integer({ minimum: 0, description: 'Whole tokens, as far as this member knows' }),
    limit: Type.Integer({ minimum: 0, description: 'The most that can be taken at once' }),
    resetMs: Ms('Until it is full again, if nobody takes'),
  },
}

const ANYWHERE = ['INVALID_ARGUMENT', 'NOT_ACCEPTABLE', 'OVERLOADED', 'SHUTTING_DOWN', 'INTERNAL'] as const

/** Headers that every unit of work may bring, and those of requests that keep a record. */
export const Headers = Type.Object({
  'leasehold-client': Type.Optional(Type.String({ description: "The client's name; its address where it gives none" })),
})
export const KeyedHeaders = Type.Object({
  ...Headers.properties,
  'idempotency-key': Type.Optional(
    Type.String({ description: 'Names this request, whatever the attempt: 1 to 255 visible ASCII characters' }),
  ),
})

const body = (schema: TSchema, type: string) => ({ description: 'Done', content: { [type]: { schema } } })

/** The responses of a route: its own, the errors it names, and those that any route may give. By status. */
export function responses(
  own: Readonly<Record<number, TSchema>>,
  codes: readonly ErrorCode[] = [],
  type = 'application/json',
): Record<number, object> {
  const byStatus = new Map<number, TSchema[]>()
  for (const code of new Set([...codes, ...ANYWHERE])) {
    const { status, title } = ERRORS[code]
    const schema = Type.Object({ code: Type.Literal(code), ...problemFields, ...extras[code] }, { title })
    byStatus.set(status, [...(byStatus.get(status) ?? []), schema])
  }
  const all: Record<number, object> = {}
  for (const [status, schema] of Object.entries(own)) all[Number(status)] = body(schema, type)
  for (const [status, schemas] of byStatus) {
    const schema = schemas.length === 1 ? schemas[0] : Type.Union(schemas)
    all[status] = { description: 'Problem', content: { 'application/problem+json': { schema } } }
  }
  return all
}
