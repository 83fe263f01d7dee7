/** One member of the in-memory cluster: the server's own machine, log, store, replica and sessions over a disk in RAM. */
import { createIntake, type Intake } from '@leasehold/server/intake'
import { Machine } from '@leasehold/server/machine'
import { silent } from '@leasehold/server/ports'
import { createQuotas, type QuotaDesk } from '@leasehold/server/quota'
import { createReplica, RaftLog, type Replica, type ReplicatedLog } from '@leasehold/server/replica'
import { createSessions, type Sessions, type Socket, type SocketHandle } from '@leasehold/server/session'
import { type MemoryDisk, openStore, type Store } from '@leasehold/server/storage'
import type { TestMachine } from './machine.js'
import type { Acceptor } from './network.js'
import type { SeededRandom } from './random.js'

export const MEMBER_ID = 'm1'

/** Puts faults into a member on purpose, for simulations that show that they would be noticed. */
export interface Tampering {
  readonly log?: (log: ReplicatedLog) => ReplicatedLog
  readonly replica?: (replica: Replica) => Replica
}

export class TestMember implements Acceptor {
  readonly machine: TestMachine
  readonly replica: Replica
  readonly #store: Store
  readonly #intake: Intake
  readonly #quotas: QuotaDesk
  readonly #sessions: Sessions

  private constructor(machine: TestMachine, store: Store, replica: Replica, random: SeededRandom) {
    this.machine = machine
    this.replica = replica
    this.#store = store
    const shared = { replica, clock: machine, telemetry: silent }
    this.#quotas = createQuotas({ ...shared, random })
    this.#intake = createIntake({ ...shared, random, quotas: this.#quotas })
    this.#sessions = createSessions({ ...shared, intake: this.#intake, info: { leaderUrl: null } })
  }

  /** Resolves once it serves. `fatal` hears what would end a real member's process. */
  static async start(
    disk: MemoryDisk,
    machine: TestMachine,
    random: SeededRandom,
    fatal: (error: Error) => void,
    tampering: Tampering = {},
  ): Promise<TestMember> {
    const state = new Machine()
    const store = await openStore(disk, { tables: state.tables, fatal, memberId: MEMBER_ID })
    const shared = { clock: machine, random, telemetry: silent, memberId: MEMBER_ID }
    const honest = new RaftLog({ store, transport: null, fatal, ...shared })
    const log = tampering.log?.(honest) ?? honest
    const whole = await createReplica({ log, store, machine: state, fatal, ...shared })
    const replica = tampering.replica?.(whole) ?? whole
    return new TestMember(machine, store, replica, random)
  }

  accept(socket: Socket): SocketHandle {
    return this.#sessions.accept(socket)
  }

  /** Ends as a shutdown does: what was accepted is finished and written down. */
  async close(): Promise<void> {
    this.#intake.drain()
    this.#sessions.close()
    this.#intake.close()
    await this.#quotas.close(this.machine.monotonicMs())
    await this.replica.close()
    await this.#store.close()
  }
}
