/**
 * The first start of a member: its directory is formed, for a cluster of its own or together with the members that were listed.
 * What it once told others of its directory stays true over restarts, so a start that was cut short goes on where it was.
 */
import {
  type Configuration,
  decodeCommands,
  encodeCommands,
  INTERNAL_OP,
  logIndex,
  memberOf,
  type PeerId,
  peerIdOf,
  peersOf,
} from '@leasehold/protocol'
import { foundingEntry, type Machine } from '../machine/index.js'
import { askPeer, type Door, type Facts, formCluster, VERSIONS } from '../peers/index.js'
import type { Disk, Random } from '../ports/index.js'
import { directoryState, formDirectory, readForming, type Store, writeForming } from '../storage/index.js'
import { addressText, type ListedMember } from './clusterlist.js'

const CLUSTER_ID_BYTES = 8
const DIRECTORY_ID_BYTES = 8

const id = (random: Random, bytes: number) => Buffer.from(random.bytes(bytes)).toString('hex')
const addressesOf = (cluster: readonly ListedMember[]) =>
  new Map(cluster.map(({ member, address }) => [member, addressText(address)]))

function configurationOf(peers: readonly PeerId[], addresses: ReadonlyMap<string, string>): Configuration {
  const voters = [...peers].sort()
  const placed = Object.fromEntries(voters.map((peer) => [peer, addresses.get(memberOf(peer))!]))
  return { voters, outgoing: [], learners: [], addresses: placed }
}

export async function isEmpty(disk: Disk): Promise<boolean> {
  return (await directoryState(disk)) === 'empty'
}

/** Forms a cluster of this member alone. */
export async function formAlone(disk: Disk, memberId: string, address: string, random: Random): Promise<void> {
  const directoryId = await directoryIdOf(disk, memberId, random)
  const configuration = configurationOf([peerIdOf(memberId, directoryId)], new Map([[memberId, address]]))
  const clusterId = id(random, CLUSTER_ID_BYTES)
  await formDirectory(disk, { clusterId, memberId, directoryId }, foundingEntry(configuration))
}

/** The id of an unformed directory, written down before anybody is told of it. */
async function directoryIdOf(disk: Disk, memberId: string, random: Random): Promise<string> {
  const known = await readForming(disk)
  if (known !== null && known.memberId === memberId) return known.directoryId
  const directoryId = id(random, DIRECTORY_ID_BYTES)
  await writeForming(disk, { memberId, directoryId })
  return directoryId
}

export interface Together {
  readonly door: Door
  readonly memberId: string
  readonly cluster: readonly ListedMember[]
  readonly random: Random
  /** Told again and again while it forms: what is waited for, for people. */
  readonly waiting: (what: string) => void
}

/** Forms the directory as one of the listed members', or as a later one's of the cluster that they are. Waits for them as long as it takes. */
export async function formTogether(disk: Disk, together: Together): Promise<void> {
  const { door, memberId, cluster, random, waiting } = together
  const directoryId = await directoryIdOf(disk, memberId, random)
  const self = peerIdOf(memberId, directoryId)
  const members = addressesOf(cluster)
  await formCluster({
    door,
    self,
    members,
    waiting,
    found: (peers) => {
      const { commands } = foundingEntry(configurationOf(peers, members))
      return { clusterId: id(random, CLUSTER_ID_BYTES), founding: encodeCommands(commands) }
    },
    write: ({ clusterId, founding }) => {
      const first = founding === null ? null : firstConfiguration(founding)
      // Whoever came later gets everything from the leader, the first entry, too.
      const named = first !== null && peersOf(first).includes(self)
      return formDirectory(disk, { clusterId, memberId, directoryId }, named ? foundingEntry(first) : null)
    },
  })
}

/** Throws for what is no founding entry. */
function firstConfiguration(founding: Uint8Array): Configuration {
  const [command] = decodeCommands(founding)
  if (command?.op !== INTERNAL_OP.configure) throw new Error('the first entry of a cluster names its members')
  return command.configuration
}

/** What this member tells those who ask where they belong. */
export async function factsOf(store: Store, machine: Machine): Promise<() => Facts> {
  const { identity, firstIndex, lastIndex } = store.recovered
  let founding: Uint8Array | null = null
  if (firstIndex === 1 && lastIndex >= 1) {
    for await (const chunk of store.entries(logIndex(1), logIndex(1)))
      for (const { commands, body } of chunk) founding = body ?? encodeCommands(commands)
  }
  // Before the log has begun to be replayed, the state knows no configuration yet.
  const founded = founding === null ? null : firstConfiguration(founding)
  return () => {
    const configuration = machine.configuration ?? founded
    return { clusterId: identity.clusterId, names: configuration === null ? [] : peersOf(configuration), founding }
  }
}

const ASK_AGAIN_MS = 500

/**
 * For a directory that joined a cluster and knows of no configuration that names it: where the members are. Asks the listed ones until one
 * of them knows this directory.
 */
export async function introduction(store: Store, together: Together): Promise<Record<PeerId, string>> {
  // Nothing else keeps the process here by now.
  together.door.keepAlive(true)
  try {
    return await introduced(store, together)
  } finally {
    together.door.keepAlive(false)
  }
}

async function introduced(store: Store, { door, memberId, cluster }: Together): Promise<Record<PeerId, string>> {
  const self = peerIdOf(memberId, store.recovered.identity.directoryId)
  const addresses = addressesOf(cluster)
  const ask = { versions: VERSIONS, peer: self, members: [...addresses.keys()], founds: false }
  for (;;) {
    for (const [member, address] of addresses) {
      if (member === memberId) continue
      const answer = await askPeer(door, address, ask).catch(() => null)
      if (answer?.kind !== 'formed' || !answer.facts.names.includes(self)) continue
      const placed = answer.facts.names.map((peer) => [peer, addresses.get(memberOf(peer)) ?? ''] as const)
      return Object.fromEntries(placed.filter(([, at]) => at !== ''))
    }
    await new Promise<void>((resolve) => door.clock.after(ASK_AGAIN_MS, resolve))
  }
}

/** Who listens at an address for other members; null where nobody answers. */
export async function whoIsAt(store: Store, door: Door, address: string): Promise<PeerId | null> {
  const { identity } = store.recovered
  const peer = peerIdOf(identity.memberId, identity.directoryId)
  const ask = { versions: VERSIONS, peer, members: [identity.memberId], founds: false }
  const answer = await askPeer(door, address, ask).catch(() => null)
  return answer?.peer ?? null
}
