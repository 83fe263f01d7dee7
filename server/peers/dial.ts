/** One attempt at a link: connect, say who we are, hear who they are. Bounded in time; gives one outcome, or none once it is cancelled. */
import type { Socket } from 'node:net'
import type { Clock } from '../ports/index.js'
import type { Address } from './address.js'
import { readGreeting } from './greeter.js'
import { encodeGreeting, type Greeting } from './greeting.js'
import type { Sockets } from './sockets.js'

export interface Dialled {
  readonly socket: Socket
  readonly greeting: Greeting
  readonly rest: Uint8Array
}

export interface DialOptions {
  readonly address: Address
  readonly greeting: Greeting
  readonly sockets: Sockets
  readonly clock: Clock
  readonly withinMs: number
  /** The greeting leaves now. */
  readonly greets?: () => void
}

/** Calls `done` once, with the listener's greeting or why there is none. Returns a function that gives up without a call. */
export function dial(options: DialOptions, done: (outcome: Dialled | Error) => void): () => void {
  const { address, greeting, sockets, clock, withinMs, greets } = options
  const socket = sockets.dial(address)
  socket.unref()
  socket.once(sockets.ready, () => {
    greets?.()
    socket.write(encodeGreeting(greeting))
  })
  const stop = readGreeting(socket, clock, withinMs, (outcome) => {
    if (outcome instanceof Error) done(outcome)
    else done({ socket, greeting: outcome.greeting, rest: outcome.rest })
  })
  return () => {
    stop()
    socket.destroy()
  }
}
