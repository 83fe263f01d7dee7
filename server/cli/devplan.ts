/** What a local cluster consists of: names, addresses, folders, and the command line of each member. Pure. */
import { join } from 'node:path'

export interface PlannedMember {
  readonly name: string
  readonly url: string
  /** HOST:PORT. */
  readonly peerAddress: string
  readonly args: readonly string[]
}

export interface DevWish {
  readonly members: number
  /** Clients of the first member come in here, members at the next one; so on for the other members. */
  readonly port: number
  readonly data: string
  readonly logLevel: string
}

const HOST = '127.0.0.1'
const PORTS_PER_MEMBER = 2

/** The last port that is used. */
export function lastPort({ members, port }: Pick<DevWish, 'members' | 'port'>): number {
  return port + PORTS_PER_MEMBER * members - 1
}

export function planOf(wish: DevWish): readonly PlannedMember[] {
  const places = Array.from({ length: wish.members }, (_, at) => {
    const port = wish.port + PORTS_PER_MEMBER * at
    return { name: `n${at + 1}`, address: `${HOST}:${port}`, peerAddress: `${HOST}:${port + 1}` }
  })
  const cluster = places.map(({ name, peerAddress }) => `${name}=${peerAddress}`).join(',')
  return places.map(({ name, address, peerAddress }) => {
    const settings = { name, data: join(wish.data, name), listen: address, cluster, 'log-level': wish.logLevel }
    const flags = Object.entries({ ...settings, 'log-format': 'json' }).flatMap(([flag, value]) => [`--${flag}`, value])
    return { name, url: `http://${address}`, peerAddress, args: ['serve', ...flags] }
  })
}
