/**
 * Changes of a cluster's members: from the configuration that is, the next one towards what an operator asked for. Pure. One member at a
 * time; a change of the voters goes through both majorities (joint consensus, as in Ongaro's dissertation, 4.3), and a new member
 * learns before it votes. What could leave the cluster without a majority is refused.
 */
import { type Configuration, checkConfiguration, memberOf, type PeerId, ProtocolError } from '@leasehold/protocol'

export type MembershipChange =
  /** Joins as a learner. */
  | { readonly kind: 'add'; readonly peer: PeerId; readonly address: string }
  /** A learner becomes a voter, in the place of an older directory of the same member where there is one. */
  | { readonly kind: 'promote'; readonly member: string }
  | { readonly kind: 'remove'; readonly member: string }

/** What a leader knows of a peer. */
export interface PeerStanding {
  readonly peer: PeerId
  /** It was heard lately. */
  readonly active: boolean
  /** How many entries it lacks of what is committed. */
  readonly behind: number
}

/** A learner that lacks more would hold up every commit as a voter. */
export const BEHIND_MAX = 10_000

const conflict = (detail: string) => new ProtocolError('MEMBERSHIP_CONFLICT', detail)

/**
 * The configuration to be proposed; the one that is, where the change is done already. Throws ProtocolError: MEMBER_NOT_FOUND,
 * MEMBERSHIP_CONFLICT (it does not fit, or not now).
 */
export function changed(c: Configuration, change: MembershipChange, standings: readonly PeerStanding[]): Configuration {
  if (c.outgoing.length > 0) throw conflict('another change of the voters is under way')
  switch (change.kind) {
    case 'add':
      return added(c, change.peer, change.address)
    case 'promote':
      return promoted(c, targetOf(c, change.member), standings)
    case 'remove':
      return removed(c, targetOf(c, change.member), standings)
  }
}

/** What ends the joint configuration; null outside of one. */
export function left(c: Configuration): Configuration | null {
  return c.outgoing.length === 0 ? null : made(c, { outgoing: [] })
}

/** Where members are reached as they say by now: those that the state names may have moved. Null where nothing has changed. */
export function readdressed(
  c: Configuration,
  members: readonly { readonly id: string; readonly peerUrl: string }[],
): Configuration | null {
  const addresses = { ...c.addresses }
  let moved = false
  for (const { id, peerUrl } of members) {
    const peers = Object.keys(addresses).filter((peer) => memberOf(peer) === id)
    // Of two directories of one member, nobody here knows which one spoke.
    if (peerUrl === '' || peers.length !== 1 || addresses[peers[0]!] === peerUrl) continue
    addresses[peers[0]!] = peerUrl
    moved = true
  }
  return moved ? checkConfiguration({ ...c, addresses }) : null
}

function added(c: Configuration, peer: PeerId, address: string): Configuration {
  const known = c.addresses[peer]
  if (known === address) return c
  if (known !== undefined) throw conflict(`${peer} is a member already, at ${known}`)
  const member = memberOf(peer)
  const learner = c.learners.find((one) => memberOf(one) === member)
  if (learner !== undefined) throw conflict(`${member} learns already, as ${learner}: remove that one first`)
  const taken = Object.entries(c.addresses).find(([one, at]) => at === address && memberOf(one) !== member)
  if (taken !== undefined) throw conflict(`${address} is the address of ${taken[0]}`)
  return made(c, { learners: [...c.learners, peer], addresses: { ...c.addresses, [peer]: address } })
}

function promoted(c: Configuration, peer: PeerId, standings: readonly PeerStanding[]): Configuration {
  if (c.voters.includes(peer)) return c
  const standing = standings.find((one) => one.peer === peer)
  if (standing?.active !== true) throw conflict(`${peer} does not answer: it would hold up every change`)
  if (standing.behind > BEHIND_MAX)
    throw conflict(`${peer} lacks ${standing.behind} entries yet: promote it once it has them`)
  const member = memberOf(peer)
  const voters = [...c.voters.filter((one) => memberOf(one) !== member), peer]
  const next = { voters, outgoing: c.voters, learners: c.learners.filter((one) => one !== peer) }
  return answering(made(c, next), standings)
}

function removed(c: Configuration, peer: PeerId, standings: readonly PeerStanding[]): Configuration {
  const without = (peers: readonly PeerId[]) => peers.filter((one) => one !== peer)
  if (!c.voters.includes(peer)) return made(c, { learners: without(c.learners) })
  if (c.voters.length === 1) throw conflict(`${peer} is the last voter`)
  return answering(made(c, { voters: without(c.voters), outgoing: c.voters }), standings)
}

/** The configuration with these lists, in order, and the addresses of whoever is in one. */
function made(c: Configuration, lists: Partial<Configuration>): Configuration {
  const next = { ...c, ...lists }
  const [voters, outgoing, learners] = [next.voters, next.outgoing, next.learners].map((all) => [...all].sort()) as [
    PeerId[],
    PeerId[],
    PeerId[],
  ]
  const named = new Set([...voters, ...outgoing, ...learners])
  const addresses = Object.fromEntries(Object.entries(next.addresses).filter(([peer]) => named.has(peer)))
  try {
    return checkConfiguration({ voters, outgoing, learners, addresses })
  } catch (error) {
    throw conflict((error as Error).message)
  }
}

/** Majorities of the voters to be, and of those that are, answer; else the change would be the cluster's last. */
function answering(c: Configuration, standings: readonly PeerStanding[]): Configuration {
  for (const voters of [c.voters, c.outgoing]) {
    const silent = voters.filter((peer) => standings.find((one) => one.peer === peer)?.active !== true)
    if (2 * silent.length < voters.length) continue
    throw conflict(
      `of the voters ${voters.join(', ')} these do not answer: ${silent.join(', ')}; no majority would be left`,
    )
  }
  return c
}

/** The peer that is meant by a member's name, or by its own. */
function targetOf(c: Configuration, named: string): PeerId {
  const peers = Object.keys(c.addresses).filter((peer) => peer === named || memberOf(peer) === named)
  if (peers.length === 0) throw new ProtocolError('MEMBER_NOT_FOUND', `the cluster has no member ${named}`)
  if (peers.length > 1) throw conflict(`${named} may be ${peers.sort().join(' or ')}: say which`)
  return peers[0]!
}
