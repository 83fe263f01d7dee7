/**
 * The stream of changes as server-sent events. The id of an event is the cursor behind it, so that a browser resumes by
 * itself. Must never let events pile up for a reader that does not read.
 */
import { type ChainedEvent, checkPrefix, type ErrorCode, encodeCursor, OP, ProtocolError } from '@leasehold/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { caughtUp } from '../intake/index.js'
import type { Watch, WatchSink } from '../session/index.js'
import type { Context } from './context.js'
import { eventBody } from './history.js'
import { problem } from './problem.js'
import { EventStream, responses, WatchQuery } from './schemas.js'
import type { App } from './server.js'
import { closeUnit } from './unit.js'

export function watchRoutes(app: App, context: Context): void {
  const streams = new Set<Stream>()
  const stop = context.clock.every(context.limits.heartbeatMs, () => {
    for (const stream of streams) stream.heartbeat()
  })
  app.addHook('preClose', async () => {
    stop()
    for (const stream of [...streams]) stream.close()
  })
  app.get(
    '/v1/watch',
    {
      exposeHeadRoute: false,
      config: { op: OP.watch, anyMedium: true },
      schema: {
        summary: 'Changes as server-sent events, from a cursor or from now on',
        description: 'Resumes behind the header Last-Event-ID, which goes before the parameter after.',
        querystring: WatchQuery,
        response: responses(
          { 200: EventStream },
          ['CURSOR_COMPACTED', 'LIMIT_REACHED', 'NO_QUORUM'],
          'text/event-stream',
        ),
      },
    },
    async (request, reply) => {
      const prefix = checkPrefix(request.query.prefix ?? '', 'prefix')
      const resumed = request.headers['last-event-id']
      const cursor = (typeof resumed === 'string' && resumed !== '' ? resumed : request.query.after) ?? null
      await caughtUp(context.replica, cursor)
      const refusal = context.intake.judge(OP.watch, 0, context.limits.deadlineMs)
      if (refusal !== null) throw new ProtocolError(refusal, 'nothing is streamed; come back')
      request.unit.waited = true
      const stream = new Stream(context, request, reply, () => streams.delete(stream))
      streams.add(stream)
      stream.open(prefix, cursor)
      return reply
    },
  )
}

class Stream implements WatchSink {
  readonly #context: Context
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply
  readonly #closed: () => void
  #watch: Watch | null = null

  constructor(context: Context, request: FastifyRequest, reply: FastifyReply, closed: () => void) {
    this.#context = context
    this.#request = request
    this.#reply = reply
    this.#closed = closed
  }

  /** Throws ProtocolError, with nothing sent, for a cursor from which it cannot begin. */
  open(prefix: string, cursor: string | null): void {
    const raw = this.#reply.raw
    try {
      this.#watch = this.#context.sessions.feed.open({ prefix, cursor }, this)
    } catch (error) {
      this.#closed()
      throw error
    }
    this.#reply.hijack()
    raw.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'x-request-id': this.#request.id,
    })
    raw.write(`retry: 1000\nid: ${this.#watch.cursor}\n: from here\n\n`)
    raw.on('drain', () => this.#watch?.wake())
    raw.once('close', () => this.#end())
    // A write that a closing connection no longer takes is no event of its own.
    raw.on('error', () => this.#end())
  }

  /** Only where a drain will be told: nothing else wakes the watch. */
  get congested(): boolean {
    const { raw } = this.#reply
    return raw.writableNeedDrain && raw.writableLength > this.#context.limits.streamBufferBytes
  }

  events(events: readonly ChainedEvent[]): void {
    const { clusterId } = this.#context.replica.status
    let text = ''
    for (const event of events)
      text += `id: ${encodeCursor(clusterId, event.seq)}\nevent: ${event.type}\ndata: ${JSON.stringify(eventBody(event, clusterId))}\n\n`
    this.#reply.raw.write(text)
  }

  end(code: ErrorCode, detail: string): void {
    this.#reply.raw.end(`event: end\ndata: ${JSON.stringify(problem(code, detail))}\n\n`)
    this.#end()
  }

  heartbeat(): void {
    if (!this.congested) this.#reply.raw.write(': still here\n\n')
  }

  /** The member goes. The reader comes back with the id of the last event. */
  close(): void {
    this.#reply.raw.end()
    this.#end()
  }

  #end(): void {
    if (this.#watch === null) return
    this.#watch.close()
    this.#watch = null
    closeUnit(this.#context, this.#request, 200)
    this.#closed()
  }
}
