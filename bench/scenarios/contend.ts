/** Many clients on one name, waiting in the queue: how soon the successor works once its predecessor lets go. */
import { setMaxListeners } from 'node:events'
import { type Client, createClient } from '@leasehold/client'
import { Latency } from '../latency.js'
import { BENCH } from '../limits.js'
import type { Scenario } from '../scenario.js'
import { ofOneServer } from './notes.js'

const CLIENTS = 64
const NAME = 'bench/contend'

/** What all contenders share. They live in one process, and so under one clock. */
interface Contest {
  releasedMs: number
  measuring: boolean
  over: boolean
  handovers: number
  readonly latency: Latency
}

/** Waits for the name, checks the lease, lets go at once, and joins the queue again. */
async function contend(client: Client, contest: Contest, signal: AbortSignal): Promise<void> {
  while (!contest.over) {
    const lease = await client.acquire(NAME, { ttl: '10s', wait: '5m', signal })
    if (lease.remainingMs() <= 0) throw new Error('a lease came that was not valid')
    const nowMs = performance.now()
    if (contest.measuring && contest.releasedMs > 0) {
      contest.handovers++
      contest.latency.record(nowMs - contest.releasedMs)
    }
    contest.releasedMs = performance.now()
    await lease.release()
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

export const contend64: Scenario = {
  name: 'contend',
  about: `${CLIENTS} clients on one name, each waiting in the queue, holding it no longer than one check`,
  repeats: BENCH.repeats,
  async run(bench) {
    const server = await bench.startServer()
    const clients = Array.from({ length: CLIENTS }, (_, i) =>
      createClient({ endpoints: [server.url], name: `bench-contend-${i}` }),
    )
    const contest: Contest = { releasedMs: 0, measuring: false, over: false, handovers: 0, latency: new Latency() }
    const stop = new AbortController()
    setMaxListeners(2 * CLIENTS, stop.signal)
    try {
      await Promise.all(clients.map((client) => client.ready()))
      const contenders = clients.map((client) =>
        contend(client, contest, stop.signal).catch((error: unknown) => {
          if (!contest.over) throw error
        }),
      )
      const all = Promise.all(contenders)
      await Promise.race([all, sleep(bench.seconds * BENCH.warmShare * 1_000)])
      contest.measuring = true
      const startMs = performance.now()
      await Promise.race([all, sleep(bench.seconds * 1_000)])
      contest.measuring = false
      const seconds = (performance.now() - startMs) / 1_000
      contest.over = true
      stop.abort()
      await all
      const latency = contest.latency.percentiles()
      bench.note(
        `Load through the client library, ${CLIENTS} clients (a connection each) in one process. Handover: from just before release() is called to ` +
          "the successor's first valid remainingMs(); in between are the release, the offer, and its claim.",
      )
      return [
        { name: 'handovers', value: contest.handovers / seconds, unit: '/s' },
        {
          name: 'release to successor, p50',
          value: latency.p50,
          unit: 'ms',
          ...ofOneServer(bench, { sense: 'at most', times: 4, of: 'synced batch + round trip' }),
        },
        { name: 'release to successor, p99', value: latency.p99, unit: 'ms' },
        { name: 'release to successor, longest', value: latency.max, unit: 'ms' },
      ]
    } finally {
      contest.over = true
      stop.abort()
      await Promise.all(clients.map((client) => client.close()))
    }
  },
}
