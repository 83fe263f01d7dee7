/**
 * Reads of one lease each, over raw sessions: at the leader, and spread over all members. Every one is answered behind a
 * read barrier: what it says was so at some moment after it was sent.
 */
import { OK } from '@leasehold/protocol'
import { closedLoop, type Done, type Unit } from '../driver.js'
import { BENCH } from '../limits.js'
import { RawLeases } from '../rawleases.js'
import { openSessions, type RawSession } from '../rawsession.js'
import type { Figure } from '../report.js'
import type { Bench, Scenario } from '../scenario.js'
import { loadNote } from './notes.js'

const LEASES = 1_000
const IN_FLIGHT = 512
const TTL_MS = 3_600_000

function gets(sessions: readonly RawSession[], leases: RawLeases): Unit {
  let next = 0
  return (slot: number, done: Done) => {
    const name = leases.name(next++ % LEASES)
    sessions[slot % sessions.length]!.get(name, (code) => done(code === OK))
  }
}

async function measure(bench: Bench, where: string, unit: Unit): Promise<Figure[]> {
  const { seconds } = bench
  const alone = await closedLoop({ unit, inFlight: 1, seconds })
  const full = await closedLoop({ unit, inFlight: IN_FLIGHT, seconds })
  loadNote(bench, 'raw sessions', [alone, full])
  return [
    { name: `${where}: alone, p50`, value: alone.latency.p50, unit: 'ms' },
    { name: `${where}: alone, p99`, value: alone.latency.p99, unit: 'ms' },
    { name: `${where}: ${IN_FLIGHT} in flight`, value: full.perS, unit: '/s' },
    { name: `${where}: ${IN_FLIGHT} in flight, p99`, value: full.latency.p99, unit: 'ms' },
  ]
}

export const reads: Scenario = {
  name: 'reads',
  about: 'reads of single leases, at the leader and at all members',
  repeats: BENCH.repeats,
  members: 3,
  apart: true,
  async run(bench) {
    const cluster = await bench.startCluster()
    const leader = await cluster.leader()
    const atLeader = await openSessions(leader.url, BENCH.connections, 'bench-reads')
    const spread: RawSession[] = []
    try {
      const leases = new RawLeases(atLeader, LEASES, 'bench/reads/', 24)
      await leases.acquireAll(IN_FLIGHT, () => TTL_MS)
      const figures = await measure(bench, 'leader', gets(atLeader, leases))
      if (bench.members === 1) return figures
      for (const [i, url] of cluster.urls.entries())
        spread.push(...(await openSessions(url, BENCH.connections, `bench-reads-${i}`)))
      return [...figures, ...(await measure(bench, 'all members', gets(interleaved(spread), leases)))]
    } finally {
      for (const session of [...atLeader, ...spread]) session.close()
    }
  },
}

/** So that slots in a row go to members in turn. */
function interleaved(sessions: readonly RawSession[]): RawSession[] {
  const { connections } = BENCH
  return sessions.map(
    (_, i) =>
      sessions[(i % (sessions.length / connections)) * connections + Math.floor(i / (sessions.length / connections))]!,
  )
}
