/**
 * Ports of loopback that are free at this moment, for processes that must be told theirs. They lie below those that systems hand out to
 * whoever connects, so that no connection takes one before its process does; and each process that asks looks among others than its
 * neighbours, so that neither do they.
 */
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/** Below 32,768, where Linux begins to hand out, and above what services are known for. */
const FIRST = 10_000
const OF_A_PROCESS = 40
const PROCESSES = 560
const TRIES = 20

/** The last ones are not given again before all others were. */
let next = 0

/** So many in a row. Throws where there are none. */
export async function freePorts(count: number): Promise<number[]> {
  if (count > OF_A_PROCESS) throw new RangeError(`a process has ${OF_A_PROCESS} ports to look among, not ${count}`)
  const base = FIRST + (process.pid % PROCESSES) * OF_A_PROCESS
  for (let tried = 0; tried < TRIES; tried++) {
    if (next + count > OF_A_PROCESS) next = 0
    const ports = Array.from({ length: count }, (_, at) => base + next + at)
    next += count
    if (await areFree(ports)) return ports
  }
  throw new Error(`there are no ${count} free ports in a row from ${base} on`)
}

async function areFree(ports: readonly number[]): Promise<boolean> {
  const probes: Server[] = []
  try {
    for (const port of ports) {
      const probe = createServer((stranger) => stranger.destroy()).listen(port, '127.0.0.1')
      probes.push(probe)
      await once(probe, 'listening')
    }
    return true
  } catch {
    return false
  } finally {
    await Promise.all(probes.filter(({ listening }) => listening).map((probe) => once(probe.close(), 'close')))
  }
}
