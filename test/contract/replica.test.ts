/** The contract, held by a replica over a disk in RAM: batches, flushes and beats included. */
import { auditSeq, parseCommand } from '@leasehold/protocol'
import { REPLICA_LIMITS } from '@leasehold/server/replica'
import t from 'tap'
import { Inbox, World } from '../support/world.js'
import { leaseContract } from './leases.js'
import type { Connection, ContractWorld } from './world.js'

class ReplicaWorld implements ContractWorld {
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  async connect(clientName: string, sessionId: string): Promise<Connection> {
    const inbox = new Inbox()
    const sender = { principal: clientName, scope: `s:${sessionId}` }
    return {
      send: (op, fields, attempt) => {
        const asked = inbox.ask(this.#world.replica, parseCommand(op, fields, sender), attempt)
        // Who only joins a queue is answered a moment later.
        void this.#world.clock.run(REPLICA_LIMITS.patienceMs)
        return asked
      },
      lose: () => this.#world.replica.detach(inbox),
    }
  }

  async advance(ms: number): Promise<void> {
    // The last beat before the end may be 250 ms old.
    await this.#world.clock.run(ms + 300)
  }
  async lease(name: string) {
    return this.#world.replica.getLease(name)
  }
  async list(prefix: string) {
    return this.#world.replica.listLeases({ prefix, after: null, limit: 1_000 }).leases
  }
  async history(name: string) {
    return (await this.#world.replica.readEvents({ after: auditSeq(0), limit: 1_000, name })).events
  }
  close(): Promise<void> {
    return this.#world.close()
  }
}

t.test('a replica in memory keeps the contract of leases', async (t) => {
  await leaseContract(t, async () => {
    const world = await World.serving()
    await world.clock.run(1_500)
    return new ReplicaWorld(world)
  })
})
