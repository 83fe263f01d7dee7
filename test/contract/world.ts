/**
 * What the contract suite needs of whatever it is run against: the machine alone, a replica in memory, a real server.
 * Requests are the wire's own, so that every adapter takes the same way through the protocol's checks.
 */
import { type LeaseView, LIMITS, OP, type Op, QUEUED, type Reply } from '@leasehold/protocol'

/** An event of the history, as far as claims look at it. */
export interface Told {
  readonly seq: number
  readonly type: string
  readonly name: string
  readonly holder: string
  readonly token: number
  readonly reason: string | null
  readonly cause: string
  readonly principal: string
  readonly renewals: number
  readonly vacant: boolean
}

/** One request. `first` may be QUEUED; `last` never is. */
export interface Asked {
  readonly first: Promise<Reply>
  readonly last: Promise<Reply>
}

export interface Connection {
  send(op: Op, fields: readonly unknown[], attempt: number): Asked
  /** The connection breaks: nothing is sent to it any more. */
  lose(): void
}

export interface ContractWorld {
  /** A connection of this session; the same session may connect again. `sessionId` is 32 hex digits. */
  connect(clientName: string, sessionId: string): Promise<Connection>
  /** Cluster time moves on by at least this, and what is due has happened. */
  advance(ms: number): Promise<void>
  lease(name: string): Promise<LeaseView | null>
  list(prefix: string): Promise<readonly LeaseView[]>
  history(name: string): Promise<readonly Told[]>
  close(): Promise<void>
}

export interface AcquireOptions {
  readonly holder?: string
  readonly ttlMs?: number
  readonly waitMs?: number
  readonly priority?: number
  readonly lockDelayMs?: number
  readonly meta?: string | null
  /** Repeats an earlier request under its number. */
  readonly seq?: number
  readonly attempt?: number
  readonly lowest?: number
}

let sessions = 0

/** A client as the claims speak of it: numbers its requests, reconnects under the same session. */
export class Client {
  readonly name: string
  readonly #world: ContractWorld
  readonly #sessionId = (++sessions).toString(16).padStart(32, '0')
  #connection: Connection
  seq = 0

  private constructor(world: ContractWorld, name: string, connection: Connection) {
    this.#world = world
    this.name = name
    this.#connection = connection
  }

  static async of(world: ContractWorld, name: string): Promise<Client> {
    const client = new Client(world, name, { send: () => never, lose: () => {} })
    await client.reconnect()
    return client
  }

  async reconnect(): Promise<void> {
    this.#connection = await this.#world.connect(this.name, this.#sessionId)
  }
  lose(): void {
    this.#connection.lose()
  }

  /** Asks without waiting for the end of a wait. */
  ask(name: string, o: AcquireOptions = {}): Asked {
    const seq = o.seq ?? ++this.seq
    const holder = o.holder ?? this.name
    const lowest = o.lowest ?? 1
    const ttlMs = o.ttlMs ?? LIMITS.ttlMsDefault
    return this.#connection.send(
      OP.acquire,
      [seq, lowest, 0, name, holder, ttlMs, o.waitMs ?? 0, o.priority ?? 0, o.lockDelayMs ?? 0, o.meta ?? null],
      o.attempt ?? 1,
    )
  }
  acquire(name: string, options: AcquireOptions = {}): Promise<Reply> {
    return this.ask(name, options).last
  }
  /** Joins the queue, and is in it once this resolves. `last` stands for the answer that follows. */
  async queue(name: string, options: AcquireOptions = {}): Promise<{ waiter: number; last: Promise<Reply> }> {
    const { first, last } = this.ask(name, { waitMs: 60_000, ...options })
    const reply = await first
    if (reply.code !== QUEUED) throw new Error(`not queued: ${JSON.stringify(reply)}`)
    return { waiter: reply.fields[0] as number, last }
  }
  renew(name: string, token: number): Promise<Reply> {
    return this.#connection.send(OP.renew, [name, token], 1).last
  }
  release(name: string, token: number): Promise<Reply> {
    return this.#connection.send(OP.release, [name, token], 1).last
  }
  transfer(name: string, token: number, to: string): Promise<Reply> {
    return this.#connection.send(OP.transfer, [name, token, to], 1).last
  }
  revoke(name: string, seq = ++this.seq): Promise<Reply> {
    return this.#connection.send(OP.revoke, [seq, 1, 0, name], 1).last
  }
  cancelWait(seq: number): Promise<Reply> {
    return this.#connection.send(OP.cancelWait, [seq], 1).last
  }
}

const never: Asked = { first: new Promise(() => {}), last: new Promise(() => {}) }
