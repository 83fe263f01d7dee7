/**
 * The HTTP front of a member: fastify with its hardening, the routes, and the session's upgrade. `createHttp` resolves
 * to an instance that is ready to listen; closing it ends readiness first, then sessions, waits and streams, within
 * bounded time. Must never keep a shutdown waiting for a peer.
 */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { ERRORS } from '@leasehold/protocol'
import {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  fastify,
  type RawReplyDefaultExpression,
  type RawRequestDefaultExpression,
  type RawServerDefault,
} from 'fastify'
import { createIntake, type Intake, type IntakeOptions } from '../intake/index.js'
import type { Clock, Random, Telemetry } from '../ports/index.js'
import type { Replica } from '../replica/index.js'
import { createSessions } from '../session/index.js'
import { backupRoute } from './backup.js'
import { clusterRoutes, leaderUrlOf } from './cluster.js'
import type { Context, HttpInfo } from './context.js'
import { healthRoutes } from './health.js'
import { historyRoutes } from './history.js'
import { leaseRoutes } from './leases.js'
import { HTTP_LIMITS, type HttpLimits } from './limits.js'
import { readBodies } from './media.js'
import { metricsRoutes } from './metrics.js'
import { describeRoutes, openapiRoute } from './openapi.js'
import { checkHost, checkUrl, RouteTable } from './paths.js'
import { upgradeOptions } from './plain.js'
import { problemOf } from './problem.js'
import { quotaRoutes } from './quotas.js'
import { refuseExpectation, refuseRaw } from './raw.js'
import { takeRoutes } from './take.js'
import type { MetricsSource } from './telemetry.js'
import { closeUnit, openUnit, sendProblem, Unit } from './unit.js'
import { sessionRoute } from './upgrade.js'
import { validatorCompiler } from './validate.js'
import { Waiting } from './waiting.js'
import { watchRoutes } from './watch.js'

export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

export interface HttpOptions {
  readonly replica: Replica
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: Telemetry
  readonly info: HttpInfo
  /** Served at /metrics; without it there is no such route. */
  readonly metrics?: MetricsSource
  /** Asks who listens at an address for other members. */
  readonly whoIsAt?: (address: string) => Promise<string | null>
  /** Begins a backup of this member's state. */
  readonly backup?: () => Promise<NodeJS.ReadableStream>
  /** Where tokens are taken; needed where no intake is given. */
  readonly quotas?: IntakeOptions['quotas']
  /** Made here where it is not given. */
  readonly intake?: Intake
  /** Limits to use instead, in tests. */
  readonly limits?: Partial<HttpLimits>
}

export async function createHttp(options: HttpOptions): Promise<App> {
  const limits = { ...HTTP_LIMITS, ...options.limits }
  const app = harden(limits, options)
  const context = contextOf(options, limits, app)
  const table = new RouteTable(app)
  readBodies(app)
  app.setValidatorCompiler(validatorCompiler)
  // Answers are made by hand and sent as bytes: the schemas of responses describe them, they do not shape them.
  app.setSerializerCompiler(() => JSON.stringify)
  hooks(app, context)
  refusals(app, context, table)
  await describeRoutes(app, context)
  await sessionRoute(app, context)
  leaseRoutes(app, context)
  quotaRoutes(app, context)
  takeRoutes(app, context)
  historyRoutes(app, context)
  watchRoutes(app, context)
  clusterRoutes(app, context)
  backupRoute(app, context)
  healthRoutes(app, context)
  metricsRoutes(app, context)
  openapiRoute(app)
  // The last hook before the server stops listening: whoever still holds a connection, slow or silent, soon loses it.
  app.addHook('preClose', async () => {
    options.clock.after(limits.graceMs, () => app.server.closeAllConnections())
  })
  await app.ready()
  return app
}

function harden(limits: HttpLimits, { clock, random }: HttpOptions): App {
  const prefix = Buffer.from(random.bytes(6)).toString('hex')
  let count = 0
  const app = fastify({
    logger: false,
    bodyLimit: limits.bodyBytesMax,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    // A waiting acquire keeps its request open for up to an hour, a stream for ever: no limit on silence.
    connectionTimeout: 0,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    genReqId: (request) => {
      const given = request.headers['x-request-id']
      return typeof given === 'string' && isRequestId(given) ? given : `${prefix}-${++count}`
    },
    routerOptions: { maxParamLength: limits.headerBytesMax },
    http: {
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersMs,
      connectionsCheckingInterval: limits.checkConnectionsMs,
      // Checked with the URL instead, so that its refusal is a problem document, too.
      requireHostHeader: false,
      ...upgradeOptions,
    },
    clientErrorHandler: refuseRaw,
    frameworkErrors: (error, request, reply) => {
      request.unit ??= new Unit(clock.monotonicMs(), 0)
      reply.header('x-request-id', request.id)
      sendProblem(request, reply, 'INVALID_ARGUMENT', error.message)
    },
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.server.maxConnections = limits.connectionsMax
  app.server.on('checkExpectation', refuseExpectation)
  return app
}

const isRequestId = (text: string): boolean =>
  text.length <= HTTP_LIMITS.requestIdBytesMax && /^[\x21-\x7e]+$/.test(text)

function contextOf(options: HttpOptions, limits: HttpLimits, app: App): Context {
  const { replica, clock, random, telemetry, info } = options
  const { quotas } = options
  const intake =
    options.intake ?? createIntake({ replica, clock, random, telemetry, ...(quotas !== undefined && { quotas }) })
  const url = (): string | null => info.url ?? listeningUrl(app)
  const leader = {
    get leaderUrl() {
      return leaderUrlOf({ replica, url })
    },
  }
  const sessions = createSessions({ replica, intake, clock, telemetry, info: leader })
  const waiting = new Waiting(intake, random, limits)
  const metrics = options.metrics ?? null
  const { version } = info
  const { whoIsAt, backup } = options
  const asking = { ...(whoIsAt !== undefined && { whoIsAt }), ...(backup !== undefined && { backup }) }
  return { replica, intake, sessions, waiting, clock, random, telemetry, metrics, limits, version, url, ...asking }
}

function listeningUrl(app: App): string | null {
  const address = app.server.address()
  if (address === null || typeof address === 'string') return null
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `http://${host}:${address.port}`
}

function hooks(app: App, context: Context): void {
  const { intake, clock } = context
  app.decorateRequest('unit')
  app.addHook('onRequest', (request, reply, done) => {
    request.unit = new Unit(clock.monotonicMs(), intake.inFlight)
    reply.headers({ 'x-request-id': request.id, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
    if (intake.draining) reply.header('connection', 'close')
    try {
      checkUrl(request.raw.url ?? '')
      checkHost(request)
      openUnit(request)
    } catch (error) {
      done(error as Error)
      return
    }
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    closeUnit(context, request, reply.statusCode)
    done()
  })
  app.addHook('preClose', async () => {
    intake.drain()
    context.sessions.drain()
    context.waiting.drain()
    await answered(context)
    context.waiting.close()
    context.sessions.close()
  })
  app.addHook('onClose', async () => {
    intake.close()
  })
}

/** Resolves once everything that was let in has its answer, or the time for it is over. */
function answered({ intake, clock, limits }: Context): Promise<void> {
  const lateMs = clock.monotonicMs() + limits.drainMs
  return new Promise((resolve) => {
    const look = (): void => {
      if (intake.inFlight === 0 || clock.monotonicMs() >= lateMs) resolve()
      else clock.after(5, look)
    }
    look()
  })
}

function refusals(app: App, context: Context, table: RouteTable): void {
  app.setNotFoundHandler((request, reply) => {
    const allow = table.methodsOf(request.raw.url ?? '')
    if (allow === null) return sendProblem(request, reply, 'ROUTE_NOT_FOUND', ERRORS.ROUTE_NOT_FOUND.help)
    reply.header('allow', allow)
    return sendProblem(
      request,
      reply,
      'METHOD_NOT_ALLOWED',
      `${request.method} is not allowed here; these are: ${allow}`,
    )
  })
  app.setErrorHandler((error: FastifyError | Error, request, reply) => {
    const known = problemOf(error)
    if (known !== null) {
      const retryAfterMs = ERRORS[known.code].status === 503 ? context.intake.retryAfterMs() : 0
      return sendProblem(request, reply, known.code, known.detail, {}, retryAfterMs)
    }
    context.telemetry.log('error', 'request.defect', { request: request.id, error })
    return sendProblem(request, reply, 'INTERNAL', ERRORS.INTERNAL.help)
  })
}
