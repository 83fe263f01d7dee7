/** The contract, held by the machine alone: entries are made here, one for each request. */
import {
  type AuditEvent,
  type Command,
  clusterMs,
  INTERNAL_OP,
  logIndex,
  OP,
  parseCommand,
  QUEUED,
  type Reply,
  run,
  term,
  type WaiterId,
  wallMs,
} from '@leasehold/protocol'
import { Machine } from '@leasehold/server/machine'
import t from 'tap'
import { leaseContract } from './leases.js'
import type { Asked, Connection, ContractWorld } from './world.js'

class MachineWorld implements ContractWorld {
  readonly #machine = new Machine()
  readonly #events: AuditEvent[] = []
  readonly #waiting = new Map<WaiterId, (reply: Reply) => void>()
  #index = 0
  #timeMs = 0

  constructor() {
    this.#machine.loaded()
    this.#apply({ op: INTERNAL_OP.admitRun, member: 'm', nonce: '1', url: '', peerUrl: '', formatMax: 1 })
  }

  #apply(command: Command): Reply {
    const entry = {
      term: term(1),
      index: logIndex(++this.#index),
      timeMs: clusterMs(this.#timeMs),
      wallMs: wallMs(0),
      member: 'm',
      run: run(0),
      batch: 0,
      commands: [command],
    }
    const { replies, settled, events, moreDue } = this.#machine.apply(entry)
    this.#events.push(...events)
    for (const { waiter, reply } of settled) this.#waiting.get(waiter)?.(reply)
    if (moreDue) this.#apply({ op: INTERNAL_OP.sweep })
    return replies[0]!
  }

  async connect(clientName: string, sessionId: string): Promise<Connection> {
    const own = new Set<WaiterId>()
    const sender = { principal: clientName, scope: `s:${sessionId}` }
    return {
      send: (op, fields): Asked => {
        const reply = this.#apply(parseCommand(op, fields, sender))
        if (op !== OP.acquire || reply.code !== QUEUED) {
          const answered = Promise.resolve(reply)
          return { first: answered, last: answered }
        }
        const waiter = reply.fields[0] as WaiterId
        own.add(waiter)
        const last = new Promise<Reply>((resolve) => this.#waiting.set(waiter, resolve))
        return { first: Promise.resolve(reply), last }
      },
      lose: () => {
        for (const waiter of own) this.#apply({ op: INTERNAL_OP.waiterLost, waiter })
        own.clear()
      },
    }
  }

  async advance(ms: number): Promise<void> {
    const endMs = this.#timeMs + ms
    while (this.#timeMs < endMs) {
      this.#timeMs = Math.min(endMs, this.#timeMs + 250)
      this.#apply({ op: INTERNAL_OP.beat })
    }
  }
  async lease(name: string) {
    return this.#machine.lease(name)
  }
  async list(prefix: string) {
    return this.#machine.list({ prefix, after: null, limit: 1_000 }).leases
  }
  async history(name: string) {
    return this.#events.filter((event) => event.name === name)
  }
  async close(): Promise<void> {}
}

t.test('the machine alone keeps the contract of leases', async (t) => {
  await leaseContract(t, async () => {
    const world = new MachineWorld()
    await world.advance(1_500)
    return world
  })
})
