/** What this member knows of its cluster. */
import { OP } from '@leasehold/protocol'
import type { Context } from './context.js'
import { sendBody } from './media.js'
import { Cluster, NoQuery, responses } from './schemas.js'
import type { App } from './server.js'

export function clusterRoutes(app: App, context: Context): void {
  app.get(
    '/v1/cluster',
    {
      config: { op: OP.time },
      schema: {
        summary: 'Members, leader, term and time of the cluster',
        querystring: NoQuery,
        response: responses({ 200: Cluster }),
      },
    },
    (request, reply) => {
      sendBody(reply, request.unit.medium, 200, clusterBody(context))
    },
  )
}

function clusterBody(context: Context): object {
  const { clusterId, memberId, leader, term, commitIndex, clusterMs, appliedIndex, leases, waiters } =
    context.replica.status
  const self = {
    id: memberId,
    role: leader === memberId ? 'leader' : 'follower',
    url: context.url(),
    peerUrl: null,
    voter: true,
    appliedIndex,
  }
  return { clusterId, leader, term, commitIndex, clusterMs, members: [self], leases, waiters, version: context.version }
}
