/**
 * What a decision costs: in the client, from tokens that it holds; asked of a member, one by one, beside Redis with a token bucket in Lua;
 * and what the log sees of it: entries a second at a thousand decisions and at full speed.
 */
import { type Client, createClient } from '@leasehold/client'
import { ERRORS, OK } from '@leasehold/protocol'
import { closedLoop, type Done, openLoop, type Unit } from '../driver.js'
import { median } from '../latency.js'
import { BENCH } from '../limits.js'
import { RedisBuckets } from '../peers/redis.js'
import { openSessions, type RawSession } from '../rawsession.js'
import type { Figure } from '../report.js'
import type { Bench, Scenario } from '../scenario.js'
import type { ServerProcess } from '../server.js'

const ROUNDS = 60
const WARM_ROUNDS = 10
const CALLS = 20_000
const IN_FLIGHT = 64
/** So much that nothing is ever denied: the price of a decision is asked for, not of a denial. */
const PLENTY = { tokens: 1_000_000_000, perMs: 1_000, burst: 1_000_000_000 }
/** Of each key. */
const PER_KEY = { tokens: 100, perMs: 1_000, burst: 100 }
const KEYS = [1, 1_000, 1_000_000] as const
const SLOW_PER_S = 1_000

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Nanoseconds of one call; the count keeps the calls from being optimised away. */
function timeCalls(call: () => boolean | number): number {
  let good = 0
  const startMs = performance.now()
  for (let i = 0; i < CALLS; i++) if (call()) good++
  const ns = ((performance.now() - startMs) * 1e6) / CALLS
  if (good < CALLS) throw new Error(`${CALLS - good} of ${CALLS} were denied`)
  return ns
}

async function inClient(bench: Bench, client: Client): Promise<Figure[]> {
  await client.setQuota('bench/local', { bandwidths: [PLENTY] })
  const quota = client.quota('bench/local')
  const takes: number[] = []
  const clocks: number[] = []
  await quota.take(1)
  for (let round = -WARM_ROUNDS; round < ROUNDS; round++) {
    // What it draws ahead follows what was asked for: a moment for that.
    while (quota.peek() < CALLS) {
      await quota.take(Math.min(CALLS, 1_000))
      await sleep(1)
    }
    const takeNs = timeCalls(() => quota.tryTake(1).ok)
    const clockNs = timeCalls(() => performance.now())
    if (round < 0) continue
    takes.push(takeNs)
    clocks.push(clockNs)
  }
  bench.note(
    `tryTake: ${ROUNDS} rounds of ${CALLS} calls, in turn with as many of performance.now(); the ratio is the median of the rounds' ratios.`,
  )
  return [
    { name: 'tryTake()', value: median(takes), unit: 'ns' },
    {
      name: 'tryTake / performance.now()',
      value: median(takes.map((ns, i) => ns / clocks[i]!)),
      unit: 'x',
      target: { sense: 'at most', times: 4, of: 'absolute' },
    },
  ]
}

/** One decision a unit; a denial is one, too. */
function takes(sessions: readonly RawSession[], quota: string): Unit {
  return (slot: number, done: Done) => {
    const answer = (code: number) => done(code === OK || code === ERRORS.QUOTA_EXCEEDED.wire)
    sessions[slot % sessions.length]!.take(quota, 1, null, answer)
  }
}

/** The same by key, one after the other. */
function takesOf(sessions: readonly RawSession[], keys: readonly string[]): Unit {
  let next = 0
  return (slot: number, done: Done) => {
    next = (next + 1) % keys.length
    const answer = (code: number) => done(code === OK || code === ERRORS.QUOTA_EXCEEDED.wire)
    sessions[slot % sessions.length]!.take('bench/per-key', 1, keys[next]!, answer)
  }
}

async function atMember(bench: Bench, sessions: readonly RawSession[]): Promise<Figure[]> {
  const { seconds } = bench
  const exact = await closedLoop({ unit: takes(sessions, 'bench/exact'), inFlight: IN_FLIGHT, seconds })
  const keyed: Figure[] = []
  for (const keys of KEYS) {
    const names = Array.from({ length: keys }, (_, n) => `customer-${n}`)
    const load = await closedLoop({ unit: takesOf(sessions, names), inFlight: IN_FLIGHT, seconds })
    if (load.failed > 0) throw new Error(`${load.failed} decisions failed`)
    keyed.push({ name: `the same by key, ${keys.toLocaleString('en')} of them`, value: load.perS, unit: '/s' })
  }
  const all: Figure[] = [
    { name: `asked of a member, ${IN_FLIGHT} in flight`, value: exact.perS, unit: '/s' },
    { name: 'of these: p50', value: exact.latency.p50, unit: 'ms' },
    { name: 'of these: p99', value: exact.latency.p99, unit: 'ms' },
    ...keyed,
  ]
  if (exact.failed > 0) throw new Error(`${exact.failed} decisions failed`)
  const missing = RedisBuckets.missing()
  if (missing !== null) {
    bench.say(`LEFT OUT: ${missing}`)
    bench.note(`Left out: ${missing}. scripts/install-test-tools.sh installs it.`)
    return all
  }
  const redis = await RedisBuckets.start(bench.parent, BENCH.connections)
  try {
    const unit = redis.takes(() => 'bucket', PLENTY.tokens, PLENTY.burst)
    const other = await closedLoop({ unit, inFlight: IN_FLIGHT, seconds })
    all.push({ name: `Redis with a bucket in Lua, ${IN_FLIGHT} in flight`, value: other.perS, unit: '/s' })
    all.push({
      name: "decisions to Redis's",
      value: exact.perS / other.perS,
      unit: 'x',
      target: { sense: 'at least', times: 1, of: 'absolute' },
    })
    bench.note(
      "Redis: Debian's redis-server, one process, appendonly with a sync every second, EVALSHA pipelined over as many connections.",
    )
  } finally {
    await redis.close()
  }
  return all
}

async function commitIndex(server: ServerProcess): Promise<number> {
  const answer = await fetch(`${server.url}/v1/cluster`)
  return ((await answer.json()) as { commitIndex: number }).commitIndex
}

/** Entries a second that come into the log meanwhile. */
async function entriesPerS(server: ServerProcess, load: () => Promise<unknown>): Promise<number> {
  const [before, startMs] = [await commitIndex(server), performance.now()]
  await load()
  return ((await commitIndex(server)) - before) / ((performance.now() - startMs) / 1_000)
}

async function inLog(bench: Bench, server: ServerProcess, client: Client): Promise<Figure[]> {
  const { seconds } = bench
  // Of its own: another one may hold what lasts for long at this pace.
  await client.setQuota('bench/slow', { bandwidths: [PLENTY] })
  const slowly = client.quota('bench/slow')
  await slowly.take(1)
  const unit: Unit = (_, done) => queueMicrotask(() => done(slowly.tryTake(1).ok || slowly.peek() === 0))
  const pace = { unit, ratePerS: SLOW_PER_S, inFlightMax: IN_FLIGHT }
  await openLoop({ ...pace, seconds: 1 })
  const slow = await entriesPerS(server, () => openLoop({ ...pace, seconds }))
  const quota = client.quota('bench/local')
  let decisions = 0
  const startMs = performance.now()
  const fast = await entriesPerS(server, async () => {
    while (performance.now() - startMs < seconds * 1_000) {
      for (let i = 0; i < CALLS; i++) if (quota.tryTake(1).ok) decisions++
      await sleep(1)
    }
  })
  const perS = (decisions * 1_000) / (performance.now() - startMs)
  return [
    { name: `entries in the log at ${SLOW_PER_S} decisions/s`, value: slow, unit: '/s' },
    { name: 'decisions of one process, without pause', value: perS, unit: '/s' },
    { name: 'entries in the log at that', value: fast, unit: '/s' },
    {
      name: 'entries at full speed / at a thousand',
      value: fast / slow,
      unit: 'x',
      target: { sense: 'at most', times: 1.5, of: 'absolute' },
    },
  ]
}

export const quota: Scenario = {
  name: 'quota',
  about: 'decisions in the client, and at a member beside Redis; and what the log sees of them',
  repeats: BENCH.repeats,
  apart: true,
  async run(bench) {
    const server = await bench.startServer()
    const client = createClient({ endpoints: [server.url], name: 'bench-quota' })
    const sessions = await openSessions(server.url, BENCH.connections, 'bench-quota')
    try {
      const all = await inClient(bench, client)
      await client.setQuota('bench/exact', { bandwidths: [PLENTY] })
      await client.setQuota('bench/per-key', { bandwidths: [PER_KEY], perKey: true })
      all.push(...(await atMember(bench, sessions)))
      all.push(...(await inLog(bench, server, client)))
      return all
    } finally {
      for (const session of sessions) session.close()
      await client.close()
    }
  },
}
