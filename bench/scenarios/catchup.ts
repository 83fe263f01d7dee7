/**
 * A follower comes back after half a million commands that it missed, while the cluster serves 30 % of what it can: how
 * soon it has caught up, and what the clients of the others notice of it.
 */
import { closedLoop, openLoop } from '../driver.js'
import { fill } from '../fill.js'
import { Latency } from '../latency.js'
import { BENCH } from '../limits.js'
import { rawCycles } from '../rawcycles.js'
import { openSessions } from '../rawsession.js'
import type { Scenario } from '../scenario.js'
import type { ServerProcess } from '../server.js'
import { loadNote } from './notes.js'

const MISSED_COMMANDS = 500_000
const COMMANDS_A_CYCLE = 2
const IN_FLIGHT = 512
const SHARE = 0.3
const POLL_MS = 50
const CATCH_UP_MS_MAX = 600_000

interface View {
  readonly commitIndex: number
  readonly members: readonly { readonly id: string; readonly appliedIndex: number | null }[]
}

const viewOf = async (server: ServerProcess): Promise<View | null> =>
  fetch(`${server.url}/v1/cluster`).then(
    async (answer) => (answer.ok ? ((await answer.json()) as View) : null),
    () => null,
  )

/** Resolves once the follower has applied what the leader had committed a moment before. */
async function caughtUp(follower: ServerProcess, leader: ServerProcess): Promise<void> {
  const untilMs = performance.now() + CATCH_UP_MS_MAX
  while (performance.now() < untilMs) {
    const committed = (await viewOf(leader))?.commitIndex ?? Number.POSITIVE_INFINITY
    const own = (await viewOf(follower))?.members.find(({ id }) => id === follower.name)?.appliedIndex ?? -1
    if (own >= committed) return
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  throw new Error(`${follower.name} did not catch up`)
}

export const catchup: Scenario = {
  name: 'catchup',
  about: 'a follower comes back after 500,000 commands, while the others serve',
  repeats: 1,
  members: 3,
  apart: true,
  async run(bench) {
    if (bench.members === 1) throw new RangeError('one member has nobody to catch up with')
    const cluster = await bench.startCluster()
    const leader = await cluster.leader()
    const follower = cluster.servers.find((server) => server !== leader)!
    const sessions = await openSessions(leader.url, BENCH.connections, 'bench-catchup')
    const { seconds } = bench
    try {
      const full = await closedLoop({ unit: rawCycles(sessions, 'bench/full'), inFlight: IN_FLIGHT, seconds })
      const shape = { ratePerS: Math.max(1, full.perS * SHARE), inFlightMax: 4 * IN_FLIGHT, seconds }
      const before = await openLoop({ ...shape, unit: rawCycles(sessions, 'bench/before') })
      await bench.measureRaw()
      await follower.kill()
      const missed = rawCycles(sessions, 'bench/missed')
      const cycles = Math.ceil(MISSED_COMMANDS / COMMANDS_A_CYCLE / bench.shrink)
      await fill(cycles, IN_FLIGHT, (n, done) => missed(n % IN_FLIGHT, done))
      bench.say(`${cycles * COMMANDS_A_CYCLE} commands missed`)
      const startMs = performance.now()
      follower.respawn()
      let backMs = 0
      const back = caughtUp(follower, leader).then(() => {
        backMs = performance.now()
      })
      const during = new Latency()
      const observe = (intendedMs: number, latencyMs: number) => {
        if (backMs === 0 || intendedMs < backMs) during.record(latencyMs)
      }
      for (let turn = 0; backMs === 0; turn++) {
        const unit = rawCycles(sessions, `bench/during/${turn}`)
        loadNote(bench, 'raw sessions', [await openLoop({ ...shape, unit, observe, warmSeconds: 0 })])
      }
      await back
      const p99Ms = during.percentiles().p99
      bench.note('All load goes to the leader; the open loops have 30 % of the rate of the closed one.')
      return [
        { name: `cycles, ${IN_FLIGHT} in flight, all members there`, value: full.perS, unit: '/s' },
        { name: 'caught up after', value: (backMs - startMs) / 1_000, unit: 's' },
        { name: 'a cycle, p99, all members there', value: before.latency.p99, unit: 'ms' },
        { name: 'a cycle, p99, while one catches up', value: p99Ms, unit: 'ms' },
        {
          name: 'p99 to p99',
          value: p99Ms / before.latency.p99,
          unit: 'x',
          target: { sense: 'at most', times: 2, of: 'absolute' },
        },
      ]
    } finally {
      for (const session of sessions) session.close()
    }
  },
}
