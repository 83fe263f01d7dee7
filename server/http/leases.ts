/** The routes of leases: acquire, renew, release, transfer, revoke, read, list. Their shapes are in schemas.ts. */
import { checkMeta, checkName, checkPrefix, fencingToken, type LeaseView, LIMITS, OP } from '@leasehold/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import { change, keyOf } from './change.js'
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
  acquireRoute(app, context)
  holderRoutes(app, context)
  transferRoute(app, context)
  revokeRoute(app, context)
  readRoutes(app, context)
}

function acquireRoute(app: App, context: Context): void {
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
}

/** What the holder of a token may do by itself. */
function holderRoutes(app: App, context: Context): void {
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

function transferRoute(app: App, context: Context): void {
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
}

function revokeRoute(app: App, context: Context): void {
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
  return change(context, request, reply, {
    op: OP.acquire,
    principal: request.unit.principal,
    name: checkName(lease, 'name'),
    holder: checkName(body.holder, 'holder'),
    ttlMs: body.ttlMs ?? LIMITS.ttlMsDefault,
    waitMs: body.waitMs ?? 0,
    priority: body.priority ?? 0,
    lockDelayMs: body.lockDelayMs ?? 0,
    meta: checkMeta(body.meta ?? null),
    request: keyOf(context, request),
  })
}

function leaseBody([name, holder, token, ttlMs, remainingMs, state, waiters, meta]: LeaseView): object {
  return { name, holder, token, ttlMs, remainingMs, state, waiters, meta }
}
