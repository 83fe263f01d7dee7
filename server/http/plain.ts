/**
 * Requests that offer to go on in another protocol than WebSocket (HTTP/2 in the clear, say: some client libraries
 * always offer it) are the plain requests that they also are. Node hands every such connection over as an upgrade; here
 * it is handed back, without the offer. Must never see a request twice.
 */
import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'

type UpgradeListener = (request: IncomingMessage, socket: Socket, head: Buffer) => void

/**
 * For the options of the HTTP server. Node from 24.9 on asks whether to take up an offer, and hands over only those; older
 * ones know no such option, and leave it to ignoreOtherUpgrades.
 */
export const upgradeOptions = { shouldUpgradeCallback: isWebSocket }

function isWebSocket(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket'
}

/** After the WebSocket's listener was added: puts itself in front of it. */
export function ignoreOtherUpgrades(server: Server): void {
  const listeners = server.listeners('upgrade') as UpgradeListener[]
  server.removeAllListeners('upgrade')
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    if (isWebSocket(request)) for (const listener of listeners) listener.call(server, request, socket, head)
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
