/** The document of this interface, made from the schemas that check it. */
import swagger from '@fastify/swagger'
import type { Context } from './context.js'
import type { App } from './server.js'

/** Before the routes: it listens to their registration. */
export async function describeRoutes(app: App, context: Context): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Leasehold',
        version: context.version,
        description: 'Leases with fencing tokens, and quotas. Every error is a problem document with a stable code.',
        license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      },
    },
  })
}

export function openapiRoute(app: App): void {
  app.get('/openapi.json', { config: { anyMedium: true }, schema: { hide: true } }, (_request, reply) =>
    reply.type('application/json').send(JSON.stringify(app.swagger())),
  )
}
