/** A scripted member behind connections in memory: speaks the frames, answers what the test tells it to, keeps what it got. */

import { type Client, type ClientOptions, createClient } from '@leasehold/client'
import { SeededRandom, TestMachine, TestNetwork, TestTime } from '@leasehold/client/testing'
import {
  decodeHello,
  ERRORS,
  type ErrorCode,
  encodePushes,
  encodeRefused,
  encodeReplies,
  encodeWelcome,
  FRAME_KIND,
  type Hello,
  OK,
  OP,
  openFrame,
  type Push,
  RequestReader,
  type WireReply,
} from '@leasehold/protocol'
import type { Socket, SocketHandle } from '@leasehold/server/session'

export interface Received {
  readonly op: number
  readonly attempt: number
  readonly id: number
  readonly remainingMs: number
  readonly fields: readonly unknown[]
  /** Which frame it came in, of all. */
  readonly frame: number
  readonly connection: FakeConnection
  readonly atMs: number
}

export type Answer = readonly [code: number, ...fields: unknown[]]

export const error = (code: ErrorCode, ...fields: unknown[]): Answer => [
  ERRORS[code].wire,
  ...(fields.length > 0 ? fields : ['said the fake', 0]),
]

/** What a member does with what it gets. */
export interface Script {
  readonly time: TestTime
  readonly received: Received[]
  frames: number
  readonly inFlightMax: number
  readonly clusterId: string
  readonly clusterMs: number
  readonly leaderUrl: string | null
  readonly greet: (connection: FakeConnection) => void
  readonly answer: (request: Received) => Answer | null
}

export class FakeConnection implements SocketHandle {
  readonly #world: Script
  readonly #socket: Socket
  readonly #reader = new RequestReader()
  hello: Hello | null = null
  gone = false

  constructor(world: Script, socket: Socket) {
    this.#world = world
    this.#socket = socket
  }

  message(data: Uint8Array | string): void {
    const bytes = data as Uint8Array
    if (openFrame(bytes).kind === FRAME_KIND.hello) {
      this.hello = decodeHello(bytes)
      this.#world.greet(this)
    } else this.#requests(bytes)
  }
  drained(): void {}
  closed(): void {
    this.gone = true
  }

  welcome(): void {
    const limits = { frameBytesMax: 1_048_576, frameRequestsMax: 1_024, inFlightMax: this.#world.inFlightMax }
    const { clusterId, clusterMs, leaderUrl } = this.#world
    this.#socket.send(encodeWelcome({ clusterId, memberId: 'm1', term: 1, leaderUrl, clusterMs, limits }))
  }
  refuse(code: ErrorCode): void {
    this.#socket.send(encodeRefused(ERRORS[code].wire, 'go away'))
    this.#socket.close(1008, code)
  }
  reply(...replies: WireReply[]): void {
    if (!this.gone) this.#socket.send(encodeReplies(replies))
  }
  push(...pushes: Push[]): void {
    this.#socket.send(encodePushes(pushes))
  }
  send(bytes: Uint8Array): void {
    this.#socket.send(bytes)
  }
  close(): void {
    this.#socket.close(1001, 'going away')
  }

  #requests(bytes: Uint8Array): void {
    const frame = ++this.#world.frames
    const replies: WireReply[] = []
    this.#reader.open(bytes)
    while (this.#reader.next()) {
      const { op, attempt, id, remainingMs } = this.#reader
      const fields = this.#reader.fields()
      const request = { op, attempt, id, remainingMs, fields, frame, connection: this, atMs: this.#world.time.nowMs }
      this.#world.received.push(request)
      const answer = this.#world.answer(request)
      if (answer !== null) replies.push([id, attempt, answer[0], answer.slice(1)])
    }
    if (replies.length > 0) this.reply(...replies)
  }
}

export class FakeWorld implements Script {
  readonly time = new TestTime()
  readonly network = new TestNetwork(this.time)
  readonly machine = new TestMachine(this.time)
  readonly received: Received[] = []
  readonly connections: FakeConnection[] = []
  frames = 0
  inFlightMax = 4_096
  clusterId = 'c1'
  leaderUrl: string | null = null
  clusterMs = 1_000
  /** Connections that were tried. */
  dials = 0
  /** Whether somebody listens. */
  listening = true
  /** What happens to a greeting. */
  greet: (connection: FakeConnection) => void = (connection) => connection.welcome()
  /** The answer to a request; null: none. */
  answer: (request: Received) => Answer | null = (request) => this.obliging(request)
  readonly #ttls = new Map<number, number>()
  #token = 0
  readonly #random = new SeededRandom(7)

  client(options: Partial<ClientOptions> = {}, machine = this.machine): Client {
    const acceptor = {
      machine: new TestMachine(this.time),
      accept: (socket: Socket) => {
        const connection = new FakeConnection(this, socket)
        this.connections.push(connection)
        return connection
      },
    }
    return createClient(
      { endpoints: ['http://fake.test'], name: 'billing', ...options },
      {
        clocks: machine.clocks(),
        dial: this.network.dialler(machine, () => {
          this.dials++
          return this.listening ? acceptor : null
        }),
        randomBytes: (count) => this.#random.bytes(count),
      },
    )
  }

  /** Nothing passes, and nobody is told. */
  partition(on: boolean): void {
    if (on) this.network.partition()
    else this.network.heal()
  }

  /** Requests of one kind so far. */
  got(op: number): Received[] {
    return this.received.filter((request) => request.op === op)
  }

  /** Grants whatever is asked for. */
  obliging({ op, fields }: Received): Answer | null {
    switch (op) {
      case OP.acquire: {
        const ttlMs = fields[5] as number
        this.#ttls.set(++this.#token, ttlMs)
        return [OK, this.#token, ttlMs, ttlMs, false, fields[4]]
      }
      case OP.renew: {
        const ttlMs = this.#ttls.get(fields[1] as number) ?? 10_000
        return [OK, fields[1], ttlMs, ttlMs, false, 'holder']
      }
      case OP.release:
      case OP.transfer:
        return [OK, false]
      case OP.time:
        return [OK, this.clusterMs]
      case OP.watch:
        return [OK, `${this.clusterId}.0`]
      case OP.get:
        return error('LEASE_NOT_FOUND')
      case OP.list:
        return [OK, [], null]
      default:
        return [OK]
    }
  }
}
