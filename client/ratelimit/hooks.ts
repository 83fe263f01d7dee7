/** A quota in front of routes, in one line: as a hook of fastify, and as middleware of whoever passes on node's own requests (express, connect). */
import { decide, type Limiter, type RateLimitOptions, type Verdict } from './decide.js'

/** What of fastify is needed here. */
export interface ReplyLike {
  code(status: number): ReplyLike
  header(name: string, value: string): ReplyLike
  send(payload: unknown): unknown
}

/** What of node's ServerResponse is needed here. */
export interface ResponseLike {
  statusCode: number
  setHeader(name: string, value: string): unknown
  end(body: string): unknown
}

type Next = (error?: Error) => void

/**
 * An onRequest or preHandler hook. What does not pass is answered with a problem document: 429 where the quota is used up, 503 where nobody can
 * say. A mistake of the program (no such quota, a cost above its burst) is an error of the request.
 */
export function rateLimitHook<Request, Reply extends ReplyLike>(
  limiter: Limiter,
  name: string,
  options: RateLimitOptions<Request> = {},
): (request: Request, reply: Reply, done: Next) => void {
  return (request, reply, done) => {
    settle(limiter, name, options, request, done, (verdict) => {
      for (const [header, value] of Object.entries(verdict.headers)) reply.header(header, value)
      if (verdict.passes) done()
      else reply.code(verdict.status).send(JSON.stringify(verdict.body))
    })
  }
}

/** The same as middleware: `(request, response, next)`. A mistake of the program goes to `next`. */
export function rateLimitMiddleware<Request, Response extends ResponseLike>(
  limiter: Limiter,
  name: string,
  options: RateLimitOptions<Request> = {},
): (request: Request, response: Response, next: Next) => void {
  return (request, response, next) => {
    settle(limiter, name, options, request, next, (verdict) => {
      for (const [header, value] of Object.entries(verdict.headers)) response.setHeader(header, value)
      if (verdict.passes) {
        next()
        return
      }
      response.statusCode = verdict.status
      response.end(JSON.stringify(verdict.body))
    })
  }
}

/** Without a promise where it can be decided at once. */
function settle<Request>(
  limiter: Limiter,
  name: string,
  options: RateLimitOptions<Request>,
  request: Request,
  failed: Next,
  settled: (verdict: Verdict) => void,
): void {
  let verdict: Verdict | Promise<Verdict>
  try {
    verdict = decide(limiter, name, options, request)
  } catch (error) {
    failed(error as Error)
    return
  }
  if (verdict instanceof Promise) verdict.then(settled, failed)
  else settled(verdict)
}
