/** Acquire and release of distinct names through the client library: what an uncontended lease costs. */
import { type Client, createClient, type Lease } from '@leasehold/client'
import { costed, costFigures } from '../cpu.js'
import { closedLoop, type Done, openLoop, type Unit } from '../driver.js'
import { BENCH } from '../limits.js'
import type { Scenario } from '../scenario.js'
import { loadNote, ofOneServer } from './notes.js'

const IN_FLIGHT = 512
const KINDS = ['acquire', 'release'] as const
const ACQUIRED = 0
const RELEASED = 1

/** Each slot acquires a name never used before, then releases it, and so on: every unit is one committed command. */
function acquireAndRelease(clients: readonly Client[], label: string): Unit {
  const held: (Lease | undefined)[] = []
  let next = 0
  return (slot: number, done: Done) => {
    const lease = held[slot]
    if (lease !== undefined) {
      held[slot] = undefined
      lease.release().then(
        () => done(true, RELEASED),
        () => done(false, RELEASED),
      )
      return
    }
    clients[slot % clients.length]!.acquire(`bench/lease/${label}/${next++}`, { ttl: '1m' }).then(
      (granted) => {
        held[slot] = granted
        done(true, ACQUIRED)
      },
      () => done(false, ACQUIRED),
    )
  }
}

export const lease: Scenario = {
  name: 'lease',
  about: 'acquire and release of distinct names',
  repeats: BENCH.repeats,
  async run(bench) {
    const { seconds } = bench
    const server = await bench.startServer()
    const clients = Array.from({ length: BENCH.connections }, (_, i) =>
      createClient({ endpoints: [server.url], name: `bench-lease-${i}` }),
    )
    const load = (inFlight: number) => {
      const unit = acquireAndRelease(clients, `closed-${inFlight}`)
      return closedLoop({ unit, kinds: KINDS, inFlight, seconds })
    }
    try {
      // One alone is too seldom to have a new server's code compiled: it comes after those that do.
      const some = await load(64)
      await bench.measureRaw()
      const alone = await load(1)
      await bench.measureRaw()
      const cost = await costed(server, () => load(IN_FLIGHT))
      const full = cost.load
      await bench.measureRaw()
      const unit = acquireAndRelease(clients, 'open')
      const ratePerS = Math.max(1, full.perS / 2)
      const half = await openLoop({ unit, kinds: KINDS, ratePerS, inFlightMax: 4 * IN_FLIGHT, seconds })
      loadNote(bench, 'the client library', [alone, some, full, half])
      bench.note(
        'Commands: acquires and releases, each committed and acknowledged. One alone: on a server that has served the 64 before.',
      )
      return [
        {
          name: 'one acquire alone, p50',
          value: alone.byKind.acquire!.p50,
          unit: 'ms',
          target: { sense: 'at most', times: bench.members === 1 ? 2.5 : 3.5, of: 'synced batch + round trip' },
        },
        { name: 'one acquire alone, p99', value: alone.byKind.acquire!.p99, unit: 'ms' },
        { name: 'one release alone, p50', value: alone.byKind.release!.p50, unit: 'ms' },
        { name: 'commands, 64 in flight', value: some.perS, unit: '/s' },
        { name: 'acquire, 64 in flight, p50', value: some.byKind.acquire!.p50, unit: 'ms' },
        { name: 'acquire, 64 in flight, p99', value: some.byKind.acquire!.p99, unit: 'ms' },
        {
          name: `commands, ${IN_FLIGHT} in flight`,
          value: full.perS,
          unit: '/s',
          ...ofOneServer(bench, { sense: 'at least', times: 12, of: '1 / synced batch' }),
        },
        { name: `acquire, ${IN_FLIGHT} in flight, p50`, value: full.byKind.acquire!.p50, unit: 'ms' },
        { name: `acquire, ${IN_FLIGHT} in flight, p99`, value: full.byKind.acquire!.p99, unit: 'ms' },
        ...costFigures(cost, 'command'),
        { name: 'open loop at half of that, p50', value: half.latency.p50, unit: 'ms' },
        { name: 'open loop at half of that, p99', value: half.latency.p99, unit: 'ms' },
        { name: 'of it units began late by, p99', value: half.late.p99, unit: 'ms' },
      ]
    } finally {
      await Promise.all(clients.map((client) => client.close()))
    }
  },
}
