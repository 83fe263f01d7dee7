/** Real servers as the contract meets them: the session's frames over WebSocket, each connection at the next member. */
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
import { RawSession } from '../support/rawsession.js'
import type { Connection, ContractWorld } from './world.js'

const ADVANCE_STEP_MS = 40

export class WireWorld implements ContractWorld {
  readonly #urls: readonly string[]
  readonly #end: () => Promise<unknown>
  readonly #reader: RawSession
  readonly #sessions: RawSession[] = []

  private constructor(urls: readonly string[], end: () => Promise<unknown>, reader: RawSession) {
    this.#urls = urls
    this.#end = end
    this.#reader = reader
  }

  /** Members that serve; `end` ends them. */
  static async open(urls: readonly string[], end: () => Promise<unknown>): Promise<WireWorld> {
    const reader = await RawSession.connect(urls[0]!, 'reader', 'f'.repeat(32))
    const world = new WireWorld(urls, end, reader)
    // Something is timed all along, so that cluster time moves on whatever the claims do.
    await reader.send(OP.acquire, [1, 1, 0, 'pace', 'pace', 3_600_000, 0, 0, 0, null]).last
    await world.advance(1_300)
    return world
  }

  async connect(clientName: string, sessionId: string): Promise<Connection> {
    const url = this.#urls[this.#sessions.length % this.#urls.length]!
    const session = await RawSession.connect(url, clientName, sessionId)
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
    await this.#end()
  }
}
