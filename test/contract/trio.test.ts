/** The contract, held by three whole members in one world: every client is at another member, and at the next one when it comes back. */
import { auditSeq, type LeaseView, parseCommand } from '@leasehold/protocol'
import t from 'tap'
import { Trio } from '../support/trio.js'
import { Inbox } from '../support/world.js'
import { leaseContract } from './leases.js'
import type { Connection, ContractWorld } from './world.js'

/** More than a request takes through two members and back. */
const STEP_MS = 25

class TrioWorld implements ContractWorld {
  readonly #trio: Trio
  #turn = 0
  /** Time is moved by one at a time. */
  #moving: Promise<void> = Promise.resolve()

  private constructor(trio: Trio) {
    this.#trio = trio
  }

  static async open(): Promise<TrioWorld> {
    const trio = await Trio.serving()
    trio.links.settings.delayMs = { usual: 0.5, most: 2 }
    await trio.advance(1_500)
    return new TrioWorld(trio)
  }

  async connect(clientName: string, sessionId: string): Promise<Connection> {
    const inbox = new Inbox()
    const { replica } = this.#next()
    const sender = { principal: clientName, scope: `s:${sessionId}` }
    return {
      send: (op, fields, attempt) => {
        const asked = inbox.ask(replica, parseCommand(op, fields, sender), attempt)
        void this.#move(STEP_MS)
        return asked
      },
      lose: () => replica.detach(inbox),
    }
  }

  async advance(ms: number): Promise<void> {
    // The last beat before the end may be 250 ms old.
    await this.#move(ms + 300)
  }
  async lease(name: string): Promise<LeaseView | null> {
    return (await this.#reading()).getLease(name)
  }
  async list(prefix: string) {
    return (await this.#reading()).listLeases({ prefix, after: null, limit: 1_000 }).leases
  }
  async history(name: string) {
    return (await (await this.#reading()).readEvents({ after: auditSeq(0), limit: 1_000, name })).events
  }
  close(): Promise<void> {
    return this.#trio.close()
  }

  /** Any member, once it has caught up with what was acknowledged. */
  async #reading() {
    const { replica } = this.#next()
    const caughtUp = replica.readBarrier()
    await this.#move(STEP_MS)
    await caughtUp
    return replica
  }

  #next() {
    return this.#trio.members[this.#turn++ % this.#trio.members.length]!
  }

  #move(ms: number): Promise<void> {
    this.#moving = this.#moving.then(() => this.#trio.advance(ms))
    return this.#moving
  }
}

t.test('three members in memory keep the contract of leases', async (t) => {
  await leaseContract(t, () => TrioWorld.open())
})
