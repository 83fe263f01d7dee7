/** A replica of the real parts over a disk in RAM, under a clock that the test moves: started, crashed and started again. */
import type { ClientCommand, Reply } from '@leasehold/protocol'
import { QUEUED } from '@leasehold/protocol'
import { Machine } from '@leasehold/server/machine'
import { silent, type Telemetry } from '@leasehold/server/ports'
import { createReplica, RaftLog, type Recipient, type Replica, type ReplicaOptions } from '@leasehold/server/replica'
import { formDirectory, MemoryDisk, openStore, type Store } from '@leasehold/server/storage'
import { realRandom } from './real.js'
import { VirtualClock } from './virtualclock.js'

const NEVER = Number.POSITIVE_INFINITY

/** A recipient that hands each answer to whoever asked. */
export class Inbox implements Recipient {
  readonly replies: { readonly id: number; readonly attempt: number; readonly reply: Reply }[] = []
  flushes = 0
  #nextId = 1
  readonly #first = new Map<number, (reply: Reply) => void>()
  readonly #last = new Map<number, (reply: Reply) => void>()

  reply(id: number, attempt: number, code: number, fields: readonly unknown[]): void {
    const reply = { code, fields }
    this.replies.push({ id, attempt, reply })
    this.#first.get(id)?.(reply)
    if (code !== QUEUED) this.#last.get(id)?.(reply)
  }
  flush(): void {
    this.flushes++
  }

  ask(replica: Replica, command: ClientCommand, attempt = 1, deadlineMs = NEVER) {
    const id = this.#nextId++
    const first = new Promise<Reply>((resolve) => this.#first.set(id, resolve))
    const last = new Promise<Reply>((resolve) => this.#last.set(id, resolve))
    replica.submit(command, this, id, attempt, deadlineMs)
    return { id, first, last }
  }
}

export interface WorldOptions extends Partial<Omit<ReplicaOptions, 'log' | 'store' | 'machine' | 'clock' | 'random'>> {
  readonly telemetry?: Telemetry
}

/** One member: its disk and clock outlive its runs. */
export class World {
  readonly disk = new MemoryDisk()
  readonly clock = new VirtualClock()
  readonly fatals: Error[] = []
  replica!: Replica
  machine!: Machine
  store!: Store
  readonly #options: WorldOptions

  constructor(options: WorldOptions = {}) {
    this.#options = options
  }

  static async serving(options: WorldOptions = {}): Promise<World> {
    const world = new World(options)
    await formDirectory(world.disk, { clusterId: 'cluster', memberId: 'n1', directoryId: 'd1' })
    await world.start()
    return world
  }

  /** Starts a process over the disk as it is. */
  async start(): Promise<void> {
    const { clock, disk } = this
    const telemetry = this.#options.telemetry ?? silent
    const fatal = (error: Error) => void this.fatals.push(error)
    this.machine = new Machine()
    this.store = await openStore(disk, { tables: this.machine.tables, fatal, memberId: 'n1' })
    const random = realRandom
    const log = new RaftLog({ store: this.store, transport: null, clock, random, telemetry, fatal })
    const parts = { log, store: this.store, machine: this.machine, clock, random }
    const starting = createReplica({ memberId: 'n1', fatal, ...this.#options, telemetry, ...parts })
    let started = false
    starting.then(
      () => (started = true),
      () => (started = true),
    )
    while (!started) await clock.settle()
    this.replica = await starting
  }

  /** The process ends at once; the disk keeps what was synced. */
  async crash(): Promise<void> {
    this.disk.crash()
    this.clock.stopAll()
    await this.clock.settle()
  }

  async restart(): Promise<void> {
    await this.crash()
    await this.start()
  }

  async close(): Promise<void> {
    const closing = this.replica.close()
    await this.clock.settle()
    await closing
  }
}
