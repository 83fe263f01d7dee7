/**
 * Answers to what is no HTTP request: nothing above the socket has seen it. Must never write to a connection on which a
 * response has begun.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { problem } from './problem.js'

interface ParseError extends Error {
  readonly code?: string
}

/** For fastify's clientErrorHandler. A time that ran out is told with the status that proxies know. */
export function refuseRaw(error: ParseError, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable || socket.bytesWritten > 0) {
    socket.destroy()
    return
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') end(socket, '408 Request Timeout', 'the request did not come in time')
  else if (error.code === 'HPE_HEADER_OVERFLOW') end(socket, '413 Content Too Large', 'the header is too large')
  else end(socket, '400 Bad Request', 'this is no HTTP/1.1 request')
}

/** For requests that expect anything but 100-continue. */
export function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const body = JSON.stringify(problem('INVALID_ARGUMENT', 'Expect: only 100-continue is known'))
  response.writeHead(400, { 'content-type': 'application/problem+json', connection: 'close' }).end(body)
}

function end(socket: Socket, status: string, detail: string): void {
  const code = status.startsWith('413') ? 'TOO_LARGE' : 'INVALID_ARGUMENT'
  const body = JSON.stringify({ ...problem(code, detail), status: Number.parseInt(status, 10) })
  const head = [
    `HTTP/1.1 ${status}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}
