/**
 * Liveness and readiness. Liveness is never shed and says only that the process can still answer; readiness says the
 * truth: it serves, and it is not about to go. Neither asks the disk or anybody else.
 */
import type { Context } from './context.js'
import { sendBody } from './media.js'
import { Healthy, NoQuery, Ready, responses } from './schemas.js'
import type { App } from './server.js'
import { sendProblem } from './unit.js'

export function healthRoutes(app: App, context: Context): void {
  app.get(
    '/healthz',
    {
      config: { anyMedium: true },
      schema: { summary: 'The process lives', querystring: NoQuery, response: responses({ 200: Healthy }) },
    },
    (_request, reply) => {
      sendBody(reply, 'json', 200, { ok: true })
    },
  )
  app.get(
    '/readyz',
    {
      config: { anyMedium: true },
      schema: {
        summary: 'The member serves, and will go on to',
        querystring: NoQuery,
        response: responses({ 200: Ready }, ['NO_QUORUM']),
      },
    },
    (request, reply) => {
      if (context.intake.draining) sendProblem(request, reply, 'SHUTTING_DOWN', 'this member is shutting down')
      else if (!context.replica.ready || context.replica.status.leader === null)
        sendProblem(request, reply, 'NO_QUORUM', 'this member does not serve now')
      else sendBody(reply, 'json', 200, { ready: true })
    },
  )
}
