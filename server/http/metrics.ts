/** The exposition for Prometheus. */
import type { Context } from './context.js'
import { Exposition, NoQuery, responses } from './schemas.js'
import type { App } from './server.js'

/** Registered only where there is something to expose. */
export function metricsRoutes(app: App, context: Context): void {
  const { metrics, replica, telemetry } = context
  if (metrics === null) return
  app.get(
    '/metrics',
    {
      config: { anyMedium: true },
      schema: {
        summary: 'Metrics for Prometheus',
        querystring: NoQuery,
        response: responses({ 200: Exposition }, [], 'text/plain'),
      },
    },
    async (_request, reply) => {
      const { leases, waiters, commitIndex, firstIndex, lastIndex, appliedIndex } = replica.status
      telemetry.gauge('leases', leases)
      telemetry.gauge('waiters', waiters)
      telemetry.gauge('apply_lag', Math.max(0, commitIndex - appliedIndex))
      telemetry.gauge('log_entries', lastIndex + 1 - firstIndex)
      return reply.type(metrics.contentType).send(await metrics.text())
    },
  )
}
