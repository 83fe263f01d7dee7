/** The audit over HTTP: of one lease, and of all. Pages are as the replica reads them; nothing is cached. */
import {
  type ChainedEvent,
  checkName,
  checkPrefix,
  encodeCursor,
  type HistoryQuery,
  LIMITS,
  OP,
} from '@leasehold/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { historyPage } from '../intake/index.js'
import type { Context } from './context.js'
import { sendBody } from './media.js'
import { readState } from './reading.js'
import { AllEventsQuery, Events, EventsQuery, NameParams, responses } from './schemas.js'
import type { App } from './server.js'

const FAILURES = ['CURSOR_COMPACTED', 'AUDIT_CORRUPT', 'NO_QUORUM'] as const

export function historyRoutes(app: App, context: Context): void {
  app.get(
    '/v1/leases/:name/history',
    {
      config: { op: OP.history },
      schema: {
        summary: 'What happened to a lease',
        params: NameParams,
        querystring: EventsQuery,
        response: responses({ 200: Events }, FAILURES),
      },
    },
    (request, reply) => {
      const name = checkName(request.params.name, 'name')
      const { after, limit } = request.query
      return page(context, request, reply, { name, prefix: null, ...position(after, limit) })
    },
  )
  app.get(
    '/v1/history',
    {
      config: { op: OP.history },
      schema: {
        summary: 'What happened to all leases, or to those of a prefix',
        querystring: AllEventsQuery,
        response: responses({ 200: Events }, FAILURES),
      },
    },
    (request, reply) => {
      const { prefix, after, limit } = request.query
      const checked = prefix === undefined || prefix === '' ? null : checkPrefix(prefix, 'prefix')
      return page(context, request, reply, { name: null, prefix: checked, ...position(after, limit) })
    },
  )
}

const position = (after: string | undefined, limit: number | undefined) => ({
  cursor: after ?? null,
  limit: limit ?? LIMITS.pageDefault,
})

async function page(
  context: Context,
  request: FastifyRequest,
  reply: FastifyReply,
  query: HistoryQuery,
): Promise<FastifyReply> {
  const { clusterId } = context.replica.status
  const { events, next } = await readState(context, request, () => historyPage(context.intake, query), {
    barrier: false,
  })
  sendBody(reply, request.unit.medium, 200, { events: events.map((event) => eventBody(event, clusterId)), next })
  return reply
}

/** An event as readers over HTTP get it. */
export function eventBody(event: ChainedEvent, clusterId: string): object {
  const { seq, type, name, holder, token, reason, cause, principal, wallMs, clusterMs, ...rest } = event
  return {
    seq,
    cursor: encodeCursor(clusterId, seq),
    type,
    name,
    holder,
    token,
    reason,
    cause,
    principal,
    at: new Date(wallMs).toISOString(),
    clusterMs,
    ...rest,
  }
}
