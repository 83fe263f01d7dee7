/** Members of the real parts over disks in RAM, linked in memory, under one clock that the test moves. */
import { type ClientCommand, peerIdOf, type Reply } from '@leasehold/protocol'
import { foundingEntry, type Machine } from '@leasehold/server/machine'
import { type Clock, type Random, silent, type Telemetry } from '@leasehold/server/ports'
import type { Replica, ReplicaOptions } from '@leasehold/server/replica'
import { formDirectory, MemoryDisk, type Store } from '@leasehold/server/storage'
import { VirtualClock } from '../support/virtualclock.js'
import { Inbox } from '../support/world.js'
import { Network } from './network.js'
import { THIS, type Version } from './nextversion.js'

/** A clock as one process has it: once that is gone, nothing of it runs any more. */
class ProcessClock implements Clock {
  readonly #clock: VirtualClock
  dead = false
  /** The process stands still: what falls due meanwhile runs when it wakes. */
  asleep = false
  readonly #missed: (() => void)[] = []
  constructor(clock: VirtualClock) {
    this.#clock = clock
  }
  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }
  wallMs(): number {
    return this.#clock.wallMs()
  }
  after(delayMs: number, task: () => void): () => void {
    return this.#clock.after(delayMs, () => this.#run(task))
  }
  every(periodMs: number, task: () => void): () => void {
    return this.#clock.every(periodMs, () => {
      if (!this.asleep) this.#run(task)
    })
  }
  next(task: () => void): void {
    this.soon(task)
  }
  soon(task: () => void): void {
    this.#clock.soon(() => this.#run(task))
  }
  #run(task: () => void): void {
    if (this.dead) return
    if (this.asleep) this.#missed.push(task)
    else task()
  }
  wake(): void {
    this.asleep = false
    for (const task of this.#missed.splice(0)) this.#run(task)
  }
}

/** Plain pseudo-random numbers, so that a run can be had again. */
function seeded(seed: number): Random {
  let state = seed * 2_654_435_761
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let z = Math.imul(state ^ (state >>> 15), 1 | state)
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32
  }
  return { next, bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)) }
}

export class Member {
  readonly id: string
  readonly peer: string
  disk = new MemoryDisk()
  readonly #cluster: Cluster
  readonly inbox = new Inbox()
  clock!: ProcessClock
  replica!: Replica
  machine!: Machine
  store!: Store
  up = false
  starts = 0
  /** Its next start is of this one. */
  version: Version = THIS
  /** Of its process. */
  telemetry: Telemetry = silent

  constructor(cluster: Cluster, id: string) {
    this.#cluster = cluster
    this.id = id
    this.peer = peerIdOf(id, `d-${id}`)
  }

  /** Of a directory that joins: who introduced it. */
  introduced: Readonly<Record<string, string>> | null = null

  async start(options: Partial<ReplicaOptions> = {}): Promise<void> {
    const { clock: virtual, network, fatals } = this.#cluster
    const { Machine, Headroom, openStore, RaftLog, createReplica, formats } = this.version
    this.clock = new ProcessClock(virtual)
    const { clock, id: memberId } = this
    const fatal = (error: Error) => {
      if (clock.dead) return
      fatals.push(error)
    }
    const random = seeded(this.#cluster.seed * 1_000 + this.starts++ * 10 + Number(memberId.slice(1)))
    this.machine = new Machine()
    const { machine } = this
    const freshMachine = () => (this.machine = new Machine())
    this.store = await openStore(this.disk.mount(), { tables: machine.tables, fatal, memberId })
    const { store } = this
    const shared = { store, clock, random, telemetry: this.telemetry, fatal }
    const introduced = this.introduced
    const transport = network.transport(this.peer, formats)
    const log = new RaftLog({ ...shared, transport, ...(introduced !== null && { introduced }) })
    const headroom = new Headroom(() => store.freeBytes(), { lowBytes: 1_000_000, enoughBytes: 2_000_000 })
    const starting = createReplica({ ...shared, log, machine, memberId, headroom, freshMachine, ...options })
    let settled = false
    starting.finally(() => (settled = true)).catch(() => {})
    while (!settled) await virtual.settle()
    this.replica = await starting
    this.up = true
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.up = false
    this.clock.dead = true
    this.#cluster.network.remove(this.peer)
    this.disk.crash()
    await this.#cluster.clock.settle()
  }

  ask(command: ClientCommand, attempt = 1, deadlineMs?: number) {
    return this.inbox.ask(this.replica, command, attempt, deadlineMs)
  }

  /** The answer, as soon as it is there; the cluster lives on meanwhile. */
  async call(command: ClientCommand): Promise<Reply> {
    const { last } = this.ask(command)
    return this.#cluster.until(last)
  }
}

export class Cluster {
  readonly clock = new VirtualClock()
  readonly network = new Network(this.clock)
  readonly fatals: Error[] = []
  readonly members: Member[] = []
  readonly seed: number

  constructor(seed: number) {
    this.seed = seed
  }

  /** Formed, started, led, and every member admitted. */
  static async of(
    count: number,
    seed = 1,
    options: Partial<ReplicaOptions> = {},
    version: Version = THIS,
  ): Promise<Cluster> {
    const cluster = new Cluster(seed)
    for (let n = 1; n <= count; n++) cluster.members.push(new Member(cluster, `n${n}`))
    for (const member of cluster.members) member.version = version
    const voters = cluster.members.map(({ peer }) => peer).sort()
    const addresses = Object.fromEntries(voters.map((peer) => [peer, `${peer}:1`]))
    for (const { id, disk } of cluster.members) {
      const identity = { clusterId: 'cluster', memberId: id, directoryId: `d-${id}` }
      await formDirectory(disk, identity, foundingEntry({ voters, outgoing: [], learners: [], addresses }))
    }
    for (const member of cluster.members) await member.start(options)
    await cluster.settled()
    return cluster
  }

  /** A new member that the configuration names already: an empty directory, and those who introduced it. */
  async join(id: string, options: Partial<ReplicaOptions> = {}): Promise<Member> {
    const member = new Member(this, id)
    this.members.push(member)
    member.introduced = this.leader.replica.configuration?.addresses ?? {}
    await formDirectory(member.disk, { clusterId: 'cluster', memberId: id, directoryId: `d-${id}` }, null)
    await member.start(options)
    return member
  }

  get living(): readonly Member[] {
    return this.members.filter(({ up }) => up)
  }

  /** Whoever says that it leads, in the newest term. */
  get leader(): Member {
    const leaders = this.living.filter(({ replica }) => replica.status.role === 'leader')
    const newest = leaders.sort((a, b) => b.replica.status.term - a.replica.status.term)[0]
    if (newest === undefined) throw new Error('nobody leads')
    return newest
  }

  get followers(): readonly Member[] {
    const { leader } = this
    return this.living.filter((member) => member !== leader)
  }

  /** Runs until all living members serve. */
  async settled(msMax = 10_000): Promise<void> {
    for (let ms = 0; ms < msMax; ms += 20) {
      await this.run(20)
      if (this.living.every(({ replica }) => replica.ready)) return
    }
    throw new Error(`not all of ${this.living.map(({ id }) => id)} serve`)
  }

  async until<T>(promise: Promise<T>, msMax = 20_000): Promise<T> {
    let done = false
    promise.finally(() => (done = true)).catch(() => {})
    await this.clock.settle()
    for (let ms = 0; !done; ms += 5) {
      if (ms > msMax) throw new Error(`no answer within ${msMax} ms`)
      await this.run(5)
    }
    return promise
  }

  async run(ms: number): Promise<void> {
    await this.clock.run(ms)
    const [error] = this.fatals
    if (error !== undefined) throw error
  }

  async close(): Promise<void> {
    for (const member of this.living) {
      member.up = false
      await this.until(member.replica.close())
    }
  }
}
