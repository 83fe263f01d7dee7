/** The routes of quotas as they are set, read and deleted, and of the keys that take most. Taking from them is in take.ts. */
import { checkName, checkPrefix, checkQuotaSpec, LIMITS, OP, type QuotaView } from '@leasehold/protocol'
import { change, keyOf, specBody } from './change.js'
import type { Context } from './context.js'
import { sendBody } from './media.js'
import { Quota, QuotaBody, QuotaDeleted, QuotaSetAnswer, Quotas, TOP_DEFAULT, Top, TopQuery } from './quotaschemas.js'
import { readState } from './reading.js'
import { KeyedHeaders, ListQuery, NameParams, NoQuery, responses } from './schemas.js'
import type { App } from './server.js'
import { sendProblem } from './unit.js'

const RECORDED = [
  'NO_QUORUM',
  'OUTCOME_UNKNOWN',
  'LIMIT_REACHED',
  'UPGRADE_PENDING',
  'STALE',
  'IDEMPOTENCY_MISMATCH',
] as const

export function quotaRoutes(app: App, context: Context): void {
  setRoute(app, context)
  deleteRoute(app, context)
  getRoute(app, context)
  listRoute(app, context)
  topRoute(app, context)
}

function setRoute(app: App, context: Context): void {
  app.put(
    '/v1/quotas/:name',
    {
      config: { op: OP.quotaSet },
      schema: {
        summary: 'Make a quota, or change it as a whole',
        params: NameParams,
        querystring: NoQuery,
        headers: KeyedHeaders,
        body: QuotaBody,
        response: responses({ 200: QuotaSetAnswer }, [
          ...['UNSUPPORTED_MEDIA_TYPE' as const, 'TOO_LARGE' as const, 'QUOTA_CONFLICT' as const],
          ...RECORDED,
        ]),
      },
    },
    (request, reply) => {
      const name = checkName(request.params.name, 'name')
      const spec = checkQuotaSpec(request.body)
      const { principal } = request.unit
      return change(context, request, reply, {
        op: OP.quotaSet,
        principal,
        name,
        spec,
        request: keyOf(context, request),
      })
    },
  )
}

function deleteRoute(app: App, context: Context): void {
  app.delete(
    '/v1/quotas/:name',
    {
      config: { op: OP.quotaDelete },
      schema: {
        summary: 'Delete a quota',
        params: NameParams,
        querystring: NoQuery,
        headers: KeyedHeaders,
        response: responses({ 200: QuotaDeleted }, [
          ...[
            'UNSUPPORTED_MEDIA_TYPE' as const,
            'TOO_LARGE' as const,
            'QUOTA_NOT_FOUND' as const,
            'QUOTA_CONFLICT' as const,
          ],
          ...RECORDED,
        ]),
      },
    },
    (request, reply) => {
      const name = checkName(request.params.name, 'name')
      const { principal } = request.unit
      return change(context, request, reply, {
        op: OP.quotaDelete,
        principal,
        name,
        request: keyOf(context, request),
      })
    },
  )
}

function getRoute(app: App, context: Context): void {
  app.get(
    '/v1/quotas/:name',
    {
      config: { op: OP.quotaGet },
      schema: {
        summary: 'A quota, and how full it is',
        params: NameParams,
        querystring: NoQuery,
        response: responses({ 200: Quota }, ['QUOTA_NOT_FOUND', 'NO_QUORUM']),
      },
    },
    async (request, reply) => {
      const name = checkName(request.params.name, 'name')
      const quota = await readState(context, request, () => context.replica.getQuota(name))
      if (quota === null) return sendProblem(request, reply, 'QUOTA_NOT_FOUND', `there is no quota ${name}`)
      sendBody(reply, request.unit.medium, 200, viewBody(quota))
      return reply
    },
  )
}

function listRoute(app: App, context: Context): void {
  app.get(
    '/v1/quotas',
    {
      config: { op: OP.quotaList },
      schema: {
        summary: 'Quotas in order of their names',
        querystring: ListQuery,
        response: responses({ 200: Quotas }, ['NO_QUORUM']),
      },
    },
    async (request, reply) => {
      const { prefix, after, limit } = request.query
      const query = {
        prefix: checkPrefix(prefix ?? '', 'prefix'),
        after: after === undefined ? null : checkName(after, 'after'),
        limit: limit ?? LIMITS.pageDefault,
      }
      const page = await readState(context, request, () => context.replica.listQuotas(query))
      sendBody(reply, request.unit.medium, 200, { quotas: page.quotas.map(viewBody), next: page.next })
      return reply
    },
  )
}

function topRoute(app: App, context: Context): void {
  app.get(
    '/v1/quotas/:name/top',
    {
      config: { op: OP.quotaTop },
      schema: {
        summary: 'The keys of a quota that ask for most',
        params: NameParams,
        querystring: TopQuery,
        response: responses({ 200: Top }, ['QUOTA_NOT_FOUND', 'NO_QUORUM']),
      },
    },
    async (request, reply) => {
      const query = { name: checkName(request.params.name, 'name'), limit: request.query.limit ?? TOP_DEFAULT }
      const top = await readState(context, request, () => context.intake.quotas.top(query))
      sendBody(reply, request.unit.medium, 200, top)
      return reply
    },
  )
}

function viewBody({ name, version, spec, available, outstanding }: QuotaView): object {
  return { name, version, ...specBody(spec), available, outstanding }
}
