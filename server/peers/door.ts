/**
 * The port on which other members come in: who greets is handed on, to the transport (links) or to whoever answers questions while a
 * cluster forms. It is open before there is a cluster and stays open when there is one. It must survive whatever connects: garbage,
 * silence, floods; each stranger costs a bounded amount for a bounded time.
 */
import type { Server, Socket } from 'node:net'
import type { Clock, Telemetry } from '../ports/index.js'
import type { Address } from './address.js'
import { Complaints } from './complaints.js'
import { readGreeting } from './greeter.js'
import { encodeGreeting, type Hello, REFUSED, type RefusedCode } from './greeting.js'
import { PEER_LIMITS, type PeerLimits } from './limits.js'
import { plainSockets, type Sockets } from './sockets.js'

export interface DoorOptions {
  readonly listen: Address
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** TLS would come in here. */
  readonly sockets?: Sockets
  readonly limits?: PeerLimits
}

/** Takes over a connection that greeted. `rest` came behind the greeting and is to be read within the call. */
export type TakeHello = (hello: Hello, socket: Socket, rest: Uint8Array) => void
/** The answer's object. Throws for what is no question. */
export type AnswerAsk = (ask: unknown) => unknown

export class Door {
  /** Null: no cluster yet. */
  takeHello: TakeHello | null = null
  /** Null: questions are refused. */
  answerAsk: AnswerAsk | null = null
  readonly complaints: Complaints
  readonly limits: PeerLimits
  readonly sockets: Sockets
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly #listen: Address
  readonly #server: Server
  /** Oldest first. */
  readonly #strangers = new Set<Socket>()
  #opened: Promise<void> | null = null
  #closed: Promise<void> | null = null

  constructor(options: DoorOptions) {
    this.#listen = options.listen
    this.clock = options.clock
    this.telemetry = options.telemetry
    this.limits = options.limits ?? PEER_LIMITS
    this.sockets = options.sockets ?? plainSockets
    this.complaints = new Complaints(options.clock, options.telemetry, this.limits)
    this.#server = this.sockets.server((socket) => this.#came(socket))
  }

  /** Rejects where it cannot listen. May be called again once it is open. */
  open(): Promise<void> {
    this.#opened ??= new Promise((resolve, reject) => {
      if (this.#closed !== null) throw new Error('a door that was closed stays closed')
      const { host, port } = this.#listen
      this.#server.once('error', reject)
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject)
        // Out of descriptors, for instance: it goes on listening.
        this.#server.on('error', (error) => this.complaints.say('peer port', 'listen', { reason: error.message }))
        this.#server.unref()
        resolve()
      })
    })
    return this.#opened
  }

  /** The port that it listens on. Throws unless it is open. */
  get port(): number {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the door is not open')
    return address.port
  }

  /** Whether the open door alone keeps the process alive: while somebody waits for what comes in, it must. */
  keepAlive(yes: boolean): void {
    if (yes) this.#server.ref()
    else this.#server.unref()
  }

  /** Connections that have not shown who they are, or are being turned away. */
  get strangers(): number {
    return this.#strangers.size
  }

  /** Says why and hangs up; `about` names the one that is complained about in the log. */
  refuse(socket: Socket, code: RefusedCode, detail: string, about: string): void {
    this.#strangers.add(socket)
    socket.once('close', () => this.#strangers.delete(socket))
    socket.resume()
    socket.end(encodeGreeting({ kind: 'refused', code, detail: detail.slice(0, this.limits.nameBytesMax) }))
    // Who does not hang up in turn is hung up on.
    const disarm = this.clock.after(this.limits.greetingMsMax, () => socket.destroy())
    socket.once('close', disarm)
    if (code === REFUSED.simultaneous || code === REFUSED.forming || code === REFUSED.closing) return
    this.complaints.say('peer refused', `${about} ${code}`, { peer: about, code, reason: detail })
  }

  /** Safe to call twice. Connections that were handed on are their takers' to close. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.takeHello = null
      this.answerAsk = null
      for (const socket of this.#strangers) socket.destroy()
      this.#server.close(() => resolve())
    })
    return this.#closed
  }

  #came(socket: Socket): void {
    const from = socket.remoteAddress ?? 'a closed connection'
    socket.unref()
    // The oldest stranger makes room: members greet at once, so whoever has been here for long is none.
    if (this.#strangers.size >= this.limits.strangersMax) {
      this.complaints.say('peer port crowded', 'crowd', { strangers: this.#strangers.size })
      this.#strangers.values().next().value!.destroy()
    }
    this.#strangers.add(socket)
    const forget = (): void => void this.#strangers.delete(socket)
    socket.once('close', forget)
    readGreeting(socket, this.clock, this.limits.greetingMsMax, (outcome) => {
      this.#strangers.delete(socket)
      if (outcome instanceof Error) {
        if (this.#closed === null) this.complaints.say('peer refused', from, { from, reason: outcome.message })
        return
      }
      socket.off('close', forget)
      const { greeting, rest } = outcome
      if (greeting.kind === 'hello') this.#hello(greeting, socket, rest)
      else if (greeting.kind === 'ask') this.#ask(greeting.ask, socket, from)
      else this.refuse(socket, REFUSED.malformed, `a ${greeting.kind} comes from a listener alone`, from)
    })
  }

  #hello(hello: Hello, socket: Socket, rest: Uint8Array): void {
    if (this.takeHello !== null) this.takeHello(hello, socket, rest)
    else this.refuse(socket, REFUSED.forming, 'no cluster is open here yet', hello.from)
  }

  #ask(ask: unknown, socket: Socket, from: string): void {
    if (this.answerAsk === null) {
      this.refuse(socket, REFUSED.forming, 'questions are not answered here yet', from)
      return
    }
    try {
      socket.end(encodeGreeting({ kind: 'answer', answer: this.answerAsk(ask) }))
    } catch (error) {
      this.refuse(socket, REFUSED.malformed, (error as Error).message, from)
      return
    }
    this.#strangers.add(socket)
    socket.resume()
    const disarm = this.clock.after(this.limits.greetingMsMax, () => socket.destroy())
    socket.once('close', () => {
      this.#strangers.delete(socket)
      disarm()
    })
  }
}
