/** The contract, held by one real server: its own process, LevelDB, and the session's frames over WebSocket. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type ChainedEvent,
  chainedFromFields,
  ERRORS,
  type HistoryFields,
  type LeaseView,
  type ListFields,
  OK,
  OP,
  type Reply,
} from '@leasehold/protocol'
import t from 'tap'
import { RawSession } from '../support/rawsession.js'
import { ServerProcess } from '../support/serverprocess.js'
import { leaseContract } from './leases.js'
import type { Connection, ContractWorld } from './world.js'

const ADVANCE_STEP_MS = 40

class ServerWorld implements ContractWorld {
  readonly #server: ServerProcess
  readonly #dataPath: string
  readonly #reader: RawSession
  readonly #sessions: RawSession[] = []

  private constructor(server: ServerProcess, dataPath: string, reader: RawSession) {
    this.#server = server
    this.#dataPath = dataPath
    this.#reader = reader
  }

  static async open(): Promise<ServerWorld> {
    const dataPath = await mkdtemp(join(tmpdir(), 'leasehold-contract-'))
    const server = await ServerProcess.start({ dataPath })
    const reader = await RawSession.connect(server.url, 'reader', 'f'.repeat(32))
    const world = new ServerWorld(server, dataPath, reader)
    // Something is timed all along, so that cluster time moves on whatever the claims do.
    await reader.send(OP.acquire, [1, 1, 0, 'pace', 'pace', 3_600_000, 0, 0, 0, null]).last
    await world.advance(1_300)
    return world
  }

  async connect(clientName: string, sessionId: string): Promise<Connection> {
    const session = await RawSession.connect(this.#server.url, clientName, sessionId)
    this.#sessions.push(session)
    return {
      send: (op, fields, attempt) => session.send(op, fields, attempt),
      lose: () => session.terminate(),
    }
  }

  /** Cluster time may lag a busy machine's clock: it is asked for, not assumed. */
  async advance(ms: number): Promise<void> {
    const endMs = (await this.#clusterMs()) + ms
    while ((await this.#clusterMs()) < endMs) await sleep(ADVANCE_STEP_MS)
  }
  async #clusterMs(): Promise<number> {
    return (await this.#read(OP.time, [])).fields[0] as number
  }

  async lease(name: string): Promise<LeaseView | null> {
    const reply = await this.#reader.send(OP.get, [name]).last
    if (reply.code === ERRORS.LEASE_NOT_FOUND.wire) return null
    if (reply.code !== OK) throw new Error(`get: ${JSON.stringify(reply)}`)
    return reply.fields[0] as LeaseView
  }
  async list(prefix: string): Promise<readonly LeaseView[]> {
    const [leases] = (await this.#read(OP.list, [prefix, null, 100])).fields as unknown as ListFields
    return leases
  }
  async history(name: string): Promise<readonly ChainedEvent[]> {
    const events: ChainedEvent[] = []
    for (let cursor: string | null = null; ; ) {
      const fields = (await this.#read(OP.history, [name, null, cursor, 100])).fields as unknown as HistoryFields
      events.push(...fields[0].map(chainedFromFields))
      cursor = fields[1]
      if (cursor === null) return events
    }
  }
  async #read(op: (typeof OP)[keyof typeof OP], fields: readonly unknown[]): Promise<Reply> {
    const reply = await this.#reader.send(op, fields).last
    if (reply.code !== OK) throw new Error(`operation ${op}: ${JSON.stringify(reply)}`)
    return reply
  }

  async close(): Promise<void> {
    for (const session of [...this.#sessions, this.#reader]) session.terminate()
    await this.#server.end('SIGTERM')
    await rm(this.#dataPath, { recursive: true, force: true })
  }
}

t.test('one real server keeps the contract of leases', async (t) => {
  await leaseContract(t, () => ServerWorld.open(), 32)
})
