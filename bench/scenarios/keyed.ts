/**
 * A limit for each of ten million keys, over a cluster: who is below half of it is never denied, who is above it is held to it, also while the
 * leader is killed; and what all that costs in memory.
 */

import { createClient } from '@leasehold/client'
import { ERRORS, OK } from '@leasehold/protocol'
import type { Cluster } from '../cluster.js'
import { Keys, zipf } from '../keys.js'
import { GONE, openSessions, type RawSession } from '../rawsession.js'
import type { Figure } from '../report.js'
import type { Bench, Scenario } from '../scenario.js'
import type { ServerProcess } from '../server.js'

const KEYS = 10_000_000
const QUOTA = 'bench/per-key'
const LIMIT = { tokens: 100, perMs: 1_000, burst: 100 }
const SESSIONS = 4
const IN_FLIGHT = 192
/** Of all requests, so many go through the keys one after the other, so that each is asked for; the others are Zipf's. */
const EACH_SHARE = 0.5
/** Held to the limit are those that ask for so many times as much. */
const ABOVE = 2
const WATCHED = 64
const WITHIN = 0.03
/** Of waiting for a key that asks for as much. */
const MOST_TURNS = 100
/** Of the warm-up, and of the time after the leader was killed, in times of `--seconds`. */
const WARM = 2
const KILL = 4
const MEMORY_MB = 32

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Takes without pause from all members that are there, spread evenly. */
class Load {
  readonly keys: Keys
  readonly #startMs = performance.now()
  readonly #sessions: RawSession[][]
  readonly #count: number
  #next = 0
  #round = 0
  over = false
  answered = 0
  gone = 0
  refused = 0
  #inFlight = 0

  constructor(keys: Keys, count: number, sessions: RawSession[][]) {
    this.keys = keys
    this.#count = count
    this.#sessions = sessions
  }

  start(): void {
    for (let slot = 0; slot < IN_FLIGHT; slot++) this.#one()
  }

  async end(): Promise<void> {
    this.over = true
    while (this.#inFlight > 0) await sleep(10)
  }

  /** Of a member that is gone, or back. */
  use(member: number, sessions: RawSession[]): void {
    this.#sessions[member] = sessions
  }

  #key(): number {
    if (Math.random() >= EACH_SHARE) return zipf(this.#count, Math.random())
    this.#next = (this.#next + 1) % this.#count
    return this.#next
  }

  #one(): void {
    const all = this.#sessions.filter((one) => one.length > 0)
    const member = all[++this.#round % all.length]!
    const session = member[this.#round % member.length]!
    const key = this.#key()
    this.#inFlight++
    this.keys.ask(key, performance.now() - this.#startMs)
    session.take(QUOTA, 1, `customer-${key}`, (code) => {
      this.#inFlight--
      this.#settle(key, code)
      if (!this.over) this.#one()
    })
  }

  #settle(key: number, code: number): void {
    this.answered++
    if (code === OK) this.keys.admitted(key)
    else if (code === ERRORS.QUOTA_EXCEEDED.wire) this.keys.denied(key)
    else if (code === GONE) this.gone++
    else this.refused++
  }
}

/** Of the keys that asked for more than their limit: admitted, in parts of what the limit allows in that time. */
interface Held {
  readonly least: number
  readonly most: number
  readonly count: number
  readonly seconds: number
}

/** Since the keys are watched. Where none has asked for enough yet, as at the start of a short run, it waits some turns for one. */
async function held(keys: Keys, fromMs: number, turnMs: number): Promise<Held> {
  for (let turn = 0; turn < MOST_TURNS; turn++) {
    const seconds = (performance.now() - fromMs) / 1_000
    const allowed = (LIMIT.tokens * seconds * 1_000) / LIMIT.perMs
    const hot = keys.watched.filter(({ asked }) => asked >= ABOVE * allowed)
    const shares = hot.map(({ admitted }) => admitted / allowed)
    if (hot.length > 0) return { least: Math.min(...shares), most: Math.max(...shares), count: hot.length, seconds }
    await sleep(turnMs)
  }
  throw new Error('no key asked for more than its limit: the load was too small')
}

/** Once garbage is collected, and what is resident all the same. */
async function memoryMB(servers: readonly ServerProcess[]): Promise<{ held: number; resident: number }[]> {
  return Promise.all(
    servers.map(async (server) => {
      const held = (await server.heldBytes()) / 1e6
      return { held, resident: (await server.rssBytes()) / 1e6 }
    }),
  )
}

/** The same load without keys, so that what a loaded server needs anyway is there. */
async function warm(bench: Bench, cluster: Cluster, sessions: RawSession[][]): Promise<void> {
  let over = false
  let inFlight = 0
  const one = (at: number) => {
    inFlight++
    const member = sessions[at % sessions.length]!
    member[at % member.length]!.take('bench/plain', 1, null, () => {
      inFlight--
      if (!over) one(at + 1)
    })
  }
  for (let slot = 0; slot < IN_FLIGHT; slot++) one(slot)
  await sleep(WARM * bench.seconds * 1_000)
  over = true
  while (inFlight > 0) await sleep(10)
  await sleep(Math.min(1_000, bench.seconds * 1_000))
  await Promise.all(cluster.servers.map((server) => server.ready()))
}

async function measure(bench: Bench, cluster: Cluster, sessions: RawSession[][]): Promise<Figure[]> {
  const count = Math.max(1_000, Math.round(KEYS / bench.shrink))
  await warm(bench, cluster, sessions)
  const idle = await memoryMB(cluster.servers)
  const load = new Load(new Keys(count, WATCHED, LIMIT), count, sessions)
  const { keys } = load
  load.start()
  await sleep(bench.seconds * 1_000)
  keys.watchAgain()
  const fromMs = performance.now()
  const startAnswered = load.answered
  let early: typeof idle | null = null
  let turns = 0
  const turnMs = Math.min(1_000, bench.seconds * 1_000)
  do {
    await sleep(turnMs)
    if (early === null && keys.distinct >= count / 4) early = await memoryMB(cluster.servers)
    if (++turns % 10 === 0) bench.say(`${keys.distinct} keys, ${load.answered} decisions, ${keys.wronged} wronged`)
  } while (keys.distinct < count)
  const steady = await held(keys, fromMs, turnMs)
  const perS = (load.answered - startAnswered) / steady.seconds
  const late = await memoryMB(cluster.servers)
  const worst = (since: typeof idle, kind: 'held' | 'resident') =>
    Math.max(...late.map((now, i) => now[kind] - since[i]![kind]))

  bench.say('the leader is killed')
  keys.watchAgain()
  const killedMs = performance.now()
  const leader = await cluster.leader()
  const at = cluster.servers.indexOf(leader)
  const lost = sessions[at]!
  load.use(at, [])
  await leader.kill()
  leader.respawn()
  await leader.ready()
  for (const session of lost) session.close()
  load.use(at, await openSessions(leader.url, SESSIONS, 'bench-keyed-again'))
  await sleep(KILL * bench.seconds * 1_000)
  const changed = await held(keys, killedMs, turnMs)
  await load.end()
  const allowed = LIMIT.tokens * changed.seconds
  const extra = (changed.most - 1 - WITHIN) * allowed
  bench.note(
    `${count} keys, half of all requests one key after the other and half of them Zipf's (exponent 1), ${IN_FLIGHT} in flight over three members; ${load.gone} requests died with the leader, ${load.refused} got no decision.`,
  )
  bench.note(
    `Held: the ${steady.count} keys that asked for at least ${ABOVE} x their limit. Above half: ${keys.above} of ${keys.distinct} keys at any time.`,
  )
  return [
    { name: 'decisions, over three members', value: perS, unit: '/s' },
    { name: 'keys that were asked for', value: keys.distinct, unit: '' },
    ...target('denied, and never above half of the limit', keys.wronged, '', 'at most', 0),
    ...target('held: least admitted / limit', steady.least, 'x', 'at least', 1 - WITHIN),
    ...target('held: most admitted / limit', steady.most, 'x', 'at most', 1 + WITHIN),
    ...target(
      'leader killed: most above the limit and 3 %, in bursts',
      Math.max(0, extra / LIMIT.burst),
      'x',
      'at most',
      1,
    ),
    ...target('memory beyond idle, worst member', worst(idle, 'held'), 'MB', 'at most', MEMORY_MB),
    { name: 'of it: grown over the last three quarters', value: worst(early ?? late, 'held'), unit: 'MB' },
    { name: 'resident beyond idle, worst member', value: worst(idle, 'resident'), unit: 'MB' },
  ]
}

function target(
  name: string,
  value: number,
  unit: Figure['unit'],
  sense: 'at most' | 'at least',
  times: number,
): Figure[] {
  return [{ name, value, unit, target: { sense, times, of: 'absolute' } }]
}

export const keyed: Scenario = {
  name: 'keyed',
  about: 'a limit for each of ten million keys: who is below half, who is above, a killed leader, memory',
  repeats: 1,
  members: 3,
  apart: true,
  async run(bench) {
    const cluster = await bench.startCluster([], true)
    const client = createClient({ endpoints: cluster.urls, name: 'bench-keyed' })
    const sessions: RawSession[][] = []
    try {
      await client.setQuota(QUOTA, { bandwidths: [LIMIT], perKey: true })
      await client.setQuota('bench/plain', {
        bandwidths: [{ tokens: 1_000_000_000, perMs: 1_000, burst: 1_000_000_000 }],
      })
      for (const { url, name } of cluster.servers)
        sessions.push(await openSessions(url, SESSIONS, `bench-keyed-${name}`))
      return await measure(bench, cluster, sessions)
    } finally {
      for (const session of sessions.flat()) session.close()
      await client.close()
    }
  },
}
