/** A whole member in memory: the real machine, log, store and replica over a disk in RAM, served on port 0 when asked to. */
import { createHttp, type HttpLimits, type HttpOptions } from '@leasehold/server/http'
import { Machine, type MachineLimits } from '@leasehold/server/machine'
import type { Clock, Telemetry } from '@leasehold/server/ports'
import { createReplica, RaftLog, type Replica } from '@leasehold/server/replica'
import { formDirectory, MemoryDisk, openStore } from '@leasehold/server/storage'
import { Remembered, realClock, realRandom } from './real.js'

export interface ReplicaSetup {
  readonly clock?: Clock
  readonly telemetry?: Telemetry
  readonly disk?: MemoryDisk
  readonly machine?: Partial<MachineLimits>
}

/** Forms the disk where it is empty, and resolves once the replica serves. */
export async function memoryReplica(setup: ReplicaSetup = {}): Promise<Replica> {
  const { clock = realClock, telemetry = new Remembered() } = setup
  const disk = setup.disk ?? new MemoryDisk()
  const memberId = 'm1'
  const fatal = (error: Error): void => {
    throw error
  }
  if (setup.disk === undefined) await formDirectory(disk, { clusterId: 'c0ffee', memberId, directoryId: 'd1' })
  const machine = new Machine(setup.machine)
  const store = await openStore(disk, { tables: machine.tables, fatal, memberId })
  const random = realRandom
  const log = new RaftLog({ store, transport: null, clock, random, telemetry, fatal })
  return createReplica({ log, store, machine, clock, random, telemetry, memberId, fatal })
}

export interface Served {
  readonly app: Awaited<ReturnType<typeof createHttp>>
  readonly replica: Replica
  readonly telemetry: Remembered
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

/** Listens on a free port of 127.0.0.1. The replica is a whole one in memory unless it is given. */
export async function serve(
  setup: { replica?: Replica; limits?: Partial<HttpLimits>; quotas?: HttpOptions['quotas'] } = {},
): Promise<Served> {
  const telemetry = new Remembered()
  const replica = setup.replica ?? (await memoryReplica({ telemetry }))
  const app = await createHttp({
    replica,
    clock: realClock,
    random: realRandom,
    telemetry,
    info: { version: '0.0.0' },
    limits: { drainMs: 500, graceMs: 100, ...setup.limits },
    ...(setup.quotas !== undefined && { quotas: setup.quotas }),
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return {
    app,
    replica,
    telemetry,
    url,
    port: Number(new URL(url).port),
    async close() {
      await app.close()
      await replica.close()
    },
  }
}
