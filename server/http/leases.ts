/** The routes of leases: acquire, renew, release, transfer, revoke, read, list. The contract is section by section in schemas.ts. */
import {
  type ClientCommand,
  checkIdempotencyKey,
  checkMeta,
  checkName,
  checkPrefix,
  ERRORS,
  errorOfWire,
  fencingToken,
  type GrantedFields,
  type HeldFields,
  type LeaseView,
  LIMITS,
  type LostFields,
  OFFERED,
  type OfferedFields,
  OK,
  OP,
  type ReleasedFields,
  type RequestToken,
  type RevokedFields,
  type TransferredFields,
} from '@leasehold/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import { opName } from '../intake/index.js'
import type { Context } from './context.js'
import { sendBody } from './media.js'
import { readState } from './reading.js'
import {
  AcquireBody,
  Granted,
  Headers,
  KeyedHeaders,
  Lease,
  Leases,
  ListQuery,
  NameParams,
  NoQuery,
  Offered,
  Released,
  Revoked,
  responses,
  TokenBody,
  TransferBody,
  Transferred,
} from './schemas.js'
import type { App } from './server.js'
import { sendProblem } from './unit.js'

const CHANGES = ['UNSUPPORTED_MEDIA_TYPE', 'TOO_LARGE', 'LIMIT_REACHED', 'NO_QUORUM', 'OUTCOME_UNKNOWN'] as const
const RECORDED = ['STALE', 'IDEMPOTENCY_MISMATCH'] as const

export function leaseRoutes(app: App, context: Context): void {
  changeRoutes(app, context)
  handoverRoutes(app, context)
  readRoutes(app, context)
}

/** The changes that a holder makes for itself. */
function changeRoutes(app: App, context: Context): void {
  app.put(
    '/v1/leases/:name',
    {
      config: { op: OP.acquire },
      schema: {
        summary: 'Acquire a lease, waiting for it if asked to',
        params: NameParams,
        querystring: NoQuery,
        headers: KeyedHeaders,
        body: AcquireBody,
        response: responses({ 200: Granted, 202: Offered }, [...CHANGES, ...RECORDED, 'LEASE_HELD', 'LEASE_LOST']),
      },
    },
    (request, reply) => acquire(context, request, reply, request.body, request.params.name),
  )
  app.post(
    '/v1/leases/:name/renew',
    {
      config: { op: OP.renew },
      schema: {
        summary: 'Renew a lease, or claim an offer',
        params: NameParams,
        querystring: NoQuery,
        headers: Headers,
        body: TokenBody,
        response: responses({ 200: Granted }, [...CHANGES, 'LEASE_LOST']),
      },
    },
    (request, reply) => {
      const name = checkName(request.params.name, 'name')
      const token = fencingToken(request.body.token)
      return change(context, request, reply, { op: OP.renew, principal: request.unit.principal, name, token })
    },
  )
  app.post(
    '/v1/leases/:name/release',
    {
      config: { op: OP.release },
      schema: {
        summary: 'Release a lease',
        params: NameParams,
        querystring: NoQuery,
        headers: Headers,
        body: TokenBody,
        response: responses({ 200: Released }, [...CHANGES, 'LEASE_LOST']),
      },
    },
    (request, reply) => {
      const name = checkName(request.params.name, 'name')
      const token = fencingToken(request.body.token)
      return change(context, request, reply, { op: OP.release, principal: request.unit.principal, name, token })
    },
  )
}

/** The changes that take a lease from its holder. */
function handoverRoutes(app: App, context: Context): void {
  app.post(
    '/v1/leases/:name/transfer',
    {
      config: { op: OP.transfer },
      schema: {
        summary: 'Hand a lease over to a holder that waits for it',
        params: NameParams,
        querystring: NoQuery,
        headers: Headers,
        body: TransferBody,
        response: responses({ 200: Transferred }, [...CHANGES, 'LEASE_LOST', 'NO_SUCH_WAITER']),
      },
    },
    (request, reply) => {
      const name = checkName(request.params.name, 'name')
      const to = checkName(request.body.to, 'to')
      const token = fencingToken(request.body.token)
      return change(context, request, reply, { op: OP.transfer, principal: request.unit.principal, name, token, to })
    },
  )
  app.delete(
    '/v1/leases/:name',
    {
      config: { op: OP.revoke },
      schema: {
        summary: 'Revoke a lease, whoever holds it',
        params: NameParams,
        querystring: NoQuery,
        headers: KeyedHeaders,
        response: responses({ 200: Revoked }, [...CHANGES, ...RECORDED, 'LEASE_NOT_FOUND']),
      },
    },
    (request, reply) => {
      const name = checkName(request.params.name, 'name')
      const token = keyOf(context, request)
      return change(context, request, reply, {
        op: OP.revoke,
        principal: request.unit.principal,
        name,
        request: token,
      })
    },
  )
}

function readRoutes(app: App, context: Context): void {
  app.get(
    '/v1/leases/:name',
    {
      config: { op: OP.get },
      schema: {
        summary: 'Who holds a lease',
        params: NameParams,
        querystring: NoQuery,
        response: responses({ 200: Lease }, ['LEASE_NOT_FOUND', 'NO_QUORUM']),
      },
    },
    async (request, reply) => {
      const name = checkName(request.params.name, 'name')
      const lease = await readState(context, request, () => context.replica.getLease(name))
      if (lease === null) return sendProblem(request, reply, 'LEASE_NOT_FOUND', `nobody holds ${name}`)
      sendBody(reply, request.unit.medium, 200, leaseBody(lease))
      return reply
    },
  )
  app.get(
    '/v1/leases',
    {
      config: { op: OP.list },
      schema: {
        summary: 'Leases in order of their names',
        querystring: ListQuery,
        response: responses({ 200: Leases }, ['NO_QUORUM']),
      },
    },
    async (request, reply) => {
      const { prefix, after, limit } = request.query
      const query = {
        prefix: checkPrefix(prefix ?? '', 'prefix'),
        after: after === undefined ? null : checkName(after, 'after'),
        limit: limit ?? LIMITS.pageDefault,
      }
      const page = await readState(context, request, () => context.replica.listLeases(query))
      sendBody(reply, request.unit.medium, 200, { leases: page.leases.map(leaseBody), next: page.next })
      return reply
    },
  )
}

async function acquire(
  context: Context,
  request: FastifyRequest,
  reply: FastifyReply,
  body: Static<typeof AcquireBody>,
  lease: string,
): Promise<FastifyReply> {
  const waitMs = body.waitMs ?? 0
  const key = keyOf(context, request)
  return change(
    context,
    request,
    reply,
    {
      op: OP.acquire,
      principal: request.unit.principal,
      name: checkName(lease, 'name'),
      holder: checkName(body.holder, 'holder'),
      ttlMs: body.ttlMs ?? LIMITS.ttlMsDefault,
      waitMs,
      priority: body.priority ?? 0,
      lockDelayMs: body.lockDelayMs ?? 0,
      meta: checkMeta(body.meta ?? null),
      request: key ?? (waitMs > 0 ? ownKey(context, request) : null),
    },
    { keyed: key !== null },
  )
}

/** What names this request: the client's key, or null. Throws ProtocolError INVALID_ARGUMENT. */
function keyOf(context: Context, request: FastifyRequest): RequestToken | null {
  const header = request.headers['idempotency-key']
  if (header === undefined) return null
  return token(context, request, checkIdempotencyKey(header))
}

/** A request that waits needs a name, so that it can be given up. Nobody else can guess this one. */
function ownKey(context: Context, request: FastifyRequest): RequestToken {
  return token(context, request, `~${Buffer.from(context.random.bytes(16)).toString('hex')}`)
}

function token(context: Context, request: FastifyRequest, key: string): RequestToken {
  return { scope: `p:${request.unit.principal}`, key, lowest: 0, knownMs: context.replica.status.clusterMs }
}

/** Submits a checked command and answers with what became of it. */
async function change(
  context: Context,
  request: FastifyRequest,
  reply: FastifyReply,
  command: ClientCommand,
  options: { keyed: boolean } = { keyed: false },
): Promise<FastifyReply> {
  const { unit } = request
  unit.readMs = context.clock.monotonicMs()
  const { socket } = request.raw
  const answer = await context.waiting.submit(
    command,
    {
      principal: unit.principal,
      bytes: Number(request.headers['content-length'] ?? 0),
      onGone: (listener) => {
        socket.once('close', listener)
        return () => socket.off('close', listener)
      },
    },
    options,
  )
  unit.answeredMs = context.clock.monotonicMs()
  if (answer === null) {
    context.telemetry.request(opName(command.op), 'gone', '')
    return reply.hijack()
  }
  unit.waited = answer.waited
  unit.outcome(answer.code, answer.fields)
  return sendAnswer(request, reply, command, answer.code, answer.fields)
}

function sendAnswer(
  request: FastifyRequest,
  reply: FastifyReply,
  command: ClientCommand,
  code: number,
  fields: readonly unknown[],
): FastifyReply {
  if (code === OK || code === OFFERED) {
    sendBody(reply, request.unit.medium, code === OK ? 200 : 202, answerBody(command, code, fields))
    return reply
  }
  const error = errorOfWire(code)
  if (error === 'LEASE_HELD') {
    const [holder, remainingMs, meta, replayed] = fields as HeldFields
    return sendProblem(request, reply, error, `held by ${holder}`, { holder, remainingMs, meta, replayed })
  }
  if (error === 'LEASE_LOST') {
    const [token, reason] = fields as LostFields
    return sendProblem(request, reply, error, ERRORS.LEASE_LOST.help, { token, reason })
  }
  const [detail, retryAfterMs] = fields as readonly [string, number]
  return sendProblem(request, reply, error, detail, {}, retryAfterMs)
}

function answerBody(command: ClientCommand, code: number, fields: readonly unknown[]): object {
  switch (command.op) {
    case OP.acquire:
      if (code === OFFERED) {
        const [token, claimWithinMs, ttlMs, replayed] = fields as OfferedFields
        const { name, holder } = command
        return { name, holder, offered: true, token, ttlMs, claimWithinMs, replayed }
      }
      return grantBody(command.name, fields as GrantedFields)
    case OP.renew:
      return grantBody(command.name, fields as GrantedFields)
    case OP.release:
      return { released: true, replayed: (fields as ReleasedFields)[0] }
    case OP.transfer:
      return { released: true, offered: true, replayed: (fields as TransferredFields)[0] }
    case OP.revoke: {
      const [token, replayed] = fields as RevokedFields
      return { revoked: true, token, replayed }
    }
    case OP.cancelWait:
      return {}
  }
}

function grantBody(name: string, [token, ttlMs, remainingMs, replayed, holder]: GrantedFields): object {
  return { name, holder, token, ttlMs, remainingMs, replayed }
}

function leaseBody([name, holder, token, ttlMs, remainingMs, state, waiters, meta]: LeaseView): object {
  return { name, holder, token, ttlMs, remainingMs, state, waiters, meta }
}
