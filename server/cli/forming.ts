/**
 * The first start of a member: its directory is formed, for a cluster of its own or together with the members that were listed.
 * What it once told others of its directory stays true over restarts, so a start that was cut short goes on where it was.
 */
import {
  type Configuration,
  clusterMs,
  INTERNAL_OP,
  logIndex,
  type PeerId,
  peerIdOf,
  run,
  term,
  wallMs,
} from '@leasehold/protocol'
import type { Entry } from '../machine/index.js'
import type { Disk, Random } from '../ports/index.js'
import { directoryState, formDirectory, readForming, writeForming } from '../storage/index.js'

const CLUSTER_ID_BYTES = 8
const DIRECTORY_ID_BYTES = 8

const id = (random: Random, bytes: number) => Buffer.from(random.bytes(bytes)).toString('hex')

/** The entry that every directory of a new cluster begins with: the same bytes in each of them. */
export function bootstrapOf(configuration: Configuration): Entry {
  return {
    term: term(1),
    index: logIndex(1),
    timeMs: clusterMs(0),
    wallMs: wallMs(0),
    member: '',
    run: run(0),
    batch: 0,
    commands: [{ op: INTERNAL_OP.configure, configuration }],
  }
}

/** Forms a cluster of this member alone. */
export async function formAlone(disk: Disk, memberId: string, address: string, random: Random): Promise<void> {
  const directoryId = (await readForming(disk))?.directoryId ?? id(random, DIRECTORY_ID_BYTES)
  const peer: PeerId = peerIdOf(memberId, directoryId)
  const configuration = { voters: [peer], outgoing: [], learners: [], addresses: { [peer]: address } }
  const clusterId = id(random, CLUSTER_ID_BYTES)
  await formDirectory(disk, { clusterId, memberId, directoryId }, bootstrapOf(configuration))
}

/** The id of an unformed directory, written down before anybody is told of it. */
export async function directoryIdOf(disk: Disk, memberId: string, random: Random): Promise<string> {
  const known = await readForming(disk)
  if (known !== null) return known.directoryId
  const directoryId = id(random, DIRECTORY_ID_BYTES)
  await writeForming(disk, { memberId, directoryId })
  return directoryId
}

export async function isEmpty(disk: Disk): Promise<boolean> {
  return (await directoryState(disk)) === 'empty'
}
