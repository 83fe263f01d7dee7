/**
 * Taking from quotas over HTTP: from one, or from several at once. The member's desk decides; here its answer gets its shape and
 * its headers. Must never say how much is left without saying of which quota.
 */
import {
  ERRORS,
  type ExceededFields,
  errorOfWire,
  OK,
  OP,
  ProtocolError,
  rateLimit,
  rateLimitPolicy,
  type Standing,
  TAKE,
  type TakeMode,
  type TakenFields,
  type TakeRequest,
  takeItem,
  tokensPerMsOf,
} from '@leasehold/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { opName } from '../intake/index.js'
import { askerOf } from './change.js'
import type { Context } from './context.js'
import { sendBody } from './media.js'
import { TakeBody, TakeManyBody, Taken } from './quotaschemas.js'
import { Headers, NameParams, NoQuery, responses } from './schemas.js'
import type { App } from './server.js'
import { sendProblem } from './unit.js'

const REFUSALS = [
  ...(['UNSUPPORTED_MEDIA_TYPE', 'TOO_LARGE', 'QUOTA_NOT_FOUND', 'QUOTA_EXCEEDED'] as const),
  ...(['NO_QUORUM', 'LIMIT_REACHED', 'UPGRADE_PENDING', 'OUTCOME_UNKNOWN'] as const),
] as const

export function takeRoutes(app: App, context: Context): void {
  app.post(
    '/v1/quotas/:name/take',
    {
      config: { op: OP.take },
      schema: {
        summary: 'Take from a quota',
        description: 'Answers with the headers RateLimit and RateLimit-Policy; a refusal has Retry-After, too.',
        params: NameParams,
        querystring: NoQuery,
        headers: Headers,
        body: TakeBody,
        response: responses({ 200: Taken }, REFUSALS),
      },
    },
    (request, reply) => {
      const { cost, key, upTo = false, peek = false } = request.body
      const item = takeItem(request.params.name, cost ?? 1, key ?? null)
      return take(context, request, reply, { mode: modeOf(upTo, peek), items: [item] }, item.quota)
    },
  )
  app.post(
    '/v1/quotas/take',
    {
      config: { op: OP.take },
      schema: {
        summary: 'Take from several quotas, all or nothing',
        querystring: NoQuery,
        headers: Headers,
        body: TakeManyBody,
        response: responses({ 200: Taken }, REFUSALS),
      },
    },
    (request, reply) => {
      const items = request.body.items.map(({ quota, cost, key }) => takeItem(quota, cost ?? 1, key ?? null))
      const [first] = items
      return take(context, request, reply, { mode: TAKE.all, items }, items.length === 1 ? first!.quota : null)
    },
  )
}

/** Throws ProtocolError INVALID_ARGUMENT. */
function modeOf(upTo: boolean, peek: boolean): TakeMode {
  if (upTo && peek) throw new ProtocolError('INVALID_ARGUMENT', 'upTo and peek do not go together')
  return upTo ? TAKE.upTo : peek ? TAKE.peek : TAKE.all
}

/** `alone`: the quota that the answer speaks of; null where there are several. */
async function take(
  context: Context,
  request: FastifyRequest,
  reply: FastifyReply,
  asked: TakeRequest,
  alone: string | null,
): Promise<FastifyReply> {
  const { unit } = request
  unit.readMs = context.clock.monotonicMs()
  const answer = await context.waiting.take(asked, askerOf(request))
  unit.answeredMs = context.clock.monotonicMs()
  if (answer === null) {
    context.telemetry.request(opName(OP.take), 'gone', '')
    return reply.hijack()
  }
  const { code, fields } = answer
  unit.outcome(code, fields)
  if (code === OK) {
    const [taken, remaining, limit, resetMs, how] = fields as TakenFields
    limits(context, reply, alone, { remaining, limit, resetMs })
    sendBody(reply, unit.medium, 200, { admitted: true, taken, remaining, limit, resetMs, how })
    return reply
  }
  if (code === ERRORS.QUOTA_EXCEEDED.wire) {
    const [detail, retryAfterMs, remaining, limit, resetMs] = fields as ExceededFields
    limits(context, reply, alone, { remaining, limit, resetMs })
    return sendProblem(
      request,
      reply,
      'QUOTA_EXCEEDED',
      detail,
      { remaining, limit, resetMs },
      Math.max(1, retryAfterMs),
    )
  }
  const [detail, retryAfterMs] = fields as readonly [string, number]
  return sendProblem(request, reply, errorOfWire(code), detail, {}, retryAfterMs)
}

function limits(context: Context, reply: FastifyReply, name: string | null, standing: Standing): void {
  if (name === null) return
  reply.header('ratelimit', rateLimit(name, standing))
  const quota = context.replica.getQuota(name)
  if (quota !== null) reply.header('ratelimit-policy', rateLimitPolicy(name, standing.limit, tokensPerMsOf(quota.spec)))
}
