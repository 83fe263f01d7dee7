/**
 * Three whole members in one world: the server's own machine, log, store, replica and sessions, each over a disk in RAM and with
 * a clock of its own, linked by a virtual network, and clients of the library that reach them over connections in memory.
 * Time is the test's: the same seed gives the same run.
 */
import { type Client, type ClientOptions, createClient } from '@leasehold/client'
import { type Acceptor, SeededRandom, TestMachine, TestNetwork, TestTime } from '@leasehold/client/testing'
import { peerIdOf } from '@leasehold/protocol'
import { createIntake, type Intake } from '@leasehold/server/intake'
import { type Entry, foundingEntry, Machine } from '@leasehold/server/machine'
import { silent } from '@leasehold/server/ports'
import { createReplica, RaftLog, type Replica } from '@leasehold/server/replica'
import { createSessions, type Sessions, type Socket, type SocketHandle } from '@leasehold/server/session'
import { formDirectory, MemoryDisk, openStore, type Store } from '@leasehold/server/storage'
import { VirtualNetwork } from './virtualnetwork.js'

const NAMES = ['n1', 'n2', 'n3'] as const
const directoryOf = (name: string): string => `d-${name}`
const peerOf = (name: string) => peerIdOf(name, directoryOf(name))

function founding(): Entry {
  const addresses = Object.fromEntries(NAMES.map((name) => [peerOf(name), `${name}:1`]))
  return foundingEntry({ voters: NAMES.map(peerOf), outgoing: [], learners: [], addresses })
}

/** One process of a member. */
class Running implements Acceptor {
  readonly machine: TestMachine
  readonly state: Machine
  readonly store: Store
  readonly replica: Replica
  readonly intake: Intake
  readonly sessions: Sessions

  constructor(machine: TestMachine, state: Machine, store: Store, replica: Replica, random: SeededRandom) {
    this.machine = machine
    this.state = state
    this.store = store
    this.replica = replica
    const shared = { replica, clock: machine, telemetry: silent }
    this.intake = createIntake({ ...shared, random })
    const info = {
      get leaderUrl() {
        return replica.members.find(({ id }) => id === replica.status.leader)?.url ?? null
      },
    }
    this.sessions = createSessions({ ...shared, intake: this.intake, info })
  }

  accept(socket: Socket): SocketHandle {
    return this.sessions.accept(socket)
  }
}

export class TrioMember {
  readonly name: string
  readonly url: string
  readonly disk = new MemoryDisk()
  /** Between it and clients. */
  readonly network: TestNetwork
  readonly #trio: Trio
  running: Running | null = null

  constructor(name: string, trio: Trio) {
    this.name = name
    this.url = `http://${name}.test`
    this.#trio = trio
    this.network = new TestNetwork(trio.time)
  }

  get replica(): Replica {
    return this.running!.replica
  }

  async form(): Promise<void> {
    await formDirectory(
      this.disk,
      { clusterId: 'trio', memberId: this.name, directoryId: directoryOf(this.name) },
      founding(),
    )
  }

  async start(): Promise<void> {
    const { time, random, links } = this.#trio
    const clock = new TestMachine(time)
    const fatal = (error: Error) => {
      if (this.running?.machine === clock) this.#trio.fatals.push(error)
    }
    const state = new Machine()
    const shared = { clock, random, telemetry: silent, fatal }
    const store = await openStore(this.disk.mount(), { tables: state.tables, fatal, memberId: this.name })
    const log = new RaftLog({ ...shared, store, transport: links.transport(peerOf(this.name)) })
    const url = this.url
    const replica = await createReplica({ ...shared, log, store, machine: state, memberId: this.name, url })
    this.running = new Running(clock, state, store, replica, random)
  }

  /** kill -9: what was not synced is gone, connections and links break. */
  async kill(): Promise<void> {
    this.running!.machine.kill()
    this.running = null
    this.disk.crash()
    this.#trio.links.crash(this.name)
    this.network.cut('killed')
    await this.#trio.time.settle()
  }

  /** SIGSTOP for so long: nothing of it runs, nobody is told. */
  pause(ms: number): void {
    const { links, time } = this.#trio
    this.running!.machine.sleep(ms)
    links.freeze(this.name)
    this.network.partition()
    time.after(ms, () => {
      links.thaw(this.name)
      this.network.heal()
    })
  }

  /** No member hears it, nor it them; its clients do. */
  isolate(): void {
    this.#trio.links.isolate(this.name, NAMES)
  }

  /** SIGTERM: says goodbye, finishes what it took, and ends. */
  async stop(): Promise<void> {
    const { running } = this
    if (running === null) return
    running.intake.drain()
    running.sessions.drain()
    await this.#trio.until(this.#answered(running))
    running.sessions.close()
    running.intake.close()
    await this.#trio.until(running.replica.close())
    this.running = null
    this.network.cut('stopped')
  }

  async #answered({ intake, machine }: Running): Promise<void> {
    for (let tries = 0; intake.inFlight > 0 && tries < 100; tries++)
      await new Promise<void>((resolve) => void machine.after(5, resolve))
  }
}

export class Trio {
  readonly time = new TestTime()
  readonly random: SeededRandom
  readonly links: VirtualNetwork
  readonly members: readonly TrioMember[]
  readonly fatals: Error[] = []
  readonly #clients: Client[] = []

  private constructor(seed: number) {
    const { time } = this
    this.random = new SeededRandom(seed)
    const clock = {
      monotonicMs: () => time.nowMs,
      after: (delayMs: number, task: () => void) => time.after(delayMs, task),
    }
    this.links = new VirtualNetwork({ clock, random: () => this.random.next() })
    this.members = NAMES.map((name) => new TrioMember(name, this))
  }

  /** Resolves once all three serve. */
  static async serving(seed = 1): Promise<Trio> {
    const trio = new Trio(seed)
    for (const member of trio.members) await member.form()
    await trio.until(Promise.all(trio.members.map((member) => member.start())))
    while (!trio.members.every(({ replica }) => replica.ready)) await trio.advance(10)
    return trio
  }

  get leader(): TrioMember {
    const led = this.members.find(({ running, name }) => running?.replica.status.leader === name)
    if (led === undefined) throw new Error('nobody leads')
    return led
  }
  get followers(): TrioMember[] {
    const { leader } = this
    return this.members.filter((member) => member !== leader)
  }
  /** The member that this connection count says a client is at: of one client in all. */
  get used(): TrioMember {
    return this.members.find(({ network }) => network.connections > 0)!
  }

  /** Of all members, or those named first; a client begins anywhere. */
  client(options: Partial<ClientOptions> = {}, at: readonly TrioMember[] = this.members): Client {
    const machine = new TestMachine(this.time)
    const client = createClient(
      { endpoints: at.map(({ url }) => url), name: 'test', ...options },
      {
        clocks: machine.clocks(),
        dial: (url, events) => {
          const member = this.members.find((one) => one.url === url)!
          return member.network.dialler(machine, () => member.running)(url, events)
        },
        randomBytes: (count) => this.random.bytes(count),
      },
    )
    this.#clients.push(client)
    return client
  }

  /** A client whose session is at this member now. */
  async clientAt(member: TrioMember, options: Partial<ClientOptions> = {}): Promise<Client> {
    for (;;) {
      const before = member.network.connections
      const client = this.client(options)
      await this.until(client.ready())
      if (member.network.connections > before) return client
      await this.until(client.close())
    }
  }

  async advance(ms: number): Promise<void> {
    await this.time.advance(ms)
    this.#check()
  }

  async until<T>(promise: Promise<T>, limitMs = 600_000): Promise<T> {
    const value = await this.time.until(promise, limitMs)
    this.#check()
    return value
  }

  async close(): Promise<void> {
    this.links.heal()
    for (const client of this.#clients.splice(0)) await this.time.until(client.close())
    for (const member of this.members) await member.stop()
    await this.time.settle()
  }

  #check(): void {
    const [fatal] = this.fatals
    if (fatal !== undefined) throw fatal
  }
}
