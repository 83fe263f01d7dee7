/**
 * A backup as a stream: the state of the last checkpoint with its history, read while the member goes on. One at a time, since an open
 * one keeps the log from being trimmed. What is cut off is no backup: its end proves that none of it is missing.
 */
import { ProtocolError } from '@leasehold/protocol'
import type { Context } from './context.js'
import { Backup, NoQuery, responses } from './schemas.js'
import type { App } from './server.js'

export function backupRoute(app: App, context: Context): void {
  const { backup } = context
  if (backup === undefined) return
  let streaming = false
  app.get(
    '/v1/cluster/backup',
    {
      exposeHeadRoute: false,
      config: { anyMedium: true },
      schema: {
        summary: "This member's state and history, for `leasehold restore`",
        querystring: NoQuery,
        response: responses({ 200: Backup }, ['OVERLOADED'], 'application/octet-stream'),
      },
    },
    async (request, reply) => {
      if (streaming) throw new ProtocolError('OVERLOADED', 'another backup is being taken of this member')
      streaming = true
      const { principal } = request.unit
      context.telemetry.log('info', 'backup asked for', { request: request.id, principal })
      const stream = await backup().catch((error) => {
        streaming = false
        throw error
      })
      // Who asked sees no more than that it ends too soon: the answer had begun.
      stream.once('error', (error) => {
        context.telemetry.log('error', 'backup broken off', { request: request.id, reason: error.message })
      })
      stream.once('close', () => {
        streaming = false
      })
      return reply.type('application/octet-stream').send(stream)
    },
  )
}
