/**
 * Whether a limit is used as well as it is kept: how much of it is admitted where all want more, and after a failover; and what the tenants of one
 * parent feel when one of them asks for a hundred times its share.
 */
import { type Client, createClient, LeaseholdError, type Quota } from '@leasehold/client'
import { Admissions } from '../admissions.js'
import type { Cluster } from '../cluster.js'
import { type LoadResult, openLoop } from '../driver.js'
import type { Figure } from '../report.js'
import type { Bench, Scenario } from '../scenario.js'

const CLIENTS = 6
/** B >= 2 (rate x draw cycle + what is parked), by far. */
const FULL = { name: 'bench/fairness/full', tokens: 1_000, perMs: 1_000, burst: 1_000 }
const PARENT = { name: 'bench/fairness/parent', tokens: 1_000, perMs: 1_000, burst: 1_000 }
const TENANTS = 5
/** Of its fair share, each tenant asks for so much; then one of them for so many times its share. */
const MODEST = 0.9
const GREED = 100
const ADMITTED_AT_LEAST = 0.97
const AFTER_AT_LEAST = 0.95
const OTHERS_AT_LEAST = 0.95
const P99_TIMES = 2
const IN_FLIGHT = 4_096

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Takes one after the other, as soon as it can, until it is over. */
async function greedy(quota: Quota, state: { over: boolean }, admitted: () => void): Promise<void> {
  while (!state.over) {
    try {
      await quota.take(1, { timeout: '2s' })
      admitted()
      while (!state.over && quota.tryTake().ok) admitted()
    } catch (error) {
      if (!(error instanceof LeaseholdError)) throw error
      await sleep(5)
    }
  }
}

async function full(bench: Bench, cluster: Cluster, clients: readonly Client[]): Promise<Figure[]> {
  const { name, tokens, perMs, burst } = FULL
  await clients[0]!.setQuota(name, { bandwidths: [{ tokens, perMs, burst }] })
  const book = new Admissions([FULL], performance.now())
  const state = { over: false, worst: 0 }
  const admit = () => {
    const over = book.admit(1, performance.now())
    if (over !== null) state.worst = Math.max(state.worst, over.tokens)
  }
  const loops = clients.map((client) => greedy(client.quota(name), state, admit))
  const perS = (1_000 * tokens) / perMs
  /** What is admitted in so long, in parts of what flows in. */
  const share = async (ms: number) => {
    const [before, startMs] = [book.admitted, performance.now()]
    await sleep(ms)
    return (book.admitted - before) / ((perS * (performance.now() - startMs)) / 1_000)
  }
  await sleep(bench.seconds * 600)
  const steady = await share(bench.seconds * 2_000)
  const leader = await cluster.leader()
  await leader.kill()
  await cluster.leader(leader)
  const first = await share(1_000)
  const after = await share(bench.seconds * 600)
  state.over = true
  await Promise.all(loops)
  leader.respawn()
  await leader.ready()
  bench.note(`Full demand: ${CLIENTS} clients of the library take one token after the other, of ${perS} a second.`)
  return [
    judged('full demand: admitted / limit', steady, 'at least', ADMITTED_AT_LEAST),
    { name: 'leader killed: admitted / limit, first second of the new one', value: first, unit: 'x' },
    judged('leader killed: admitted / limit, from then on', after, 'at least', AFTER_AT_LEAST),
    judged('tokens above the bound, worst window', state.worst, 'at most', 0),
  ]
}

function judged(name: string, value: number, sense: 'at most' | 'at least', times: number): Figure {
  return { name, value, unit: 'x', target: { sense, times, of: 'absolute' } }
}

/** Takes at a pace; who is denied fails. */
function pace(quota: Quota, ratePerS: number, seconds: number): Promise<LoadResult> {
  return openLoop({
    unit: (_, done) => {
      if (quota.tryTake().ok) queueMicrotask(() => done(true))
      else
        quota.take(1, { timeout: '1s' }).then(
          () => done(true),
          () => done(false),
        )
    },
    ...{ ratePerS, inFlightMax: IN_FLIGHT, seconds, warmSeconds: seconds / 2 },
  })
}

async function tenants(bench: Bench, clients: readonly Client[]): Promise<Figure[]> {
  const { name: parent, tokens, perMs, burst } = PARENT
  const bandwidths = [{ tokens, perMs, burst }]
  await clients[0]!.setQuota(parent, { bandwidths })
  const quotas: Quota[] = []
  for (let n = 0; n < TENANTS; n++) {
    const name = `${parent}/${n}`
    await clients[0]!.setQuota(name, { bandwidths, parent })
    quotas.push(clients[n % clients.length]!.quota(name))
  }
  const fairPerS = (1_000 * tokens) / perMs / TENANTS
  const modest = fairPerS * MODEST
  const seconds = bench.seconds * 2
  const before = await Promise.all(quotas.map((quota) => pace(quota, modest, seconds)))
  bench.say(
    `before: ${before.map(({ perS, latency }) => `${Math.round(perS)}/s p99 ${latency.p99.toFixed(2)}`).join(', ')}`,
  )
  const state = { over: false }
  let greed = 0
  const hungry = (async () => {
    while (!state.over) {
      // So many in a hundredth of a second; what is not there is denied.
      for (let i = 0; i < (fairPerS * GREED) / 100; i++) if (quotas[0]!.tryTake().ok) greed++
      await sleep(10)
    }
  })()
  const [startMs, early] = [performance.now(), greed]
  const during = await Promise.all(quotas.slice(1).map((quota) => pace(quota, modest, seconds)))
  const greedPerS = ((greed - early) * 1_000) / (performance.now() - startMs)
  state.over = true
  await hungry
  bench.say(
    `during: ${during.map(({ perS, latency }) => `${Math.round(perS)}/s p99 ${latency.p99.toFixed(2)}`).join(', ')}`,
  )
  const others = before.slice(1)
  const kept = Math.min(...during.map(({ perS }, i) => perS / others[i]!.perS))
  const p99s = (loads: readonly LoadResult[]) => Math.max(...loads.map(({ latency }) => latency.p99))
  bench.note(
    `${TENANTS} tenants of one parent, each at ${MODEST} of its fair share of ${fairPerS} a second, in open loops; then one of them asks for ${GREED} x its share.`,
  )
  return [
    { name: 'the greedy tenant is admitted, in shares', value: greedPerS / fairPerS, unit: 'x' },
    judged('others: admitted of what they had, worst', kept, 'at least', OTHERS_AT_LEAST),
    { name: 'others: p99 before, worst', value: p99s(others), unit: 'ms' },
    { name: 'others: p99 meanwhile, worst', value: p99s(during), unit: 'ms' },
    judged('others: p99 meanwhile / before', p99s(during) / p99s(others), 'at most', P99_TIMES),
  ]
}

export const fairness: Scenario = {
  name: 'fairness',
  about: 'how much of a limit is admitted, also after a failover; and what others feel of a greedy tenant',
  repeats: 1,
  members: 3,
  apart: true,
  async run(bench) {
    const cluster = await bench.startCluster()
    const { urls } = cluster
    const clients = Array.from({ length: CLIENTS }, (_, i) =>
      createClient({ endpoints: urls.map((_one, k) => urls[(i + k) % urls.length]!), name: `bench-fairness-${i}` }),
    )
    try {
      return [...(await full(bench, cluster, clients)), ...(await tenants(bench, clients))]
    } finally {
      await Promise.all(clients.map((client) => client.close()))
    }
  },
}
