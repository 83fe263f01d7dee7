/**
 * The fence as a fastify hook: requests carry the token of their lease in the header `Fencing-Token`, and one with a lower
 * token than the resource has seen is answered 410, before its handler runs. Add it as a preHandler hook of the routes that write.
 */
import { ERRORS, type ErrorCode } from '@leasehold/protocol'
import { LeaseholdError } from '../errors.js'
import { type Fence, FencedError } from './fence.js'

/** What of fastify is needed here. */
export interface RequestLike {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}
export interface ReplyLike {
  code(status: number): ReplyLike
  header(name: string, value: string): ReplyLike
  send(payload: unknown): unknown
}

export interface FenceHookOptions<Request extends RequestLike> {
  /** Which resource the request writes to. */
  readonly resource: (request: Request) => string
  /** Lower-case. `fencing-token` by default. */
  readonly header?: string
}

const TOKEN = /^[1-9][0-9]{0,15}$/

/** A preHandler hook. Missing or malformed tokens are answered 400, superseded ones 410, both as problem documents. */
export function fenceHook<Request extends RequestLike, Reply extends ReplyLike>(
  fence: Fence,
  options: FenceHookOptions<Request>,
): (request: Request, reply: Reply) => Promise<unknown> {
  const header = (options.header ?? 'fencing-token').toLowerCase()
  return async (request, reply) => {
    const value = request.headers[header]
    if (typeof value !== 'string' || !TOKEN.test(value))
      return problem(
        reply,
        'INVALID_ARGUMENT',
        `the header ${header} must be a fencing token: a whole number from 1 on`,
      )
    try {
      await fence.check(options.resource(request), Number(value))
    } catch (error) {
      if (error instanceof FencedError)
        return problem(reply, error.code, error.message, { reason: error.reason, highest: error.highest })
      if (error instanceof LeaseholdError && error.code === 'INVALID_ARGUMENT')
        return problem(reply, error.code, error.message)
      throw error
    }
    return undefined
  }
}

function problem(reply: ReplyLike, code: ErrorCode, detail: string, more: object = {}): unknown {
  const { status, title, retryable } = ERRORS[code]
  const body = { type: 'about:blank', title, status, detail, code, retryable, ...more }
  return reply.code(status).header('content-type', 'application/problem+json').send(body)
}
