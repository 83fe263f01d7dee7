/**
 * The leader fails while clients write: how long each of them goes without an acknowledged write, from the last one before to
 * the first one after. Three kinds of failing: killed with -9, paused, and cut off from the other members while clients
 * still reach it. The clients are the library's, with its defaults, and know all members.
 */
import { type Client, createClient } from '@leasehold/client'
import type { Cluster } from '../cluster.js'
import { gapMs } from '../gaps.js'
import { median } from '../latency.js'
import type { Figure } from '../report.js'
import type { Bench, Scenario } from '../scenario.js'
import type { ServerProcess } from '../server.js'

const TIMES = 20
const CLIENTS = 8
/** Of each client. */
const IN_FLIGHT = 4
const STEADY_MS = 1_500
/** How long a paused or cut off leader stays so, and how long silences are looked for after an event. */
const TROUBLE_MS = 3_000

/** Begins the trouble; the returned function ends it. */
type Trouble = (bench: Bench, cluster: Cluster, leader: ServerProcess) => Promise<() => Promise<void>>

const killed: Trouble = async (_bench, _cluster, leader) => {
  await leader.kill()
  return async () => {
    leader.respawn()
    await leader.ready()
  }
}

const paused: Trouble = async (_bench, _cluster, leader) => {
  leader.signal('SIGSTOP')
  return async () => leader.signal('SIGCONT')
}

const cutOff: Trouble = async ({ network }, { servers }, leader) => {
  const at = servers.indexOf(leader) + 1
  for (let other = 1; other <= servers.length; other++) if (other !== at) network!.cut(at, other)
  return async () => network!.heal()
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** One client that writes without pause, and when it was told that a write stands. */
class Writer {
  acknowledgedMs: number[] = []
  #over = false
  readonly #client: Client
  readonly #loops: Promise<void>[]

  constructor(urls: readonly string[], number: number) {
    // Each begins at another member.
    const endpoints = urls.map((_, i) => urls[(i + number) % urls.length]!)
    this.#client = createClient({ endpoints, name: `bench-failover-${number}` })
    this.#loops = Array.from({ length: IN_FLIGHT }, (_, i) => this.#write(`bench/failover/${number}/${i}`))
  }

  async #write(prefix: string): Promise<void> {
    for (let turn = 0; !this.#over; turn++) {
      try {
        const lease = await this.#client.acquire(`${prefix}/${turn}`, { ttl: '1m' })
        this.acknowledgedMs.push(performance.now())
        await lease.release()
        this.acknowledgedMs.push(performance.now())
      } catch {
        // It failed within the library's patience: a part of the gap.
        await sleep(1)
      }
    }
  }

  async close(): Promise<void> {
    this.#over = true
    await this.#client.close()
    await Promise.all(this.#loops)
  }
}

/** The gaps of all clients, event by event. */
async function gapsOf(bench: Bench, cluster: Cluster, trouble: Trouble, what: string): Promise<number[][]> {
  const times = Math.max(1, Math.round(TIMES / bench.shrink))
  const writers = Array.from({ length: CLIENTS }, (_, i) => new Writer(cluster.urls, i))
  const gaps: number[][] = []
  try {
    for (let time = 0; time < times; time++) {
      await sleep(STEADY_MS)
      const leader = await cluster.leader()
      for (const writer of writers) writer.acknowledgedMs = writer.acknowledgedMs.slice(-1)
      const eventMs = performance.now()
      const mend = await trouble(bench, cluster, leader)
      await sleep(TROUBLE_MS)
      gaps.push(writers.map(({ acknowledgedMs }) => gapMs(acknowledgedMs, eventMs, eventMs + TROUBLE_MS)))
      await mend()
      bench.say(`${what} ${time + 1} of ${times}: gaps ${gaps.at(-1)!.map(Math.round).join(' ')} ms`)
    }
    return gaps
  } finally {
    await Promise.all(writers.map((writer) => writer.close()))
  }
}

function figures(what: string, gaps: readonly (readonly number[])[], medianMs: number, worstMs: number): Figure[] {
  const all = gaps.flat()
  return [
    {
      name: `${what}: gap of a client, median`,
      value: median(all),
      unit: 'ms',
      target: { sense: 'at most', times: medianMs, of: 'absolute' },
    },
    {
      name: `${what}: gap of a client, worst`,
      value: Math.max(...all),
      unit: 'ms',
      target: { sense: 'at most', times: worstMs, of: 'absolute' },
    },
    {
      name: `${what}: worst client of each time, median`,
      value: median(gaps.map((one) => Math.max(...one))),
      unit: 'ms',
    },
  ]
}

export const failover: Scenario = {
  name: 'failover',
  about: `the leader is killed, paused, cut off, ${TIMES} times each, while clients write`,
  repeats: 1,
  members: 3,
  apart: true,
  network: true,
  async run(bench) {
    const cluster = await bench.startCluster()
    const all = figures('killed', await gapsOf(bench, cluster, killed, 'kill'), 250, 1_000)
    all.push(...figures('paused', await gapsOf(bench, cluster, paused, 'pause'), 800, 2_000))
    if (bench.network === null) bench.note('Left out: the leader cut off, which needs network namespaces.')
    else all.push(...figures('cut off', await gapsOf(bench, cluster, cutOff, 'cut'), 800, 2_000))
    bench.note(
      `${CLIENTS} clients of the library in one process, ${IN_FLIGHT} cycles of acquire and release in flight each; ` +
        'a gap is from the last acknowledged write to the first one after.',
    )
    return all
  },
}
