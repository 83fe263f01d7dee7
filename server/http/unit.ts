/**
 * One HTTP request as a unit of work: who asks, for what, how it went and where its time went. Filled in on the way,
 * told once, when the answer has left or its reader has.
 */
import { CLASS, checkName, classOf, ERRORS, type ErrorCode, OK, type Op, ProtocolError } from '@leasehold/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { opName, outcomeOf, reasonOf } from '../intake/index.js'
import type { Context } from './context.js'
import { acceptedMedium, type Medium, sendBody } from './media.js'
import { problem } from './problem.js'

/** What a client may ask for, and what only people and their tools ask: the view of the cluster. */
export type RouteOp = Op | 'cluster'

declare module 'fastify' {
  interface FastifyRequest {
    unit: Unit
  }
  interface FastifyContextConfig {
    /** What the route does; routes without one are not units of work (health, metrics, documents). */
    op?: RouteOp
    /** The route answers in a form of its own, whatever is accepted. */
    anyMedium?: boolean
  }
}

export class Unit {
  op: RouteOp | null = null
  principal = ''
  traceparent: string | undefined
  medium: Medium = 'json'
  readonly startMs: number
  readonly depth: number
  /** When the request had been read and checked; 0: never. */
  readMs = 0
  /** When the replica had answered; 0: never. */
  answeredMs = 0
  /** Stood in a queue: its time says nothing of the service. */
  waited = false
  code: number = OK
  fields: readonly unknown[] = []

  constructor(startMs: number, depth: number) {
    this.startMs = startMs
    this.depth = depth
  }

  /** Notes how the request went. */
  outcome(code: number, fields: readonly unknown[]): void {
    this.code = code
    this.fields = fields
  }
}

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/

/** What the headers say, before anything is read. Throws ProtocolError INVALID_ARGUMENT, NOT_ACCEPTABLE. */
export function openUnit(request: FastifyRequest): void {
  const { unit } = request
  const { op, anyMedium } = request.routeOptions.config
  unit.op = op ?? null
  const traceparent = request.headers.traceparent
  if (typeof traceparent === 'string' && TRACEPARENT.test(traceparent)) unit.traceparent = traceparent
  const medium = acceptedMedium(request.headers.accept)
  unit.medium = medium ?? 'json'
  if (medium === null && anyMedium !== true) throw new ProtocolError('NOT_ACCEPTABLE', ERRORS.NOT_ACCEPTABLE.help)
  unit.principal = principalOf(request)
}

/** The client's name where it gives one, else its address (without the zone of a link-local one). */
function principalOf(request: FastifyRequest): string {
  const named = request.headers['leasehold-client']
  if (named !== undefined) return checkName(named, 'Leasehold-Client')
  return request.ip.replace(/%.*$/, '')
}

/** Answers with a problem document, and notes it. */
export function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  code: ErrorCode,
  detail: string,
  extra: Readonly<Record<string, unknown>> = {},
  retryAfterMs = 0,
): FastifyReply {
  const { unit } = request
  if (unit.code === OK) unit.outcome(ERRORS[code].wire, [detail, retryAfterMs])
  const body = problem(code, detail, { requestId: request.id, ...extra }, retryAfterMs)
  if (retryAfterMs > 0) reply.header('retry-after', Math.ceil(retryAfterMs / 1_000))
  sendBody(reply, unit.medium, body.status, body, true)
  return reply
}

/** Tells of the request, once. */
export function closeUnit(context: Context, request: FastifyRequest, status: number): void {
  const { unit } = request
  const { journal, telemetry } = context.intake
  const op = unit.op === null ? 'none' : typeof unit.op === 'string' ? unit.op : opName(unit.op)
  if (unit.op === null && unit.code === OK) return
  const outcome = outcomeOf(unit.code)
  const reason = reasonOf(unit.code, unit.fields)
  telemetry.request(op, outcome, reason)
  const total = context.clock.monotonicMs() - unit.startMs
  if (!journal.deserves(outcome, unit.waited ? 0 : total)) return
  journal.emit({
    op,
    class: typeof unit.op === 'number' ? classOf(unit.op, 1) : CLASS.read,
    outcome,
    reason,
    principal: unit.principal,
    request: request.id,
    ...(unit.traceparent !== undefined && { traceparent: unit.traceparent }),
    status,
    ms: stages(unit, total),
    depth: unit.depth,
  })
}

function stages(unit: Unit, total: number): Record<string, number> & { total: number } {
  const ms: Record<string, number> & { total: number } = { total: rounded(total) }
  if (unit.readMs > 0) ms.read = rounded(unit.readMs - unit.startMs)
  if (unit.readMs > 0 && unit.answeredMs > 0) ms.answer = rounded(unit.answeredMs - unit.readMs)
  return ms
}

const rounded = (ms: number): number => Math.round(ms * 1_000) / 1_000
