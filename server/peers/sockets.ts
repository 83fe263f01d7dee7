/**
 * Where connections come from. Everything else in this room sees sockets alone, so that another factory (TLS, with each side's
 * certificate checked) takes this one's place without a change anywhere else.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Address } from './address.js'

export interface Sockets {
  /** A connection under way. */
  dial(address: Address): Socket
  /** The event of a dialled one at which it may be written to. */
  readonly ready: 'connect' | 'secureConnect'
  /** Not listening yet. Calls `accept` for each connection that may speak. */
  server(accept: (socket: Socket) => void): Server
}

export const plainSockets: Sockets = {
  ready: 'connect',
  dial: ({ host, port }) => connect({ host, port, noDelay: true }),
  server: (accept) => createServer({ noDelay: true, pauseOnConnect: false }, accept),
}
