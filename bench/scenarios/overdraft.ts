/**
 * Whether anything is ever admitted too much: a fleet of clients takes all that it can, while members are killed with -9 in turn, the leader
 * among them. Every admission is written down on the one clock of this process, which stands outside, and judged over every window.
 */
import { type Client, createClient } from '@leasehold/client'
import { Admissions } from '../admissions.js'
import type { Figure } from '../report.js'
import type { Bench, Scenario } from '../scenario.js'

const CLIENTS = 6
const TIMES = 10
const EVERY_MS = 4_000
/** Small and large, slow and fast. */
const QUOTAS = [
  { name: 'bench/overdraft/small', tokens: 100, perMs: 1_000, burst: 25 },
  { name: 'bench/overdraft/large', tokens: 50_000, perMs: 1_000, burst: 100_000 },
  { name: 'bench/overdraft/slow', tokens: 600, perMs: 60_000, burst: 50 },
] as const
/** For the two that are fast: of what may be had at most, at least so much, failovers included. */
const ADMITTED_AT_LEAST = 0.5

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Takes all it can of one quota, until it is over. */
async function greedy(
  client: Client,
  name: string,
  burst: number,
  book: Admissions,
  state: { over: boolean; worst: number },
) {
  const quota = client.quota(name)
  const size = Math.max(1, Math.floor(burst / 100))
  while (!state.over) {
    for (let i = 0; i < 64; i++) {
      if (!quota.tryTake(size).ok) break
      const over = book.admit(size, performance.now())
      if (over !== null) state.worst = Math.max(state.worst, over.tokens)
    }
    await sleep(2)
  }
}

export const overdraft: Scenario = {
  name: 'overdraft',
  about: 'admitted against the bound over every window, while members are killed',
  repeats: 1,
  members: 3,
  apart: true,
  async run(bench: Bench): Promise<Figure[]> {
    const cluster = await bench.startCluster()
    const endpoints = cluster.urls
    const clients = Array.from({ length: CLIENTS }, (_, i) =>
      createClient({
        endpoints: endpoints.map((_one, k) => endpoints[(i + k) % endpoints.length]!),
        name: `bench-overdraft-${i}`,
      }),
    )
    const times = Math.max(1, Math.round(TIMES / bench.shrink))
    try {
      const state = { over: false, worst: 0 }
      const startMs = performance.now()
      const books = QUOTAS.map((one) => new Admissions([one], startMs))
      for (const { name, tokens, perMs, burst } of QUOTAS)
        await clients[0]!.setQuota(name, { bandwidths: [{ tokens, perMs, burst }] })
      const loops = clients.flatMap((client) =>
        QUOTAS.map(({ name, burst }, i) => greedy(client, name, burst, books[i]!, state)),
      )
      for (let time = 0; time < times; time++) {
        await sleep(EVERY_MS)
        const leader = await cluster.leader()
        const victim = time % 2 === 0 ? leader : cluster.servers.find((one) => one !== leader)!
        await victim.kill()
        victim.respawn()
        await victim.ready()
        bench.say(
          `kill ${time + 1} of ${times}: ${books.map(({ admitted }) => admitted).join(' ')} admitted, ${state.worst} too many`,
        )
      }
      state.over = true
      await Promise.all(loops)
      const seconds = (performance.now() - startMs) / 1_000
      bench.note(
        `${CLIENTS} clients of the library in one process take all they can for ${Math.round(seconds)} s; a member is killed with -9 every ${EVERY_MS / 1_000} s, every other time the leader.`,
      )
      const figures: Figure[] = [
        {
          name: 'tokens above the bound, worst window',
          value: state.worst,
          unit: '',
          target: { sense: 'at most', times: 0, of: 'absolute' },
        },
      ]
      for (const [i, { name, tokens, perMs, burst }] of QUOTAS.entries()) {
        const share = books[i]!.admitted / (burst + (tokens / perMs) * seconds * 1_000)
        const target =
          perMs === 1_000 ? { target: { sense: 'at least', times: ADMITTED_AT_LEAST, of: 'absolute' } as const } : {}
        figures.push({ name: `${name}: admitted / bound`, value: share, unit: 'x', ...target })
      }
      return figures
    } finally {
      await Promise.all(clients.map((client) => client.close()))
    }
  },
}
