/** Many clients on one name, waiting in the queue: how soon the successor works once its predecessor lets go. */
import { setMaxListeners } from 'node:events'
import { type Client, createClient } from '@leasehold/client'
import { Latency } from '../latency.js'
import { BENCH } from '../limits.js'
import type { Scenario } from '../scenario.js'
import { ofOneServer } from './notes.js'

const CLIENTS = 64
const NAME = 'bench/contend'
/** The raw limits are measured between slices of the load, while one holder keeps the lease: both see the machine in the same minutes. */
const SLICES = 4
/** So long what is on its way may take to come to rest. */
const SETTLE_MS = 100

/** What all contenders share. They live in one process, and so under one clock. */
interface Contest {
  releasedMs: number
  measuring: boolean
  over: boolean
  /** The holder of the moment keeps the lease until this resolves. */
  paused: Promise<void> | null
  handovers: number
  readonly latency: Latency
}

/** Waits for the name, checks the lease, lets go at once, and joins the queue again. */
async function contend(client: Client, contest: Contest, signal: AbortSignal): Promise<void> {
  while (!contest.over) {
    const lease = await client.acquire(NAME, { ttl: '10s', wait: '5m', signal })
    if (lease.remainingMs() <= 0) throw new Error('a lease came that was not valid')
    const nowMs = performance.now()
    if (contest.paused !== null) {
      await contest.paused
      contest.releasedMs = 0
    }
    if (contest.measuring && contest.releasedMs > 0) {
      contest.handovers++
      contest.latency.record(nowMs - contest.releasedMs)
    }
    contest.releasedMs = performance.now()
    await lease.release()
  }
}

/** Runs `work` while nothing is handed over. */
async function between(contest: Contest, work: () => Promise<void>): Promise<void> {
  let resume = () => {}
  contest.paused = new Promise((resolve) => (resume = resolve))
  await sleep(SETTLE_MS)
  await work()
  contest.paused = null
  resume()
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
    const contest: Contest = {
      releasedMs: 0,
      measuring: false,
      over: false,
      paused: null,
      handovers: 0,
      latency: new Latency(),
    }
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
      // A handover takes long, so that code is compiled late: what goes before takes as long as what counts.
      await Promise.race([all, sleep(bench.seconds * 1_000)])
      let seconds = 0
      for (let slice = 0; slice < SLICES; slice++) {
        if (slice > 0) await between(contest, () => bench.measureRaw())
        contest.measuring = true
        const startMs = performance.now()
        await Promise.race([all, sleep((bench.seconds * 1_000) / SLICES)])
        contest.measuring = false
        seconds += (performance.now() - startMs) / 1_000
      }
      contest.over = true
      stop.abort()
      await all
      const latency = contest.latency.percentiles()
      bench.note(
        `${SLICES} slices, the raw limits between them. Load through the client library, ${CLIENTS} clients (a connection each) in one process. Handover: from just before release() is called to ` +
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
