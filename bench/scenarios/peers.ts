/**
 * The same work on this service and on others, side by side in one run on one machine: cycles of taking and giving back
 * under names of their own, and renewals. Every service has three members, each with its data on the same volume, and all
 * load goes to its leader. Services that are not installed are named and left out.
 */
import { closedLoop, type LoadResult, type Unit } from '../driver.js'
import { BENCH } from '../limits.js'
import { PEERS } from '../peers/index.js'
import type { Peer, PeerCluster } from '../peers/peer.js'
import { rawCycles } from '../rawcycles.js'
import { RawLeases } from '../rawleases.js'
import { openSessions } from '../rawsession.js'
import type { Figure } from '../report.js'
import type { Bench, Scenario } from '../scenario.js'

const IN_FLIGHT = [64, 512] as const
const RENEWED = 512
const TTL_MS = 3_600_000
/** A just-in-time compiler beside us needs longer than we do. */
const WARM_SHARE = 1

/** Of this service's cycles to the other's, at least. */
const CYCLES_AT_LEAST: Readonly<Record<string, number>> = { etcd: 8, zookeeper: 2 }
const RENEWALS_AT_LEAST = 1

interface Measured {
  /** Cycles a second, by how many were in flight. */
  readonly cycles: readonly LoadResult[]
  readonly renewals: LoadResult | null
}

async function load(bench: Bench, unit: Unit, inFlight: number, who: string): Promise<LoadResult> {
  const { seconds } = bench
  const result = await closedLoop({ unit, inFlight, seconds, warmSeconds: seconds * WARM_SHARE })
  bench.say(`${who}, ${inFlight} in flight: ${Math.round(result.perS)}/s`)
  if (result.failed > 0) throw new Error(`${result.failed} units of ${who} failed`)
  return result
}

async function own(bench: Bench): Promise<Measured> {
  const server = await bench.startServer()
  const sessions = await openSessions(server.url, BENCH.connections, 'bench-peers')
  try {
    const cycles: LoadResult[] = []
    for (const inFlight of IN_FLIGHT)
      cycles.push(await load(bench, rawCycles(sessions, `bench/peers/${inFlight}`), inFlight, 'leasehold cycles'))
    const leases = new RawLeases(sessions, RENEWED, 'bench/peers/renewed/', 32)
    await leases.acquireAll(RENEWED, () => TTL_MS)
    return { cycles, renewals: await load(bench, leases.renewals(), RENEWED, 'leasehold renewals') }
  } finally {
    for (const session of sessions) session.close()
  }
}

async function theirs(bench: Bench, peer: Peer): Promise<Measured> {
  const cluster: PeerCluster = await peer.start(bench.parent, BENCH.connections)
  try {
    const cycles: LoadResult[] = []
    for (const inFlight of IN_FLIGHT)
      cycles.push(await load(bench, cluster.cycles(`bench-${inFlight}`), inFlight, `${peer.name} cycles`))
    const unit = await cluster.renewals(RENEWED)
    return { cycles, renewals: unit === null ? null : await load(bench, unit, RENEWED, `${peer.name} renewals`) }
  } finally {
    await cluster.close()
  }
}

function figures(name: string, measured: Measured): Figure[] {
  const { cycles, renewals } = measured
  const all: Figure[] = cycles.flatMap(({ load, perS, latency }) => [
    { name: `${name}: cycles, ${load} in flight`, value: perS, unit: '/s' as const },
    { name: `${name}: a cycle, ${load} in flight, p50`, value: latency.p50, unit: 'ms' as const },
  ])
  if (renewals !== null) all.push({ name: `${name}: renewals, ${RENEWED} in flight`, value: renewals.perS, unit: '/s' })
  return all
}

function ratios(name: string, ours: Measured, other: Measured): Figure[] {
  const times = CYCLES_AT_LEAST[name] ?? 1
  const all: Figure[] = ours.cycles.map(({ load, perS }, i) => ({
    name: `cycles to ${name}'s, ${load} in flight`,
    value: perS / other.cycles[i]!.perS,
    unit: 'x',
    target: { sense: 'at least', times, of: 'absolute' },
  }))
  if (ours.renewals !== null && other.renewals !== null)
    all.push({
      name: `renewals to ${name}'s, ${RENEWED} in flight`,
      value: ours.renewals.perS / other.renewals.perS,
      unit: 'x',
      target: { sense: 'at least', times: RENEWALS_AT_LEAST, of: 'absolute' },
    })
  return all
}

export const peers: Scenario = {
  name: 'peers',
  about: 'the same work on etcd and ZooKeeper, side by side',
  repeats: BENCH.repeats,
  members: 3,
  apart: true,
  async run(bench) {
    const ours = await own(bench)
    await bench.measureRaw()
    const all = figures('leasehold', ours)
    for (const peer of PEERS) {
      const missing = peer.missing()
      if (missing !== null) {
        bench.say(`LEFT OUT: ${missing}`)
        bench.note(`Left out: ${missing}. scripts/install-test-tools.sh installs it.`)
        continue
      }
      const other = await theirs(bench, peer)
      all.push(...figures(peer.name, other), ...ratios(peer.name, ours, other))
      bench.note(peer.about)
    }
    bench.note(
      `leasehold: ${bench.members} members, raw sessions to the leader; a cycle is acquire + release, a renewal is committed by a majority.`,
    )
    bench.note(
      `${BENCH.connections} connections each, closed loops, all in one driver process; warm-up as long as what is measured.`,
    )
    return all
  },
}
