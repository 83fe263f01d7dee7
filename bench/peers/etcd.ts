/**
 * etcd: three members from Debian's etcd-server with their defaults, driven over gRPC as its client libraries do. A cycle
 * is what a lock with a lease takes there: grant a lease, put the key under it if nobody has it, revoke the lease. A
 * renewal is a keepalive on a stream; the leader answers it from memory and replicates nothing.
 */
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Done, Unit } from '../driver.js'
import { fill } from '../fill.js'
import { freePorts } from '../ports.js'
import { Grpc } from './grpc.js'
import { PEER_MEMBERS, type Peer, type PeerCluster } from './peer.js'
import { Program, untilReady } from './program.js'
import { fieldOf, message } from './protobuf.js'

const TTL_S = 60
const RPC = {
  grant: '/etcdserverpb.Lease/LeaseGrant',
  revoke: '/etcdserverpb.Lease/LeaseRevoke',
  keepAlive: '/etcdserverpb.Lease/LeaseKeepAlive',
  txn: '/etcdserverpb.KV/Txn',
  status: '/etcdserverpb.Maintenance/Status',
}
const VERSION = 0
const EQUAL = 0

/** Put the key under the lease, if there is no such key: compare its version with 0. */
function putIfNew(key: string, lease: number): Uint8Array {
  const compare = message([1, EQUAL], [2, VERSION], [3, key], [4, 0])
  const put = message([1, key], [2, 'x'], [3, lease])
  return message([1, compare], [2, message([2, put])])
}

class EtcdCluster implements PeerCluster {
  readonly #programs: readonly Program[]
  readonly #folder: string
  readonly #links: readonly Grpc[]
  /** Leases are numbered here, so that their numbers stay small. */
  #lease = 1_000_000

  constructor(programs: readonly Program[], folder: string, links: readonly Grpc[]) {
    this.#programs = programs
    this.#folder = folder
    this.#links = links
  }

  cycles(label: string): Unit {
    return (slot: number, done: Done) => {
      const link = this.#links[slot % this.#links.length]!
      const lease = this.#lease++
      this.#grant(link, lease, (granted) => {
        if (!granted) return done(false)
        link.call(RPC.txn, putIfNew(`${label}/${lease}`, lease), (reply) => {
          if (reply === null || fieldOf(reply, 2) !== 1n) return done(false)
          link.call(RPC.revoke, message([1, lease]), (revoked) => done(revoked !== null))
        })
      })
    }
  }

  #grant(link: Grpc, lease: number, done: (ok: boolean) => void): void {
    link.call(RPC.grant, message([1, TTL_S], [2, lease]), (reply) => done(reply !== null))
  }

  async renewals(count: number): Promise<Unit> {
    const first = this.#lease
    this.#lease += count
    const linkOf = (n: number) => n % this.#links.length
    await fill(count, 64, (n, done) => this.#grant(this.#links[linkOf(n)]!, first + n, done))
    const waiting = new Map<number, Done>()
    const streams = this.#links.map((link) =>
      link.stream(RPC.keepAlive, (reply) => {
        const lease = Number(fieldOf(reply, 2) ?? 0n)
        const done = waiting.get(lease)
        waiting.delete(lease)
        done?.(Number(fieldOf(reply, 3) ?? 0n) > 0)
      }),
    )
    let next = 0
    return (_slot: number, done: Done) => {
      const n = next++ % count
      waiting.set(first + n, done)
      streams[linkOf(n)]!(message([1, first + n]))
    }
  }

  async close(): Promise<void> {
    for (const link of this.#links) link.close()
    await Promise.all(this.#programs.map((program) => program.close()))
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** The client address of the leader; null while there is none. */
async function leaderOf(urls: readonly string[]): Promise<string | null> {
  for (const url of urls) {
    const link = await Grpc.open(url)
    const status = await new Promise<Buffer | null>((resolve) => link.call(RPC.status, message(), resolve))
    link.close()
    const header = status === null ? undefined : fieldOf(status, 1)
    if (status === null || !(header instanceof Uint8Array)) continue
    const leader = fieldOf(status, 4)
    if (leader !== undefined && leader === fieldOf(header, 2)) return url
  }
  return null
}

export const etcd: Peer = {
  name: 'etcd',
  about:
    "etcd: Debian's etcd-server, defaults, gRPC over Node's HTTP/2 to the leader; a cycle is LeaseGrant + Txn + LeaseRevoke, a renewal a LeaseKeepAlive",
  missing: () => (spawnSync('etcd', ['--version']).status === 0 ? null : 'etcd is not installed (Debian: etcd-server)'),
  async start(parent, connections) {
    const folder = await mkdtemp(join(parent, 'etcd-'))
    const ports = await freePorts(2 * PEER_MEMBERS)
    const members = Array.from({ length: PEER_MEMBERS }, (_, i) => ({
      name: `e${i + 1}`,
      client: `http://127.0.0.1:${ports[2 * i]}`,
      peer: `http://127.0.0.1:${ports[2 * i + 1]}`,
    }))
    const cluster = members.map(({ name, peer }) => `${name}=${peer}`).join(',')
    const programs = members.map(({ name, client, peer }) => {
      const listen = ['--listen-client-urls', client, '--advertise-client-urls', client, '--listen-peer-urls', peer]
      const join_ = ['--initial-advertise-peer-urls', peer, '--initial-cluster', cluster]
      return new Program('etcd', ['--name', name, '--data-dir', join(folder, name), ...listen, ...join_], folder)
    })
    const links: Grpc[] = []
    try {
      let leader: string | null = null
      await untilReady(programs, async () => {
        leader = await leaderOf(members.map(({ client }) => client))
        return leader !== null
      })
      for (let i = 0; i < connections; i++) links.push(await Grpc.open(leader!))
      return new EtcdCluster(programs, folder, links)
    } catch (error) {
      await new EtcdCluster(programs, folder, links).close()
      throw error
    }
  },
}
