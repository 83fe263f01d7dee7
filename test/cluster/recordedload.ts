/** A light load through the client library that writes down what each caller was told, for the judges of histories. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, type Lease, LeaseHeldError, LeaseLostError } from '@leasehold/client'
import { type ChaosLook, PREFIX } from '../chaos/history.js'
import { ttlMsOf } from '../chaos/load.js'
import type { Outcome } from '../kill/history.js'
import { seeded } from '../kill/players.js'
import { Recorder, type Wish } from '../kill/recorder.js'

const PACE_MS = 15
/** Each wanted by every client. */
const NAMES = [`${PREFIX.lease}all/long-0`, `${PREFIX.lease}all/long-1`, `${PREFIX.register}0`]

export class RecordedLoad {
  readonly recorder = new Recorder()
  readonly looks: ChaosLook[] = []
  /** What callers saw that is no answer. */
  readonly errors: string[] = []
  #stopped = false
  readonly #done: Promise<unknown>

  constructor(clients: readonly Client[]) {
    this.#done = Promise.all(clients.map((client, n) => this.#live(client, n + 1)))
  }

  /** Resolves once so many more changes were acknowledged. */
  async progress(count: number): Promise<void> {
    const wanted = this.recorder.acknowledged + count
    while (this.recorder.acknowledged < wanted) await sleep(5)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#done
  }

  async #live(client: Client, number: number): Promise<void> {
    const random = seeded(number)
    for (let turn = 1; !this.#stopped; turn++) {
      await sleep(PACE_MS * (0.5 + random()))
      const own = random() < 0.3
      const name = own ? `${PREFIX.lease}own-${number}/long-${turn}` : NAMES[Math.floor(random() * NAMES.length)]!
      const holder = `client-${number}/${turn}`
      const lease = await this.#acquire(client, name, holder)
      if (lease === null) continue
      if (random() < 0.5) await this.#look(client, name)
      const { token } = lease
      // A register changes hands and no more.
      if (!name.startsWith(PREFIX.register) && random() < 0.5) {
        await this.#ask({ op: 'renew', name, holder, token }, async () => {
          await lease.renew()
          return { kind: 'granted', token, remainingMs: lease.remainingMs() }
        })
      }
      await this.#ask({ op: 'release', name, holder, token }, async () => {
        const own = await lease.release()
        return own ? { kind: 'ended' } : { kind: 'lost', token, reason: lease.lost ?? '' }
      })
    }
  }

  async #acquire(client: Client, name: string, holder: string): Promise<Lease | null> {
    let lease: Lease | null = null
    await this.#ask({ op: 'acquire', name, holder }, async () => {
      lease = await client.acquire(name, { ttl: ttlMsOf(name), holder })
      return { kind: 'granted', token: lease.token, remainingMs: lease.remainingMs() }
    })
    return lease
  }

  /** An outcome that nobody was told stays open. */
  async #ask(wish: Wish, work: () => Promise<Outcome>): Promise<void> {
    const one = this.recorder.sending(wish)
    try {
      const outcome = await work()
      if (outcome.kind !== 'lost') this.recorder.acknowledged++
      one.outcome = outcome
    } catch (error) {
      if (error instanceof LeaseHeldError) one.outcome = { kind: 'refused', code: error.code }
      else if (error instanceof LeaseLostError) one.outcome = { kind: 'lost', token: error.token, reason: error.reason }
      else this.errors.push(`${wish.op} ${wish.name}: ${error}`)
    }
    if (one.outcome !== null) one.answeredMs = this.recorder.now()
  }

  async #look(client: Client, name: string): Promise<void> {
    const sentMs = this.recorder.now()
    const found = await client.get(name)
    const answeredMs = this.recorder.now()
    this.looks.push({ name, token: found?.token ?? null, holder: found?.holder ?? null, sentMs, answeredMs })
  }
}
