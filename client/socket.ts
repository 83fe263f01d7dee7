/**
 * A WebSocket behind the few words that the link needs, so that tests and simulations can bring sockets of their own.
 * Never keeps a process alive unless it is told to, and never compresses.
 */

import { LIMITS } from '@leasehold/protocol'
import { WebSocket } from 'ws'

export interface SocketEvents {
  opened(): void
  /** One binary message. Bytes are the receiver's own. */
  message(bytes: Uint8Array): void
  pong(): void
  /** Once, at the end, whatever happened before. Nothing follows. */
  ended(why: string): void
}

export interface Socket {
  /** Ignored when the socket is not open. The bytes belong to the socket from now on. */
  send(bytes: Uint8Array): void
  ping(): void
  /** Says goodbye; `ended` follows. Safe to call twice. */
  close(): void
  /** Ends at once; `ended` follows. Safe to call twice. */
  terminate(): void
  /** Whether this socket keeps the process alive. */
  hold(on: boolean): void
}

/** Begins to connect to a member's session. Never throws, and calls no event before it has returned. */
export type Dial = (endpoint: string, events: SocketEvents) => Socket

const CLOSE_MS = 1_000
const SESSION_PATH = '/v1/session'

interface Holdable {
  ref?(): unknown
  unref?(): unknown
}

export const dialWebSocket: Dial = (endpoint, events) => {
  const options = {
    perMessageDeflate: false,
    maxPayload: LIMITS.replyBytesMax,
    skipUTF8Validation: true,
    closeTimeout: CLOSE_MS,
  }
  const ws = new WebSocket(new URL(SESSION_PATH, endpoint), options)
  let raw: Holdable | null = null
  let held = false
  let why = 'closed'
  const hold = (on: boolean) => {
    held = on
    if (on) raw?.ref?.()
    else raw?.unref?.()
  }
  ws.on('upgrade', (response) => {
    raw = response.socket
    hold(held)
  })
  ws.on('open', () => events.opened())
  ws.on('message', (data, isBinary) => {
    if (isBinary && data instanceof Uint8Array) return events.message(data)
    why = 'the server sent text'
    ws.terminate()
  })
  ws.on('pong', () => events.pong())
  ws.on('error', (error) => {
    why = error.message === '' ? String((error as { code?: unknown }).code ?? error.name) : error.message
  })
  ws.on('close', (code) => events.ended(code === 1006 || code === 1005 ? why : `${why} (${code})`))
  return {
    send: (bytes) => {
      if (ws.readyState === WebSocket.OPEN) ws.send(bytes)
    },
    ping: () => {
      if (ws.readyState === WebSocket.OPEN) ws.ping()
    },
    close: () => ws.close(),
    terminate: () => ws.terminate(),
    hold,
  }
}
