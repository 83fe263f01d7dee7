/** What a log must read of its own entries before it can take part. */
import { type Configuration, type LogIndex, logIndex, peerIdOf } from '@leasehold/protocol'
import type { Random } from '../ports/index.js'
import { RAFT_LIMITS, Raft, type RaftLimits } from '../raft/index.js'
import type { Recovered, Store } from '../storage/index.js'
import { carried, type ReplicaEntry, reconfigures } from './logentry.js'

/** The first entry of every directory forms the cluster: it is committed by definition. */
export const FORMING = logIndex(1)

export async function formingEntry(store: Pick<Store, 'entries'>): Promise<ReplicaEntry> {
  for await (const chunk of store.entries(FORMING, FORMING)) for (const entry of chunk) return carried(entry)
  throw new Error('the log does not begin with its first entry')
}

/** Entries after `applied` that change the configuration: it is not known yet whether they are committed. */
export async function reconfigurationsAfter(
  store: Pick<Store, 'entries'>,
  applied: LogIndex,
  lastIndex: LogIndex,
): Promise<readonly LogIndex[]> {
  const found: LogIndex[] = []
  if (applied >= lastIndex) return found
  for await (const chunk of store.entries(logIndex(applied + 1), lastIndex)) {
    for (const entry of chunk) if (reconfigures(entry)) found.push(entry.index)
  }
  return found
}

export interface Opened {
  readonly configuration: Configuration
  readonly applied: LogIndex
  /** Behind what is applied. */
  readonly reconfigurations: readonly LogIndex[]
  readonly random: Random
  readonly limits?: Partial<RaftLimits>
}

/** The core of a member whose store holds this, as it was when the member ended. */
export function coreOf(recovered: Recovered, opened: Opened) {
  const { configuration, applied, reconfigurations, random, limits } = opened
  const { identity, hardState, firstIndex, lastIndex, terms } = recovered
  const start = {
    id: peerIdOf(identity.memberId, identity.directoryId),
    hardState,
    configuration,
    firstIndex,
    lastIndex,
    terms,
    applied,
    commit: applied,
    reconfigurations,
    random: () => random.next(),
  }
  return new Raft<ReplicaEntry>(start, { ...RAFT_LIMITS, ...limits })
}
