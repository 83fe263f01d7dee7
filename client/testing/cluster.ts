/**
 * A cluster in memory, for the tests of services that use Leasehold: the server's own code over a disk in RAM, connections
 * in memory, and clocks that the test moves. Needs @leasehold/server, an optional peer of this package.
 */
import { peerIdOf } from '@leasehold/protocol'
import { foundingEntry } from '@leasehold/server/machine'
import { formDirectory, MemoryDisk } from '@leasehold/server/storage'
import { type Client, createClient } from '../client.js'
import type { ClientOptions } from '../types.js'
import { type MachineOptions, TestMachine } from './machine.js'
import { MEMBER_ID, type Tampering, TestMember } from './member.js'
import { type NetworkOptions, TestNetwork } from './network.js'
import { SeededRandom } from './random.js'
import { TestTime } from './time.js'

export interface TestClusterOptions extends NetworkOptions {
  /** Decides whatever is random: the same seed, the same run. 1 by default. */
  readonly seed?: number
  /** The clocks of the member. */
  readonly member?: MachineOptions
  /** Faults that are planted in it. */
  readonly tampering?: Tampering
}

export interface TestClientOptions extends Omit<ClientOptions, 'endpoints'> {
  /** The machine that the client runs on; one of its own by default. */
  readonly machine?: TestMachine
}

const DIRECTORY_ID = 'd1'
const ENDPOINT = 'http://member.test:7420'
const UNTIL_MS = 3_600_000

export class TestCluster implements AsyncDisposable {
  readonly time = new TestTime()
  readonly network: TestNetwork
  readonly disk = new MemoryDisk()
  readonly random: SeededRandom
  readonly #memberOptions: MachineOptions
  readonly #tampering: Tampering
  readonly #clients: Client[] = []
  #member: TestMember | null = null
  #failure: Error | null = null

  private constructor(options: TestClusterOptions) {
    this.network = new TestNetwork(this.time, options)
    this.random = new SeededRandom(options.seed ?? 1)
    this.#memberOptions = options.member ?? {}
    this.#tampering = options.tampering ?? {}
  }

  /** See createTestCluster. */
  static async create(options: TestClusterOptions): Promise<TestCluster> {
    const cluster = new TestCluster(options)
    const voters = [peerIdOf(MEMBER_ID, DIRECTORY_ID)]
    const configuration = { voters, outgoing: [], learners: [], addresses: { [voters[0]!]: 'member.test:7421' } }
    const identity = { clusterId: 'c0ffee', memberId: MEMBER_ID, directoryId: DIRECTORY_ID }
    await formDirectory(cluster.disk, identity, foundingEntry(configuration))
    await cluster.start()
    return cluster
  }

  /** The member that serves; null while the cluster is stopped. */
  get member(): TestMember | null {
    return this.#member
  }

  /** A machine for clients: its clocks can be set, and it can sleep. */
  machine(options: MachineOptions = {}): TestMachine {
    return new TestMachine(this.time, options)
  }

  /** A client of this cluster. close() closes it, too. */
  client(options: TestClientOptions = {}): Client {
    const { machine = this.machine(), ...rest } = options
    const client = createClient(
      { endpoints: [ENDPOINT], name: 'test', ...rest },
      {
        clocks: machine.clocks(),
        dial: this.network.dialler(machine, () => this.#member),
        randomBytes: (count) => this.random.bytes(count),
      },
    )
    this.#clients.push(client)
    return client
  }

  /** Moves all clocks on, and runs what becomes due. Throws what would have ended the member's process. */
  async advance(ms: number): Promise<void> {
    await this.time.advance(ms)
    this.#check()
  }

  /** Moves the clocks on until the promise has settled, for an hour at most. */
  async until<T>(promise: Promise<T>, limitMs: number = UNTIL_MS): Promise<T> {
    const value = await this.time.until(promise, limitMs)
    this.#check()
    return value
  }

  /** Nothing passes between clients and the cluster any more, and nobody is told. */
  partition(): void {
    this.network.partition()
  }
  heal(): void {
    this.network.heal()
  }

  /** Power off: what was not synced is gone, connections break. */
  async stop(): Promise<void> {
    this.#member?.machine.kill()
    this.#member = null
    this.disk.crash()
    this.network.cut('the member is gone')
    await this.time.settle()
  }

  /** Starts it on the disk as it was left. */
  async start(): Promise<void> {
    const machine = new TestMachine(this.time, this.#memberOptions)
    const fatal = (error: Error) => {
      if (this.#member?.machine === machine) this.#failure = error
    }
    const started = TestMember.start(this.disk, machine, this.random, fatal, this.#tampering)
    this.#member = await this.time.until(started)
  }

  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  /** Closes the clients and the member. Safe to call twice. */
  async close(): Promise<void> {
    this.network.heal()
    for (const client of this.#clients.splice(0)) await this.time.until(client.close())
    const member = this.#member
    this.#member = null
    if (member !== null) await this.time.until(member.close())
    this.network.cut('the cluster is closed')
    await this.time.settle()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #check(): void {
    if (this.#failure === null) return
    const failure = this.#failure
    this.#failure = null
    throw failure
  }
}

/** Resolves once the cluster serves. Its clocks stand still until `advance` or `until` moves them. */
export function createTestCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  return TestCluster.create(options)
}
