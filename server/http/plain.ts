/**
 * Requests that offer to go on in another protocol than WebSocket (HTTP/2 in the clear, say: some client libraries
 * always offer it) are the plain requests that they also are. Node hands every such connection over as an upgrade; here
 * it is handed back, without the offer. Must never see a request twice.
 */
import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'

type UpgradeListener = (request: IncomingMessage, socket: Socket, head: Buffer) => void

/** After the WebSocket's listener was added: puts itself in front of it. */
export function ignoreOtherUpgrades(server: Server): void {
  const listeners = server.listeners('upgrade') as UpgradeListener[]
  server.removeAllListeners('upgrade')
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const webSocket = request.headers.upgrade?.toLowerCase() === 'websocket'
    if (webSocket) for (const listener of listeners) listener.call(server, request, socket, head)
    else handBack(server, request, socket, head)
  })
}

const OFFER = new Set(['upgrade', 'connection', 'http2-settings'])

function handBack(server: Server, request: IncomingMessage, socket: Socket, head: Buffer): void {
  const lines = [`${request.method} ${request.url} HTTP/1.1`]
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const [name, value] = [request.rawHeaders[i]!, request.rawHeaders[i + 1]!]
    if (!OFFER.has(name.toLowerCase())) lines.push(`${name}: ${value}`)
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  server.emit('connection', socket)
}
