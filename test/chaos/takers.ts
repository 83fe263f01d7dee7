/** Clients that take all they can of a few quotas: some decide by themselves, some ask a member each time. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, createClient, LeaseholdError } from '@leasehold/client'
import { QUOTAS, TAKEN, type Take } from './takes.js'

const CLIENTS = 3
const EVERY_MS = 5
const AT_ONCE = 16

export class Takers {
  readonly takes: Take[] = []
  /** Decisions that were asked of a member and have no answer. */
  unknown = 0
  denied = 0
  readonly #clients: readonly Client[]

  constructor(urls: readonly string[]) {
    this.#clients = Array.from({ length: CLIENTS }, (_, i) =>
      createClient({
        endpoints: urls.map((_url, k) => urls[(i + k) % urls.length]!),
        name: `taker-${i}`,
        timeout: '2s',
      }),
    )
  }

  /** Lives that end with the process; what else ends one is an error of theirs. */
  lives(): Promise<never>[] {
    return this.#clients.flatMap((client, i) => [
      this.#spender(client, i === 0),
      ...TAKEN.map((_, quota) => this.#asker(client, quota)),
    ])
  }

  async #spender(client: Client, sets: boolean): Promise<never> {
    // In their order: a parent before its children.
    for (const { name, parent, tokens, perMs, burst } of sets ? QUOTAS : [])
      await again(() => client.setQuota(name, { bandwidths: [{ tokens, perMs, burst }], parent }))
    for (;;) {
      for (const [at, { name, burst }] of TAKEN.entries()) {
        const quota = client.quota(name)
        for (let times = 0; times < AT_ONCE; times++) {
          const tokens = 1 + (times % Math.min(4, burst))
          if (!quota.tryTake(tokens).ok) break
          const nowMs = performance.now()
          this.takes.push([at, tokens, nowMs, nowMs])
        }
      }
      await sleep(EVERY_MS)
    }
  }

  async #asker(client: Client, at: number): Promise<never> {
    for (;;) {
      const fromMs = performance.now()
      try {
        const admission = await client.admit(TAKEN[at]!.name)
        if (admission.admitted) this.takes.push([at, admission.taken, fromMs, performance.now()])
        else {
          this.denied++
          await sleep(Math.min(100, admission.retryAfterMs))
        }
      } catch (error) {
        if (!(error instanceof LeaseholdError)) throw error
        if (error.executed === 'unknown') this.unknown++
        await sleep(10 * EVERY_MS)
      }
    }
  }
}

/** Until it is done: the cluster may have no leader yet. */
async function again<T>(task: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await task()
    } catch (error) {
      if (!(error instanceof LeaseholdError) || !error.retryable) throw error
      await sleep(10 * EVERY_MS)
    }
  }
}
