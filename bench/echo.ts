/** The other end of the round trip: a process that sends every message back. It ends with its parent. */
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false }, () => {
  process.send?.((server.address() as AddressInfo).port)
})
server.on('connection', (socket) => {
  socket.on('message', (data) => socket.send(data as Buffer))
})
process.on('disconnect', () => process.exit(0))
