/** Ports of loopback that are free at this moment, for processes that must be told theirs. */
import { once } from 'node:events'
import { createServer } from 'node:net'

/** All of them are held until the last is found, so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const probes = Array.from({ length: count }, () => createServer())
  const ports: number[] = []
  for (const probe of probes) {
    probe.listen(0, '127.0.0.1')
    await once(probe, 'listening')
    ports.push((probe.address() as { port: number }).port)
  }
  for (const probe of probes) {
    probe.close()
    await once(probe, 'close')
  }
  return ports
}
