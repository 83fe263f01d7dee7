/** A cluster under chaos, and what can be done to it. Everything that is opened here is closed here. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { memberAddress, type Network } from '#bench/network.js'
import { freePorts } from '#bench/ports.js'
import { Member } from './member.js'
import { SmallDisk } from './smalldisk.js'

export interface WorldOptions {
  readonly members: number
  /** A folder for this world alone; it exists. */
  readonly folder: string
  /** Null: all of them on loopback, and nothing can be cut. */
  readonly network: Network | null
  /** Every data directory on a small volume of its own. */
  readonly smallDisks: boolean
}

const CLIENT_PORT = 7420
const PEER_PORT = 7421
const LEADER_MS_MAX = 15_000

export class World {
  readonly members: readonly Member[]
  readonly network: Network | null
  readonly disks: readonly SmallDisk[]

  private constructor(members: readonly Member[], network: Network | null, disks: readonly SmallDisk[]) {
    this.members = members
    this.network = network
    this.disks = disks
  }

  /** Resolves once all members are ready. */
  static async open({ members: count, folder, network, smallDisks }: WorldOptions): Promise<World> {
    const numbers = Array.from({ length: count }, (_, i) => i + 1)
    const ports = network === null ? await freePorts(2 * count) : []
    const clientAt = (n: number) =>
      network === null ? `127.0.0.1:${ports[n - 1]}` : `${memberAddress(n)}:${CLIENT_PORT}`
    const peerAt = (n: number) =>
      network === null ? `127.0.0.1:${ports[count + n - 1]}` : `${memberAddress(n)}:${PEER_PORT}`
    const list = numbers.map((n) => `n${n}=${peerAt(n)}`).join(',')
    const disks: SmallDisk[] = []
    const members = numbers.map((number) => {
      const peering = count === 1 ? [] : ['--peer-listen', peerAt(number), '--cluster', list]
      const insecure = network === null ? [] : ['--insecure']
      const flags = ['--listen', clientAt(number), '--log-format', 'json', ...peering, ...insecure]
      const dataPath = join(folder, `n${number}`, 'data')
      const under = network?.under(number) ?? []
      return new Member({ number, dataPath, url: `http://${clientAt(number)}`, flags, under })
    })
    const world = new World(members, network, disks)
    try {
      for (const { name } of members) {
        const path = join(folder, name)
        await mkdir(path, { recursive: true })
        if (smallDisks) disks.push(new SmallDisk(path))
      }
      for (const member of members) member.start()
      await Promise.all(members.map((member) => member.ready()))
      return world
    } catch (error) {
      await world.close()
      throw error
    }
  }

  /** The member that leads, by what most say. Waits for one. */
  async leader(): Promise<Member> {
    const endMs = performance.now() + LEADER_MS_MAX
    while (performance.now() < endMs) {
      // Most must agree: a deposed leader takes itself for one for a while.
      const said = await Promise.all(this.members.map((member) => (member.alive ? member.leader() : null)))
      const led = this.members.find(({ name }) => said.filter((one) => one === name).length > this.members.length / 2)
      if (led !== undefined) return led
      await sleep(30)
    }
    throw new Error('no member leads')
  }

  others(of: Member): Member[] {
    return this.members.filter((member) => member !== of)
  }

  /** Takes back all that was done; resolves once all members are ready. */
  async mend(): Promise<void> {
    this.network?.heal()
    for (const disk of this.disks) disk.free()
    for (const member of this.members) {
      member.signal('SIGCONT')
      if (!member.alive) member.start()
    }
    await Promise.all(this.members.map((member) => member.ready()))
  }

  /** What members said that ended though nothing was done to them. */
  get endings(): string[] {
    return this.members.flatMap(({ endings }) => endings)
  }

  async close(): Promise<void> {
    this.network?.heal()
    await Promise.all(this.members.map((member) => member.end('SIGKILL')))
    for (const disk of this.disks) disk.close()
    for (const { dataPath } of this.members) await rm(dataPath, { recursive: true, force: true })
  }
}
