/**
 * Scripted members of one cluster behind connections in memory: they share what was executed, and each can be told to be
 * away, silent, slow, draining, without a quorum, or of another cluster. What is executed twice is written down.
 */
import { type Client, type ClientOptions, createClient } from '@leasehold/client'
import { SeededRandom, TestMachine, TestNetwork, TestTime } from '@leasehold/client/testing'
import { chainedFields, ERRORS, type ErrorCode, OFFERED, OK, OP, QUEUED } from '@leasehold/protocol'
import type { Socket } from '@leasehold/server/session'
import { event } from '../support/event.js'
import { type Answer, error, FakeConnection, type Received, type Script } from './fake.js'

interface Waiting {
  readonly name: string
  at: Received
}

/** What the members agree on: leases, queues, records of requests, events. */
export class FakeState {
  readonly #tokens = new Map<string, number>()
  readonly #outcomes = new Map<unknown, Answer>()
  readonly waiting = new Map<unknown, Waiting>()
  readonly #events: string[] = []
  readonly #watches = new Set<{ request: Received; sent: number }>()
  readonly #time: TestTime
  #token = 0
  /** Sequence numbers in the order in which their requests took effect, each once if all is well. */
  readonly executed: unknown[] = []

  constructor(time: TestTime) {
    this.#time = time
  }

  execute(request: Received): Answer {
    const { op, fields } = request
    switch (op) {
      case OP.acquire:
        return this.#acquire(request)
      case OP.renew:
      case OP.release:
        return this.#byToken(request)
      case OP.watch:
        return this.#watch(request)
      case OP.time:
        return [OK, 1_000]
      case OP.get: {
        const token = this.#tokens.get(fields[0] as string)
        return token === undefined
          ? error('LEASE_NOT_FOUND')
          : [OK, [fields[0], 'h', token, 1_000, 500, 'held', 0, null]]
      }
      default:
        return [OK]
    }
  }

  /** Somebody else gives the name back. */
  free(name: string): void {
    this.#tokens.delete(name)
    for (const [seq, waiting] of this.waiting) {
      if (waiting.name !== name) continue
      this.waiting.delete(seq)
      const { connection, id, attempt } = waiting.at
      const answer = this.#grant(seq, name, OFFERED)
      connection.reply([id, attempt, answer[0], answer.slice(1)])
      return
    }
  }

  hold(name: string): void {
    this.#tokens.set(name, ++this.#token)
  }

  /** Something happened: every watch is told, in so far as its connection lives. */
  event(name: string): void {
    this.#events.push(name)
    for (const watch of this.#watches) this.#catchUp(watch)
  }

  #acquire(request: Received): Answer {
    const [seq, , , name, , ttlMs, waitMs] = request.fields as [
      unknown,
      unknown,
      unknown,
      string,
      string,
      number,
      number,
    ]
    const before = this.#outcomes.get(seq)
    if (before !== undefined) return before
    const waiting = this.waiting.get(seq)
    if (waiting !== undefined) waiting.at = request
    else if (this.#tokens.has(name) && waitMs > 0) this.waiting.set(seq, { name, at: request })
    else if (this.#tokens.has(name)) return error('LEASE_HELD', 'x', 500, null, false)
    else return this.#grant(seq, name, OK, ttlMs)
    return [QUEUED, 7]
  }

  #grant(seq: unknown, name: string, code: number, ttlMs = 10_000): Answer {
    const token = ++this.#token
    this.executed.push(seq)
    this.#tokens.set(name, token)
    const answer: Answer = code === OK ? [OK, token, ttlMs, ttlMs, false, 'h'] : [OFFERED, token, 3_000, ttlMs, false]
    this.#outcomes.set(seq, answer)
    return answer
  }

  #byToken({ op, fields }: Received): Answer {
    const [name, token] = fields as [string, number]
    const mine = this.#tokens.get(name) === token
    if (op === OP.renew) return mine ? [OK, token, 10_000, 10_000, false, 'h'] : error('LEASE_LOST', token, 'released')
    if (mine) this.#tokens.delete(name)
    return [OK, !mine]
  }

  #watch(request: Received): Answer {
    const cursor = request.fields[1] as string | null
    const from = cursor === null ? this.#events.length : Number(cursor.split('.')[1])
    const watch = { request, sent: from }
    this.#watches.add(watch)
    this.#time.soon(() => this.#catchUp(watch))
    return [OK, `c1.${from}`]
  }

  #catchUp(watch: { request: Received; sent: number }): void {
    if (watch.request.connection.gone) this.#watches.delete(watch)
    if (!this.#watches.has(watch)) return
    for (; watch.sent < this.#events.length; watch.sent++) {
      const seq = watch.sent + 1
      watch.request.connection.push([
        'event',
        watch.request.id,
        `c1.${seq}`,
        chainedFields(event(seq, this.#events[watch.sent]!)),
      ])
    }
  }
}

export class FakeMember implements Script {
  readonly url: string
  readonly time: TestTime
  readonly network: TestNetwork
  readonly received: Received[] = []
  readonly connections: FakeConnection[] = []
  readonly #state: FakeState
  frames = 0
  inFlightMax = 4_096
  clusterId = 'c1'
  clusterMs = 1_000
  leaderUrl: string | null = null
  /** Somebody listens there. */
  listening = true
  /** When it was dialled. */
  readonly dialsMs: number[] = []
  greet = (connection: FakeConnection): void => connection.welcome()
  answer: (request: Received) => Answer | null

  constructor(url: string, time: TestTime, state: FakeState) {
    this.url = url
    this.time = time
    this.network = new TestNetwork(time)
    this.#state = state
    this.answer = (request) => state.execute(request)
  }

  get dials(): number {
    return this.dialsMs.length
  }
  /** Connections that are open. */
  get open(): FakeConnection[] {
    return this.connections.filter((connection) => !connection.gone)
  }
  /** Requests of one kind that came here. */
  got(op: number): Received[] {
    return this.received.filter((request) => request.op === op)
  }

  accept(socket: Socket): FakeConnection {
    const connection = new FakeConnection(this, socket)
    this.connections.push(connection)
    return connection
  }

  /** Its process ends: connections break, and nobody listens. */
  kill(): void {
    this.listening = false
    this.network.cut('killed')
  }
  /** It neither answers nor goes away. */
  freeze(on = true): void {
    if (on) this.network.partition()
    else this.network.heal()
  }
  /** Executes what it gets, and its answers are lost. */
  mute(): void {
    this.answer = (request) => {
      this.#state.execute(request)
      return null
    }
  }
  refuse(code: ErrorCode): void {
    this.answer = () => error(code)
  }
  serve(): void {
    this.answer = (request) => this.#state.execute(request)
  }
  /** Tells its sessions that it is not the one to ask any more. */
  sendAway(code: ErrorCode, leaderUrl: string | null = null): void {
    for (const connection of this.open) connection.push(['away', ERRORS[code].wire, leaderUrl, 'said the fake'])
  }
}

export class FakeCluster {
  readonly time = new TestTime()
  readonly machine = new TestMachine(this.time)
  readonly state = new FakeState(this.time)
  readonly members: readonly FakeMember[]
  readonly warnings: string[] = []
  readonly #random: SeededRandom

  constructor(count = 3, seed = 7) {
    this.#random = new SeededRandom(seed)
    this.members = Array.from(
      { length: count },
      (_, i) => new FakeMember(`http://m${i + 1}.test`, this.time, this.state),
    )
  }

  client(options: Partial<ClientOptions> = {}): Client {
    const endpoints = this.members.map(({ url }) => url)
    return createClient(
      { endpoints, name: 'billing', ...options },
      {
        clocks: this.machine.clocks(),
        dial: (url, events) => {
          const member = this.members.find((one) => one.url === url)!
          member.dialsMs.push(this.time.nowMs)
          const acceptor = { machine: new TestMachine(this.time), accept: (socket: Socket) => member.accept(socket) }
          return member.network.dialler(this.machine, () => (member.listening ? acceptor : null))(url, events)
        },
        randomBytes: (bytes) => this.#random.bytes(bytes),
        warn: (detail) => this.warnings.push(detail),
      },
    )
  }

  /** The member that the only client talks to. */
  get used(): FakeMember {
    return this.members.find((member) => member.open.length > 0)!
  }
  /** The others. */
  get unused(): FakeMember[] {
    return this.members.filter((member) => member !== this.used)
  }
  get dials(): number {
    return this.members.reduce((sum, member) => sum + member.dials, 0)
  }
}
