/**
 * Processor time of both sides over one load. Unlike throughput it hardly depends on what else the machine does, so it
 * tells where a limit is even while others use the same cores.
 */
import type { LoadResult } from './driver.js'
import type { Figure } from './report.js'
import type { ServerProcess } from './server.js'

export interface Costed {
  readonly load: LoadResult
  readonly serverUs: number
  readonly driverUs: number
}

/** Runs the load and divides both sides' processor time by the units that ended, warm-up included. */
export async function costed(server: ServerProcess, run: () => Promise<LoadResult>): Promise<Costed> {
  const own = process.cpuUsage()
  const beforeMs = await server.cpuMs()
  const load = await run()
  const spent = process.cpuUsage(own)
  const serverMs = (await server.cpuMs()) - beforeMs
  const units = Math.max(1, load.ended)
  return { load, serverUs: (serverMs * 1_000) / units, driverUs: (spent.user + spent.system) / units }
}

export function costFigures({ serverUs, driverUs }: Costed, what: string): Figure[] {
  return [
    { name: `server processor time a ${what}`, value: serverUs, unit: 'us' },
    { name: `driver processor time a ${what}`, value: driverUs, unit: 'us' },
  ]
}
