/**
 * WebSocket connections as sockets of sessions: binary messages in and out, one timer that pings them all, back
 * pressure both ways. Knows nothing of frames. Must never let a web page of another origin open a session.
 */
import websocket from '@fastify/websocket'
import { LIMITS, ProtocolError } from '@leasehold/protocol'
import type { FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import type { Clock } from '../ports/index.js'
import type { Socket } from '../session/index.js'
import type { Context } from './context.js'
import { ignoreOtherUpgrades } from './plain.js'
import type { App } from './server.js'
import { sendProblem } from './unit.js'

export async function sessionRoute(app: App, context: Context): Promise<void> {
  const pinger = new Pinger(context.clock, context.limits.pingMs)
  await app.register(websocket, {
    options: { maxPayload: LIMITS.frameBytesMax, perMessageDeflate: false, skipUTF8Validation: true },
    errorHandler: (error, socket) => {
      context.telemetry.log('debug', 'session.socket', { error: error.message })
      socket.terminate()
    },
    preClose: (done) => done(),
  })
  ignoreOtherUpgrades(app.server)
  app.addHook('preClose', () => pinger.close(context.limits.graceMs))
  app.addHook('onRequest', async (request) => {
    if (request.ws) checkHandshake(request)
  })
  app.route({
    method: 'GET',
    url: '/v1/session',
    exposeHeadRoute: false,
    config: { anyMedium: true },
    schema: { hide: true },
    onRequest: async (request, reply) => {
      if (request.ws && foreign(request))
        return sendProblem(request, reply, 'FORBIDDEN', 'sessions are not open to pages of another origin')
    },
    handler: (request, reply) => {
      reply.header('upgrade', 'websocket')
      sendProblem(request, reply, 'INVALID_ARGUMENT', 'this route is a WebSocket: ask for an upgrade')
    },
    wsHandler: (socket) => {
      attach(context, socket, pinger)
    },
  })
}

const WEBSOCKET_KEY = /^[A-Za-z0-9+/]{22}==$/

/** What the handshake itself would refuse, refused as everything else is. Throws ProtocolError INVALID_ARGUMENT. */
function checkHandshake(request: FastifyRequest): void {
  const { url } = request.routeOptions
  if (url !== undefined && url !== '/v1/session')
    throw new ProtocolError('INVALID_ARGUMENT', 'only /v1/session is a WebSocket')
  const version = Number(request.headers['sec-websocket-version'])
  if (version !== 13 && version !== 8) throw new ProtocolError('INVALID_ARGUMENT', 'Sec-WebSocket-Version: must be 13')
  if (!WEBSOCKET_KEY.test(request.headers['sec-websocket-key'] ?? ''))
    throw new ProtocolError('INVALID_ARGUMENT', 'Sec-WebSocket-Key: must be 16 bytes in base64')
}

/** Browsers always send the Origin of the page, other clients none. */
function foreign(request: FastifyRequest): boolean {
  const { origin, host } = request.headers
  if (origin === undefined) return false
  try {
    return new URL(origin).host !== host
  } catch {
    return true
  }
}

function attach(context: Context, socket: WebSocket, pinger: Pinger): void {
  socket.binaryType = 'nodebuffer'
  const handle = context.sessions.accept(socketOf(socket, () => handle?.drained()))
  pinger.add(socket)
  socket.on('message', (data, isBinary) => {
    pinger.alive(socket)
    handle.message(isBinary ? (data as Buffer) : '')
  })
  socket.on('pong', () => pinger.alive(socket))
  socket.once('close', () => {
    pinger.remove(socket)
    handle.closed()
  })
}

function socketOf(socket: WebSocket, drained: () => void): Socket {
  const sent = (): void => drained()
  return {
    send: (bytes) => socket.send(bytes, { binary: true, compress: false }, sent),
    close: (code, reason) => socket.close(code, reason.slice(0, 120)),
    drop: () => socket.terminate(),
    get bufferedBytes() {
      return socket.bufferedAmount
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  }
}

/** Pings every connection on one timer; one that was not heard of for two rounds is gone. */
class Pinger {
  readonly #silentRounds = new Map<WebSocket, number>()
  readonly #clock: Clock
  readonly #stop: () => void
  #gone: () => void = () => {}

  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock
    this.#stop = clock.every(everyMs, () => this.#round())
  }

  add(socket: WebSocket): void {
    this.#silentRounds.set(socket, 0)
  }

  alive(socket: WebSocket): void {
    if (this.#silentRounds.get(socket) !== 0) this.#silentRounds.set(socket, 0)
  }

  remove(socket: WebSocket): void {
    this.#silentRounds.delete(socket)
    if (this.#silentRounds.size === 0) this.#gone()
  }

  /** Resolves once every connection has ended, by itself or at the end of its grace. */
  close(graceMs: number): Promise<void> {
    this.#stop()
    return new Promise((resolve) => {
      if (this.#silentRounds.size === 0) {
        resolve()
        return
      }
      const disarm = this.#clock.after(graceMs, () => {
        for (const socket of this.#silentRounds.keys()) socket.terminate()
      })
      this.#gone = () => {
        disarm()
        resolve()
      }
    })
  }

  #round(): void {
    for (const [socket, rounds] of this.#silentRounds) {
      if (rounds >= 2 && !socket.isPaused) socket.terminate()
      else {
        this.#silentRounds.set(socket, rounds + 1)
        if (socket.readyState === socket.OPEN) socket.ping()
      }
    }
  }
}
