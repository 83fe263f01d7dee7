/** Servers under load that are one cluster: one, or three that know each other. They end together. */

import { BENCH } from './limits.js'
import { memberAddress, type Network } from './network.js'
import { freePorts } from './ports.js'
import { ServerProcess } from './server.js'

export interface ClusterOptions {
  /** Where the data directories are made. */
  readonly parent: string
  readonly profile?: string | undefined
  readonly members: number
  /** Null: all of them on loopback. */
  readonly network: Network | null
  /** What else each member is told. */
  readonly flags?: readonly string[]
  /** Their inspectors listen, for what they hold in memory. */
  readonly inspect?: boolean
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Who leads, says this member; null where it does not answer soon, or knows of none. */
async function leaderBy(server: ServerProcess): Promise<string | null> {
  try {
    const answer = await fetch(`${server.url}/v1/cluster`, { signal: AbortSignal.timeout(ASK_MS) })
    return ((await answer.json()) as { leader?: string | null }).leader ?? null
  } catch {
    return null
  }
}
const ASK_MS = 500

export class Cluster {
  readonly servers: readonly ServerProcess[]

  private constructor(servers: readonly ServerProcess[]) {
    this.servers = servers
  }

  /** Resolves once all of them are ready. */
  static async start({
    parent,
    profile,
    members,
    network,
    flags: told = [],
    inspect = false,
  }: ClusterOptions): Promise<Cluster> {
    const ports = await freePorts((inspect ? 3 : 2) * members)
    const names = Array.from({ length: members }, (_, i) => `n${i + 1}`)
    const hosts = names.map((_, i) => (network === null ? '127.0.0.1' : memberAddress(i + 1)))
    const peerAt = (i: number) => `${hosts[i]}:${ports[members + i]}`
    const peers = names.map((name, i) => `${name}=${peerAt(i)}`).join(',')
    const servers: ServerProcess[] = []
    const cluster = new Cluster(servers)
    try {
      for (const [i, name] of names.entries()) {
        const peering = members === 1 ? [] : ['--peer-listen', peerAt(i), '--cluster', peers]
        const flags = [...peering, ...told, ...(network === null ? [] : ['--insecure'])]
        const under = network?.under(i + 1) ?? []
        const [host, port] = [hosts[i]!, ports[i]!]
        const inspectPort = inspect ? ports[2 * members + i] : undefined
        servers.push(await ServerProcess.spawn({ parent, profile, name, host, port, flags, under, inspectPort }))
      }
      await Promise.all(servers.map((server) => server.ready()))
      return cluster
    } catch (error) {
      await cluster.close()
      throw error
    }
  }

  get urls(): string[] {
    return this.servers.map(({ url }) => url)
  }

  /** The member that another, or it itself, names as the leader. `except` is neither asked nor taken. Waits for one. */
  async leader(except?: ServerProcess): Promise<ServerProcess> {
    const untilMs = performance.now() + BENCH.readyMsMax
    while (performance.now() < untilMs) {
      for (const server of this.servers) {
        if (server === except || !server.alive) continue
        const named = await leaderBy(server)
        const found = this.servers.find(({ name }) => name === named)
        if (found !== undefined && found !== except) return found
      }
      await sleep(20)
    }
    throw new Error('no member has a leader')
  }

  async close(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.close()))
  }
}
