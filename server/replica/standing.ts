/** Where a log stands, as people and the rooms above see it. */
import { type Configuration, logIndex, memberOf, type PeerId } from '@leasehold/protocol'
import type { RaftStatus } from '../raft/index.js'
import type { Recovered } from '../storage/index.js'
import type { LogStatus, PeerStatus } from './log.js'

/** Before the first configuration: alone, or among those it was introduced to, where it decides nothing. */
export function beginning(self: PeerId, introduced?: Readonly<Record<PeerId, string>>): Configuration {
  const voters = introduced === undefined ? [self] : []
  return { voters, outgoing: [], learners: [], addresses: introduced ?? { [self]: '' } }
}

/** `core` is null before there is one. */
export function statusOf(
  core: RaftStatus | null,
  recovered: Recovered,
  addresses: Readonly<Record<PeerId, string>>,
): LogStatus {
  if (core === null) {
    const { hardState, checkpointIndex: commitIndex, firstIndex, lastIndex } = recovered
    return { term: hardState.term, role: 'follower', leader: null, commitIndex, firstIndex, lastIndex, peers: [] }
  }
  const { term, role, leader, commit, firstIndex, lastIndex } = core
  return {
    term,
    role,
    leader: leader === null ? null : memberOf(leader),
    commitIndex: commit,
    firstIndex,
    lastIndex,
    peers: peersOf(core, addresses),
  }
}

function peersOf(core: RaftStatus, addresses: Readonly<Record<PeerId, string>>): readonly PeerStatus[] {
  const { voters, outgoing } = core.configuration
  const known = new Map(core.progress.map((one) => [one.peer, one]))
  return Object.entries(addresses).map(([peer, address]) => {
    const progress = known.get(peer)
    const own = core.role === 'leader' && peer === core.id
    return {
      peer,
      address,
      voter: voters.includes(peer) || outgoing.includes(peer),
      match: own ? core.lastIndex : progress === undefined ? null : logIndex(progress.match),
      active: own ? true : (progress?.active ?? null),
    }
  })
}

/** Who of the other voters that are able has most of a leader's log, and answers; null: nobody does. */
export function successorOf(
  { id, progress, configuration }: RaftStatus,
  able: (peer: PeerId) => boolean,
): PeerId | null {
  const there = progress.filter(({ peer, active }) => peer !== id && active && configuration.voters.includes(peer))
  return there.filter(({ peer }) => able(peer)).sort((a, b) => b.match - a.match)[0]?.peer ?? null
}

/** Those who are able could decide without the others. Where nobody votes, nobody can. */
export function areMajority(
  { voters, outgoing }: Pick<Configuration, 'voters' | 'outgoing'>,
  able: (peer: PeerId) => boolean,
): boolean {
  const most = (peers: readonly PeerId[]) => 2 * peers.filter(able).length > peers.length
  return most(voters) && (outgoing.length === 0 || most(outgoing))
}
