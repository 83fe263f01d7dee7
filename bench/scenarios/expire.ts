/**
 * A hundred thousand leases due in the same second: how soon all have ended, and what the others feel of it. Renewals of
 * other leases go on in an open loop over raw sessions, first while nothing is due, then while the sweep works.
 */
import { type LoadResult, openLoop } from '../driver.js'
import { Latency } from '../latency.js'
import { BENCH } from '../limits.js'
import { RawLeases } from '../rawleases.js'
import { openSessions, type RawSession } from '../rawsession.js'
import type { Bench, Scenario } from '../scenario.js'
import type { ServerProcess } from '../server.js'

const DUE = 100_000
const DUE_WITHIN_MS = 1_000
const KEPT = 512
const KEPT_TTL_MS = 3_600_000
const FILL_IN_FLIGHT = 512
const RENEWALS_PER_S = 2_000
const IN_FLIGHT_MAX = 8_192
const POLL_MS = 100
/** The load goes on this long after the first lease is due: twice what is asked for. */
const WATCH_SECONDS = 10
/** Where the sizes are shrunk to try it out. */
const SHORT_WATCH_SECONDS = 1.5
/** Time to acquire them all before the first one is due. */
const FILL_MS = 15_000

interface Sample {
  readonly atMs: number
  readonly leases: number
  readonly stallMs: number
}

/** Reads the gauges every 100 ms until told to stop. The stall is the longest since the reading before. */
function poll(server: ServerProcess): { samples: Sample[]; stop(): Promise<void> } {
  const samples: Sample[] = []
  let stopped = false
  const loop = (async () => {
    while (!stopped) {
      const [leases = Number.NaN, stall = Number.NaN] = await server.metrics([
        'leasehold_leases',
        'leasehold_loop_stall_seconds',
      ])
      samples.push({ atMs: performance.now(), leases, stallMs: stall * 1_000 })
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  })()
  return {
    samples,
    async stop() {
      stopped = true
      await loop
    },
  }
}

const longestStall = (samples: readonly Sample[]) => Math.max(...samples.map((s) => s.stallMs))

interface Watched {
  readonly load: LoadResult
  readonly samples: readonly Sample[]
  readonly units: readonly (readonly [intendedMs: number, latencyMs: number])[]
}

/** Renewals in an open loop, each unit noted, beside the readings of the gauges. */
async function watched(server: ServerProcess, kept: RawLeases, seconds: number, warmSeconds: number): Promise<Watched> {
  const units: (readonly [number, number])[] = []
  const polling = poll(server)
  const load = await openLoop({
    unit: kept.renewals(),
    ratePerS: RENEWALS_PER_S,
    inFlightMax: IN_FLIGHT_MAX,
    seconds,
    warmSeconds,
    observe: (intendedMs, latencyMs) => void units.push([intendedMs, latencyMs]),
  })
  await polling.stop()
  if (load.failed > 0) throw new Error(`${load.failed} renewals failed`)
  return { load, samples: polling.samples, units }
}

async function measure(bench: Bench, server: ServerProcess, sessions: readonly RawSession[]) {
  const count = Math.ceil(DUE / bench.shrink)
  const kept = new RawLeases(sessions, KEPT, 'bench/kept/', 24)
  await kept.acquireAll(KEPT, () => KEPT_TTL_MS)
  const due = new RawLeases(sessions, count, 'bench/due/', 24)
  const idleSeconds = Math.max(0.5, bench.seconds)
  const dueMs =
    performance.now() + FILL_MS / Math.sqrt(bench.shrink) + idleSeconds * 1_000 * (1 + BENCH.warmShare) + 1_000
  const endsMs = (at: number) => dueMs + (DUE_WITHIN_MS * at) / count
  bench.say(`acquiring ${count} leases that end together`)
  await due.acquireAll(FILL_IN_FLIGHT, (at) => Math.ceil(endsMs(at) - performance.now()))
  const idle = await watched(server, kept, idleSeconds, idleSeconds * BENCH.warmShare)
  if (performance.now() > dueMs - 100)
    throw new Error('acquiring them took too long: the leases were due before the idle load was over')
  const warmSeconds = (dueMs - performance.now()) / 1_000
  const busy = await watched(server, kept, bench.shrink > 1 ? SHORT_WATCH_SECONDS : WATCH_SECONDS, warmSeconds)
  const endedMs = busy.samples.find((s) => s.atMs > dueMs && s.leases <= KEPT)?.atMs ?? Number.NaN
  return { idle, busy, dueMs, endedMs }
}

export const expire: Scenario = {
  name: 'expire',
  about: 'a hundred thousand leases due in the same second, while others are renewed',
  repeats: 1,
  async run(bench) {
    const server = await bench.startServer()
    const sessions = await openSessions(server.url, BENCH.connections, 'bench-expire')
    try {
      const { idle, busy, dueMs, endedMs } = await measure(bench, server, sessions)
      const during = new Latency()
      for (const [intendedMs, latencyMs] of busy.units)
        if (intendedMs >= dueMs && intendedMs < endedMs) during.record(latencyMs)
      const sweep = during.percentiles()
      const idleP99 = idle.load.latency.p99
      bench.note(
        `Raw sessions, ${BENCH.connections} connections; ${RENEWALS_PER_S} renewals/s of ${KEPT} other leases in an open loop, latency from the intended ` +
          'start. Idle: before anything is due. During: intended between the first lease due and the gauge leasehold_leases back at the others alone (read every 100 ms).',
      )
      bench.note(
        'Loop stall: measured inside the server, by its gauge leasehold_loop_stall_seconds (the longest since the reading before), while the leases ended.',
      )
      const sweeping = busy.samples.filter((s) => s.atMs >= dueMs && !(s.atMs > endedMs + POLL_MS))
      return [
        {
          name: 'first due to all ended',
          value: (endedMs - dueMs) / 1_000,
          unit: 's',
          target: { sense: 'at most', times: 5, of: 'absolute' },
        },
        { name: 'renewal p50, idle', value: idle.load.latency.p50, unit: 'ms' },
        { name: 'renewal p99, idle', value: idleP99, unit: 'ms' },
        { name: 'renewal p50, during', value: sweep.p50, unit: 'ms' },
        { name: 'renewal p99, during', value: sweep.p99, unit: 'ms' },
        { name: 'renewal longest, during', value: sweep.max, unit: 'ms' },
        {
          name: 'p99 during / idle',
          value: sweep.p99 / idleP99,
          unit: 'x',
          target: { sense: 'at most', times: 20, of: 'absolute' },
        },
        { name: 'loop stall, idle', value: longestStall(idle.samples), unit: 'ms' },
        {
          name: 'loop stall, during',
          value: longestStall(sweeping),
          unit: 'ms',
          target: { sense: 'at most', times: 50, of: 'absolute' },
        },
      ]
    } finally {
      for (const session of sessions) session.close()
    }
  },
}
