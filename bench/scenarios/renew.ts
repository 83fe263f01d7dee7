/** Renewals of held leases, over the raw session: the library itself renews only when half of a ttl is gone. */
import { costed, costFigures } from '../cpu.js'
import { closedLoop, openLoop } from '../driver.js'
import { BENCH } from '../limits.js'
import { RawLeases } from '../rawleases.js'
import { openSessions } from '../rawsession.js'
import type { Scenario } from '../scenario.js'
import { loadNote, ofOneServer } from './notes.js'

const IN_FLIGHT = 512
const TTL_MS = 3_600_000

export const renew: Scenario = {
  name: 'renew',
  about: 'renewals of held leases, each renewed by its own session',
  repeats: BENCH.repeats,
  async run(bench) {
    const server = await bench.startServer()
    const sessions = await openSessions(server.url, BENCH.connections, 'bench-renew')
    try {
      const leases = new RawLeases(sessions, IN_FLIGHT, 'bench/renew/', 24)
      await leases.acquireAll(IN_FLIGHT, () => TTL_MS)
      const { seconds } = bench
      const alone = await closedLoop({ unit: leases.renewals(), inFlight: 1, seconds })
      await bench.measureRaw()
      const cost = await costed(server, () => closedLoop({ unit: leases.renewals(), inFlight: IN_FLIGHT, seconds }))
      const full = cost.load
      await bench.measureRaw()
      const ratePerS = Math.max(1, full.perS / 2)
      const half = await openLoop({ unit: leases.renewals(), ratePerS, inFlightMax: 4 * IN_FLIGHT, seconds })
      loadNote(bench, 'raw sessions', [alone, full, half])
      return [
        { name: 'alone, p50', value: alone.latency.p50, unit: 'ms' },
        { name: 'alone, p99', value: alone.latency.p99, unit: 'ms' },
        {
          name: `${IN_FLIGHT} in flight`,
          value: full.perS,
          unit: '/s',
          ...ofOneServer(bench, { sense: 'at least', times: 15, of: '1 / synced batch' }),
        },
        { name: `${IN_FLIGHT} in flight, p50`, value: full.latency.p50, unit: 'ms' },
        { name: `${IN_FLIGHT} in flight, p99`, value: full.latency.p99, unit: 'ms' },
        ...costFigures(cost, 'renewal'),
        { name: 'open loop at half of that, p50', value: half.latency.p50, unit: 'ms' },
        { name: 'open loop at half of that, p99', value: half.latency.p99, unit: 'ms' },
        { name: 'of it units began late by, p99', value: half.late.p99, unit: 'ms' },
      ]
    } finally {
      for (const session of sessions) session.close()
    }
  },
}
