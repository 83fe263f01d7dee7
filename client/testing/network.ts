/**
 * Connections in memory: each keeps the order of its messages, takes a time that the test chooses for every one of them,
 * and may be cut (both sides notice, what is on its way is lost) or held up by a partition (nobody notices anything).
 */
import type { Socket as MemberSocket, SocketHandle } from '@leasehold/server/session'
import type { Dial, Socket, SocketEvents } from '../socket.js'
import type { TestMachine } from './machine.js'
import type { TestTime } from './time.js'

/** To the member, or to the client. */
export type Direction = 'up' | 'down'

export interface Acceptor {
  readonly machine: TestMachine
  accept(socket: MemberSocket): SocketHandle
}

export interface NetworkOptions {
  /** How long a message takes; asked for each. 0 by default. */
  readonly latencyMs?: (direction: Direction, bytes: Uint8Array | null) => number
}

/** One direction of one connection: in order, one after the other. */
class Lane {
  readonly #network: TestNetwork
  readonly #direction: Direction
  readonly #to: TestMachine
  #arrivalMs = 0
  /** Sent into a partition. */
  readonly #held: { bytes: Uint8Array | null; task: () => void }[] = []
  /** Arrived, and not read: null while the receiver reads. */
  #unread: (() => void)[] | null = null

  constructor(network: TestNetwork, direction: Direction, to: TestMachine) {
    this.#network = network
    this.#direction = direction
    this.#to = to
  }

  carry(bytes: Uint8Array | null, task: () => void): void {
    if (this.#network.partitioned) {
      this.#held.push({ bytes, task })
      return
    }
    const { time } = this.#network
    this.#arrivalMs = Math.max(this.#arrivalMs, time.nowMs + this.#network.latencyMs(this.#direction, bytes))
    const waitMs = this.#arrivalMs - time.nowMs
    const arrive = () => {
      if (this.#unread === null) this.#to.run(task)
      else this.#unread.push(task)
    }
    if (waitMs > 0) time.after(waitMs, arrive)
    else time.soon(arrive)
  }

  release(): void {
    for (const { bytes, task } of this.#held.splice(0)) this.carry(bytes, task)
  }

  /** The receiver stops reading, and goes on. */
  pause(): void {
    this.#unread ??= []
  }
  resume(): void {
    const unread = this.#unread ?? []
    this.#unread = null
    for (const task of unread) this.#network.time.soon(() => this.#to.run(task))
  }
}

class Connection {
  readonly #network: TestNetwork
  readonly #events: SocketEvents
  readonly #client: TestMachine
  readonly #up: Lane
  readonly #down: Lane
  #handle: SocketHandle | null = null
  #alive = true

  constructor(network: TestNetwork, client: TestMachine, acceptor: Acceptor, events: SocketEvents) {
    this.#network = network
    this.#events = events
    this.#client = client
    this.#up = new Lane(network, 'up', acceptor.machine)
    this.#down = new Lane(network, 'down', client)
    this.#up.carry(null, () => {
      if (!this.#alive) return
      this.#handle = acceptor.accept(this.#memberSide())
      this.#down.carry(null, () => this.#alive && events.opened())
    })
  }

  readonly clientSide: Socket = {
    send: (bytes) => this.#up.carry(bytes, () => this.#alive && this.#handle?.message(bytes)),
    ping: () => this.#up.carry(null, () => this.#down.carry(null, () => this.#alive && this.#events.pong())),
    close: () => this.end('closed here'),
    terminate: () => this.end('terminated here'),
    hold: () => {},
  }

  release(): void {
    this.#up.release()
    this.#down.release()
  }

  /** What was sent before still arrives; the member's side is told after it. */
  end(why: string): void {
    if (!this.#alive) return
    this.#alive = false
    this.#network.forget(this)
    this.#up.carry(null, () => this.#handle?.closed())
    this.#network.time.soon(() => this.#client.run(() => this.#events.ended(why)))
  }

  #memberSide(): MemberSocket {
    return {
      bufferedBytes: 0,
      send: (bytes) => this.#down.carry(bytes, () => this.#alive && this.#events.message(bytes)),
      close: (code, reason) => {
        this.#down.carry(null, () => this.end(`closed by the member: ${reason} (${code})`))
      },
      drop: () => this.end('dropped by the member'),
      pause: () => this.#up.pause(),
      resume: () => this.#up.resume(),
    }
  }
}

export class TestNetwork {
  readonly time: TestTime
  latencyMs: NonNullable<NetworkOptions['latencyMs']>
  #partitioned = false
  readonly #connections = new Set<Connection>()
  /** Ended during the partition: the other side is still to be told. */
  readonly #ended = new Set<Connection>()

  constructor(time: TestTime, options: NetworkOptions = {}) {
    this.time = time
    this.latencyMs = options.latencyMs ?? (() => 0)
  }

  get partitioned(): boolean {
    return this.#partitioned
  }
  get connections(): number {
    return this.#connections.size
  }

  /** How a client on this machine connects. `acceptor` says who listens at the moment; null: nobody. */
  dialler(client: TestMachine, acceptor: () => Acceptor | null): Dial {
    return (endpoint, events) => {
      const listening = acceptor()
      if (listening === null) {
        this.time.soon(() => client.run(() => events.ended(`connection refused by ${endpoint}`)))
        return { send: () => {}, ping: () => {}, close: () => {}, terminate: () => {}, hold: () => {} }
      }
      const connection = new Connection(this, client, listening, events)
      this.#connections.add(connection)
      return connection.clientSide
    }
  }

  /** Nothing arrives any more, and nobody is told. */
  partition(): void {
    this.#partitioned = true
  }

  /** What was held up arrives. */
  heal(): void {
    this.#partitioned = false
    for (const connection of [...this.#connections, ...this.#ended]) connection.release()
    this.#ended.clear()
  }

  /** Every connection ends; what was on its way is lost. */
  cut(why = 'cut'): void {
    for (const connection of [...this.#connections]) connection.end(why)
  }

  forget(connection: Connection): void {
    this.#connections.delete(connection)
    if (this.#partitioned) this.#ended.add(connection)
  }
}
