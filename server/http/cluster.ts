/**
 * The cluster: what this member knows of it, and changes of its members. Changes are the leader's to make: the others send
 * whoever asks for one to it (307), and answer everything else themselves.
 */
import {
  type Configuration,
  checkMemberId,
  checkPeerId,
  type ErrorCode,
  memberOf,
  type PeerId,
  ProtocolError,
  peerIdOf,
} from '@leasehold/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { MembershipChange } from '../replica/index.js'
import type { Context } from './context.js'
import { sendBody } from './media.js'
import { AddBody, Cluster, IdParams, NoQuery, responses, TransferLeadershipBody } from './schemas.js'
import type { App } from './server.js'
import { sendProblem } from './unit.js'

const CHANGES = ['MEMBER_NOT_FOUND', 'MEMBERSHIP_CONFLICT', 'NO_QUORUM', 'OUTCOME_UNKNOWN'] as const
const WITH_BODY = ['UNSUPPORTED_MEDIA_TYPE', 'TOO_LARGE'] as const
/** What a change may answer; another member than the leader sends on to it. */
const changes = (more: readonly ErrorCode[] = []) => ({
  ...responses({ 200: Cluster }, [...CHANGES, ...more]),
  307: { description: 'Ask the leader, at the Location' },
})
/** How long a transfer of leadership may take, and how often it is looked at. */
const TRANSFER_MS_MAX = 3_000
const LOOK_MS = 20

type Reachable = Pick<Context, 'replica' | 'url'>

export function clusterRoutes(app: App, context: Context): void {
  app.get(
    '/v1/cluster',
    {
      config: { op: 'cluster' },
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
  memberRoutes(app, context)
  app.post(
    '/v1/cluster/transfer',
    {
      schema: {
        summary: 'Hand leadership to another member',
        querystring: NoQuery,
        body: TransferLeadershipBody,
        response: changes(WITH_BODY),
      },
    },
    (request, reply) =>
      byLeader(context, request, reply, () => transfer(context, checkMemberId(request.body.to, 'to'))),
  )
}

function memberRoutes(app: App, context: Context): void {
  app.post(
    '/v1/cluster/members',
    {
      schema: {
        summary: 'Add a member, which learns until it is promoted',
        querystring: NoQuery,
        body: AddBody,
        response: changes(WITH_BODY),
      },
    },
    (request, reply) => {
      const { id, peerUrl, directoryId } = request.body
      return byLeader(context, request, reply, async () => {
        const peer = await peerOf(context, checkMemberId(id, 'id'), peerUrl, directoryId)
        await context.replica.changeMembers({ kind: 'add', peer, address: peerUrl })
      })
    },
  )
  app.post(
    '/v1/cluster/members/:id/promote',
    {
      schema: {
        summary: 'Make a learner a voter',
        params: IdParams,
        querystring: NoQuery,
        response: changes(),
      },
    },
    (request, reply) => changing(context, request, reply, { kind: 'promote', member: request.params.id }),
  )
  app.delete(
    '/v1/cluster/members/:id',
    {
      schema: {
        summary: 'Remove a member',
        params: IdParams,
        querystring: NoQuery,
        response: changes(),
      },
    },
    (request, reply) => changing(context, request, reply, { kind: 'remove', member: request.params.id }),
  )
}

function changing(context: Context, request: FastifyRequest, reply: FastifyReply, change: MembershipChange) {
  return byLeader(context, request, reply, () => context.replica.changeMembers(change))
}

/** Does it here, or sends the asker to the leader. Answers with the cluster as it is then. */
async function byLeader(
  context: Context,
  request: FastifyRequest,
  reply: FastifyReply,
  work: () => Promise<void>,
): Promise<FastifyReply> {
  const { leader, memberId } = context.replica.status
  if (leader !== memberId) {
    const url = leader === null ? null : urlOf(context, leader)
    if (url === null) {
      const detail =
        leader === null ? 'nobody leads now' : `ask the leader, ${leader}: it has not said where it is reached`
      return sendProblem(request, reply, 'NO_QUORUM', detail, {}, context.intake.retryAfterMs())
    }
    return reply.redirect(`${url}${request.raw.url}`, 307)
  }
  const { principal } = request.unit
  const { method, url } = request.raw
  const told = { request: request.id, principal, method, url }
  context.telemetry.log('info', 'cluster change asked for', told)
  await work()
  context.telemetry.log('info', 'cluster change done', told)
  sendBody(reply, request.unit.medium, 200, clusterBody(context))
  return reply
}

/** The directory that is there, unless it was told. Throws ProtocolError. */
async function peerOf(context: Context, id: string, address: string, told: string | undefined): Promise<PeerId> {
  if (told !== undefined) return checkPeerId(peerIdOf(id, told), 'directoryId')
  const found = await context.whoIsAt?.(address)
  if (found === undefined || found === null) {
    throw new ProtocolError('MEMBERSHIP_CONFLICT', `no member answers at ${address}: start it there first`)
  }
  if (memberOf(found) === id) return checkPeerId(found)
  throw new ProtocolError('MEMBERSHIP_CONFLICT', `at ${address} is ${memberOf(found)}, not ${id}`)
}

async function transfer(context: Context, to: string): Promise<void> {
  const { replica, clock } = context
  const { configuration } = replica
  if (configuration === null || !configuration.voters.some((peer) => memberOf(peer) === to)) {
    throw new ProtocolError('MEMBER_NOT_FOUND', `no voter is named ${to}`)
  }
  if (to === replica.status.memberId) return
  if (!replica.transferLeadership(to)) {
    throw new ProtocolError(
      'MEMBERSHIP_CONFLICT',
      `${to} cannot lead now: it does not answer, or lacks what is committed`,
    )
  }
  const lateMs = clock.monotonicMs() + TRANSFER_MS_MAX
  while (replica.status.leader !== to) {
    if (clock.monotonicMs() >= lateMs) throw new ProtocolError('OUTCOME_UNKNOWN', `${to} does not lead yet`)
    await new Promise<void>((resolve) => clock.after(LOOK_MS, resolve))
  }
}

function clusterBody(context: Context): object {
  const { clusterId, leader, term, commitIndex, clusterMs, format, leases, waiters } = context.replica.status
  const { version } = context
  const members = membersBody(context)
  return { clusterId, leader, term, commitIndex, clusterMs, members, leases, waiters, version, format }
}

function membersBody(context: Context): object[] {
  const { memberId, self, leader, appliedIndex, standings, peers } = context.replica.status
  const { configuration } = context.replica
  const known = new Map(peers.map((one) => [one.peer, one]))
  const named = configuration === null ? [self] : Object.keys(configuration.addresses).sort()
  return named.map((peer) => {
    const id = memberOf(peer)
    const voter = configuration === null || configuration.voters.includes(peer) || configuration.outgoing.includes(peer)
    return {
      id,
      role: leader === id && voter ? 'leader' : voter ? 'follower' : 'learner',
      url: id === memberId ? context.url() : urlOf(context, id),
      peerUrl: addressOf(configuration, peer),
      voter,
      appliedIndex: peer === self ? appliedIndex : (standings.get(peer) ?? known.get(peer)?.match ?? null),
      directoryId: peer.slice(id.length + 1),
      reached: peer === self ? true : (known.get(peer)?.active ?? null),
    }
  })
}

function addressOf(configuration: Configuration | null, peer: PeerId): string | null {
  return configuration?.addresses[peer] ?? null
}

/** Where clients reach the member, as it has said. */
function urlOf(context: Reachable, id: string): string | null {
  if (id === context.replica.status.memberId) return context.url()
  const url = context.replica.members.find((member) => member.id === id)?.url
  return url === undefined || url === '' ? null : url
}

/** Where clients find the leader; null where nobody leads, or it has not said. */
export function leaderUrlOf(context: Reachable): string | null {
  const { leader } = context.replica.status
  return leader === null ? null : urlOf(context, leader)
}
