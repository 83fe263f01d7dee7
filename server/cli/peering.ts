/**
 * What `serve` was told about the other members: whether there are any, where they come in, and where they find this one. All
 * that does not go together is named at once. Pure.
 */
import { type Address, isLoopback, parseAddress } from './address.js'
import { addressText, type ListedMember, parseCluster } from './clusterlist.js'

export interface Peering {
  /** The members that form a new cluster, this one among them; of a cluster that is formed already, where to find others. */
  readonly cluster: readonly ListedMember[]
  /** Where the other members come in; null for a server that is alone. */
  readonly listen: Address | null
  /** Where the others find this one. */
  readonly advertised: string
}

/** A server without other members. */
export const ALONE: Peering = { cluster: [], listen: null, advertised: '127.0.0.1:7421' }

export interface PeeringWish {
  readonly name: string
  readonly listen: string
  readonly 'peer-listen': string | undefined
  readonly cluster: string | undefined
  readonly insecure: boolean
}

/** The values must have their formats. */
export function peeringOf(wish: PeeringWish): Peering {
  const cluster = wish.cluster === undefined ? [] : parseCluster(wish.cluster)
  const own = cluster.find(({ member }) => member === wish.name)
  const told = wish['peer-listen'] === undefined ? undefined : parseAddress(wish['peer-listen'])
  const listen = told ?? own?.address ?? null
  const advertised = own?.address ?? told
  return { cluster, listen, advertised: advertised === undefined ? ALONE.advertised : addressText(advertised) }
}

/** Everything about the addresses that does not go together, one sentence each. The values must have their formats. */
export function peeringFaults(wish: PeeringWish): string[] {
  const { cluster, listen } = peeringOf(wish)
  const faults: string[] = []
  if (cluster.length > 0 && !cluster.some(({ member }) => member === wish.name)) {
    const names = cluster.map(({ member }) => member).join(', ')
    faults.push(
      `--cluster lists ${names}, but not this member, ${wish.name}: add it, or say which one this is (--name)`,
    )
  }
  if (cluster.length === 0 && listen?.port === 0) {
    faults.push('--peer-listen with port 0 needs --cluster: nobody else could learn the port')
  }
  const client = parseAddress(wish.listen)
  if (listen !== null && listen.port !== 0 && listen.port === client.port && listen.host === client.host) {
    faults.push(
      `--listen and --peer-listen are both ${wish.listen}: clients and members come in at addresses of their own`,
    )
  }
  const guarded: readonly [string, Address | null][] = [
    ['--listen', client],
    ['--peer-listen', listen],
  ]
  for (const [flag, address] of guarded) if (address !== null) faults.push(...openFaults(flag, address, wish.insecure))
  return faults
}

function openFaults(flag: string, address: Address, insecure: boolean): string[] {
  if (insecure || isLoopback(address)) return []
  return [
    `${flag} ${addressText(address)} can be reached from other machines, and there is no TLS and no access control yet: ` +
      'listen on 127.0.0.1, or say --insecure if the network is guarded by other means',
  ]
}
