/**
 * One change over HTTP: its name (the client's key), its way through the front door, and its answer
 * by the contract. Must never answer before the replica has.
 */
import {
  type ClientCommand,
  checkIdempotencyKey,
  ERRORS,
  errorOfWire,
  type GrantedFields,
  type HeldFields,
  type LostFields,
  OFFERED,
  type OfferedFields,
  OK,
  OP,
  type QuotaChangedFields,
  type QuotaSpec,
  type ReleasedFields,
  type RequestToken,
  type RevokedFields,
  type TransferredFields,
} from '@leasehold/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { opName } from '../intake/index.js'
import type { Context } from './context.js'
import { sendBody } from './media.js'
import { sendProblem } from './unit.js'
import type { Asker } from './waiting.js'

/** What names this request: the client's key, or null. Throws ProtocolError INVALID_ARGUMENT. */
export function keyOf(context: Context, request: FastifyRequest): RequestToken | null {
  const header = request.headers['idempotency-key']
  if (header === undefined) return null
  const knownMs = context.replica.status.clusterMs
  return { scope: `p:${request.unit.principal}`, key: checkIdempotencyKey(header), lowest: 0, knownMs }
}

/** Submits a checked command and answers with what became of it. */
export async function change(
  context: Context,
  request: FastifyRequest,
  reply: FastifyReply,
  command: ClientCommand,
): Promise<FastifyReply> {
  const { unit } = request
  unit.readMs = context.clock.monotonicMs()
  const answer = await context.waiting.submit(command, askerOf(request))
  unit.answeredMs = context.clock.monotonicMs()
  if (answer === null) {
    context.telemetry.request(opName(command.op), 'gone', '')
    return reply.hijack()
  }
  unit.waited = answer.waited
  unit.outcome(answer.code, answer.fields)
  return sendAnswer(request, reply, command, answer.code, answer.fields)
}

/** Whoever sent this request. */
export function askerOf(request: FastifyRequest): Asker {
  const { socket } = request.raw
  return {
    principal: request.unit.principal,
    bytes: Number(request.headers['content-length'] ?? 0),
    onGone: (listener) => {
      // Requests that follow each other on a connection all listen to it; how many is the front door's to say.
      socket.setMaxListeners(0)
      socket.once('close', listener)
      return () => socket.off('close', listener)
    },
  }
}

function sendAnswer(
  request: FastifyRequest,
  reply: FastifyReply,
  command: ClientCommand,
  code: number,
  fields: readonly unknown[],
): FastifyReply {
  if (code === OK || code === OFFERED) {
    sendBody(reply, request.unit.medium, code === OK ? 200 : 202, answerBody(command, code, fields))
    return reply
  }
  const error = errorOfWire(code)
  if (error === 'LEASE_HELD') {
    const [holder, remainingMs, meta, replayed] = fields as HeldFields
    return sendProblem(request, reply, error, `held by ${holder}`, { holder, remainingMs, meta, replayed })
  }
  if (error === 'LEASE_LOST') {
    const [token, reason] = fields as LostFields
    return sendProblem(request, reply, error, ERRORS.LEASE_LOST.help, { token, reason })
  }
  const [detail, retryAfterMs] = fields as readonly [string, number]
  return sendProblem(request, reply, error, detail, {}, retryAfterMs)
}

function answerBody(command: ClientCommand, code: number, fields: readonly unknown[]): object {
  switch (command.op) {
    case OP.acquire:
      if (code === OFFERED) {
        const [token, claimWithinMs, ttlMs, replayed] = fields as OfferedFields
        const { name, holder } = command
        return { name, holder, offered: true, token, ttlMs, claimWithinMs, replayed }
      }
      return grantBody(command.name, fields as GrantedFields)
    case OP.renew:
      return grantBody(command.name, fields as GrantedFields)
    case OP.release:
      return { released: true, replayed: (fields as ReleasedFields)[0] }
    case OP.transfer:
      return { released: true, offered: true, replayed: (fields as TransferredFields)[0] }
    case OP.revoke: {
      const [token, replayed] = fields as RevokedFields
      return { revoked: true, token, replayed }
    }
    case OP.quotaSet: {
      const [version, replayed] = fields as QuotaChangedFields
      return { name: command.name, version, ...specBody(command.spec), replayed }
    }
    case OP.quotaDelete: {
      const [version, replayed] = fields as QuotaChangedFields
      return { deleted: true, version, replayed }
    }
    case OP.cancelWait:
      return {}
  }
}

function grantBody(name: string, [token, ttlMs, remainingMs, replayed, holder]: GrantedFields): object {
  return { name, holder, token, ttlMs, remainingMs, replayed }
}

/** A specification as people write it, in this order, with all its fields. */
export function specBody(spec: QuotaSpec): object {
  const { bandwidths, parent, weight, guaranteedPercent, borrow, initial, perKey, shadow, whenUnavailable, keys } = spec
  return { bandwidths, parent, weight, guaranteedPercent, borrow, initial, perKey, shadow, whenUnavailable, keys }
}
