/**
 * Ten million commands, and what they leave behind: memory of the processes, entries in the log and bytes on disk at the end, against
 * those at two million. The audit is limited to 64 MiB, or it would grow by itself.
 */
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fill } from '../fill.js'
import { BENCH } from '../limits.js'
import { rawCycles } from '../rawcycles.js'
import { openSessions } from '../rawsession.js'
import type { Figure } from '../report.js'
import type { Scenario } from '../scenario.js'
import type { ServerProcess } from '../server.js'

const EARLY_COMMANDS = 2_000_000
const LATE_COMMANDS = 10_000_000
const COMMANDS_A_CYCLE = 2
const IN_FLIGHT = 512
const AUDIT_BYTES = 64 * 1_048_576
const MB = 1_048_576
/** Sizes go up and down with compactions and collections: the median of so many looks, so far apart. */
const LOOKS = 11
const LOOK_EVERY_MS = 500
const GROWTH_MAX = 1.1

async function bytesIn(folder: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    // LevelDB deletes files while they are counted.
    bytes += entry.isDirectory()
      ? await bytesIn(path)
      : await lstat(path).then(
          ({ size }) => size,
          () => 0,
        )
  }
  return bytes
}

interface Sizes {
  readonly memoryMB: number
  readonly logEntries: number
  readonly diskMB: number
}

/** Of all members together, once the load has ended. */
async function sizesOf(servers: readonly ServerProcess[]): Promise<Sizes> {
  const [memory, log, disk]: [number[], number[], number[]] = [[], [], []]
  for (let look = 0; look < LOOKS; look++) {
    const rss = await Promise.all(servers.map((server) => server.rssBytes()))
    const entries = await Promise.all(servers.map((server) => server.metrics(['leasehold_log_entries'])))
    const bytes = await Promise.all(servers.map(({ dataFolder }) => bytesIn(dataFolder)))
    memory.push(rss.reduce((sum, one) => sum + one, 0) / MB)
    log.push(entries.reduce((sum, [one = Number.NaN]) => sum + one, 0))
    disk.push(bytes.reduce((sum, one) => sum + one, 0) / MB)
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
  return { memoryMB: middle(memory), logEntries: middle(log), diskMB: middle(disk) }
}

const middle = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!

export const endure: Scenario = {
  name: 'endure',
  about: 'ten million commands: memory, log and disk at the end against those at two million',
  repeats: 1,
  members: 3,
  apart: true,
  async run(bench) {
    const cluster = await bench.startCluster(['--audit-bytes', String(AUDIT_BYTES)])
    const leader = await cluster.leader()
    const sessions = await openSessions(leader.url, BENCH.connections, 'bench-endure')
    const cycles = rawCycles(sessions, 'bench/endure')
    const until = async (from: number, to: number): Promise<void> => {
      const count = Math.ceil((to - from) / COMMANDS_A_CYCLE / bench.shrink)
      await fill(count, IN_FLIGHT, (n, done) => cycles(n % IN_FLIGHT, done))
      bench.say(`${Math.round(to / bench.shrink)} commands done`)
    }
    try {
      await until(0, EARLY_COMMANDS)
      const early = await sizesOf(cluster.servers)
      await until(EARLY_COMMANDS, LATE_COMMANDS)
      const late = await sizesOf(cluster.servers)
      bench.note(
        `${bench.members} members, all sizes together; acquire and release of names never used before; audit limited to 64 MiB.`,
      )
      return [
        ...compared('memory', 'MB', early.memoryMB, late.memoryMB),
        ...compared('log entries', '', early.logEntries, late.logEntries),
        ...compared('disk', 'MB', early.diskMB, late.diskMB),
      ]
    } finally {
      for (const session of sessions) session.close()
    }
  },
}

function compared(what: string, unit: Figure['unit'], early: number, late: number): Figure[] {
  return [
    { name: `${what} at 2 million`, value: early, unit },
    { name: `${what} at 10 million`, value: late, unit },
    {
      name: `${what}, the one to the other`,
      value: late / early,
      unit: 'x',
      target: { sense: 'at most', times: GROWTH_MAX, of: 'absolute' },
    },
  ]
}
