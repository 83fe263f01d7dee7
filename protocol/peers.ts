/**
 * Names of peers, and the configuration of a cluster: who votes, who only learns, and where each one is reached. What a
 * configuration says is part of the replicated state, so it is checked before it goes into the log, and again where it
 * comes out; one that is not well formed is refused, never mended.
 *
 * On the wire and in a row: [peer, address, roles] of each peer, in the order of their names, without arrays within.
 */
import { checkInteger, checkString, checkText, checkVisible } from './checks.js'
import { ProtocolError } from './fault.js'
import { FIRST_FORMAT } from './formats.js'
import { LIMITS } from './limits.js'
import { checkName } from './names.js'

/**
 * `memberId@directoryId`: a wiped directory is another peer, so it neither votes nor counts before a configuration names
 * it.
 */
export type PeerId = string

/** A majority of `voters`, and of `outgoing` while there are any (joint consensus), decides. All lists are sorted. */
export interface Configuration {
  readonly voters: readonly PeerId[]
  /** The voters before the change that is under way; empty outside of one. */
  readonly outgoing: readonly PeerId[]
  readonly learners: readonly PeerId[]
  /** HOST:PORT of every peer that a list names, and of no other. */
  readonly addresses: Readonly<Record<PeerId, string>>
}

const ROLE = { voter: 1, outgoing: 2, learner: 4 } as const
const FIELDS_PER_PEER = 3

const refuse = (detail: string) => new ProtocolError('INVALID_ARGUMENT', detail)

/** A name without `@`, which stands between the parts of a peer's name. */
export function checkMemberId(value: unknown, field = 'member'): string {
  const member = checkName(value, field)
  if (member.includes('@')) throw refuse(`${field} must not have an '@'`)
  return member
}

export function peerIdOf(memberId: string, directoryId: string): PeerId {
  return `${memberId}@${directoryId}`
}

/** The part of the name that people see. */
export function memberOf(peer: PeerId): string {
  return peer.slice(0, peer.indexOf('@'))
}

export function checkPeerId(value: unknown, field = 'peer'): PeerId {
  const peer = checkVisible(value, field, LIMITS.peerBytesMax)
  const at = peer.indexOf('@')
  if (at <= 0 || at === peer.length - 1 || peer.includes('@', at + 1)) {
    throw refuse(`${field} must be MEMBER@DIRECTORY, not ${JSON.stringify(peer)}`)
  }
  checkMemberId(memberOf(peer), field)
  return peer
}

/** Every peer that a configuration names, once each, sorted. */
export function peersOf({ voters, outgoing, learners }: Omit<Configuration, 'addresses'>): readonly PeerId[] {
  return [...new Set([...voters, ...outgoing, ...learners])].sort()
}

/** Returns the configuration, or throws ProtocolError that names what is wrong with it. */
export function checkConfiguration(c: Configuration): Configuration {
  checkList(c.voters, 'voters', LIMITS.votersMax)
  checkList(c.outgoing, 'outgoing', LIMITS.votersMax)
  checkList(c.learners, 'learners', LIMITS.peersMax)
  if (c.voters.length === 0) throw refuse('voters must not be empty')
  const members = c.voters.map(memberOf)
  if (new Set(members).size < members.length) throw refuse('voters must not have two directories of one member')
  for (const peer of c.learners) if (c.voters.includes(peer)) throw refuse(`${peer} must not vote and only learn`)
  const peers = peersOf(c)
  if (peers.length > LIMITS.peersMax) throw refuse(`a configuration has at most ${LIMITS.peersMax} peers`)
  for (const peer of peers) checkAddress(c.addresses[peer], `the address of ${peer}`)
  if (Object.keys(c.addresses).length > peers.length) throw refuse('addresses must be of peers in the lists alone')
  return c
}

function checkAddress(value: unknown, field: string): string {
  return checkVisible(value, field, LIMITS.addressBytesMax)
}

function checkList(peers: readonly PeerId[], field: string, countMax: number): void {
  if (peers.length > countMax) throw refuse(`${field} must be at most ${countMax}`)
  let last = ''
  for (const peer of peers) {
    if (checkPeerId(peer, field) <= last) throw refuse(`${field} must be sorted, and each peer there once`)
    last = peer
  }
}

/** Throws ProtocolError for a configuration that is not well formed. */
export function configurationFields(c: Configuration): readonly (string | number)[] {
  checkConfiguration(c)
  return peersOf(c).flatMap((peer) => [peer, c.addresses[peer]!, rolesOf(c, peer)])
}

function rolesOf(c: Configuration, peer: PeerId): number {
  return (
    (c.voters.includes(peer) ? ROLE.voter : 0) +
    (c.outgoing.includes(peer) ? ROLE.outgoing : 0) +
    (c.learners.includes(peer) ? ROLE.learner : 0)
  )
}

/** Of the fields from `from` on. Throws ProtocolError. */
export function configurationOfFields(fields: readonly unknown[], from = 0): Configuration {
  if ((fields.length - from) % FIELDS_PER_PEER !== 0) throw refuse('a configuration takes three fields a peer')
  const found = { voters: [] as PeerId[], outgoing: [] as PeerId[], learners: [] as PeerId[] }
  const addresses: Record<PeerId, string> = {}
  let last = ''
  for (let at = from; at < fields.length; at += FIELDS_PER_PEER) {
    const peer = checkText(fields[at], 'peer')
    if (peer <= last) throw refuse('the peers of a configuration must be sorted, and each there once')
    last = peer
    addresses[peer] = checkText(fields[at + 1], 'address')
    const roles = checkInteger(fields[at + 2], 'roles', 1, ROLE.voter + ROLE.outgoing + ROLE.learner)
    if (roles & ROLE.voter) found.voters.push(peer)
    if (roles & ROLE.outgoing) found.outgoing.push(peer)
    if (roles & ROLE.learner) found.learners.push(peer)
  }
  return checkConfiguration({ ...found, addresses })
}

/** A member as the state knows it: its process's run, and where it is reached. */
export interface MemberFields {
  readonly member: string
  /** Tells one start of the process from another: 1 to 64 bytes of visible ASCII. */
  readonly nonce: string
  /** Where clients reach it; '' where it says nothing. */
  readonly url: string
  /** Where members reach it; '' where it says nothing. */
  readonly peerUrl: string
  /** The newest format that the process knows. */
  readonly formatMax: number
}

/** The last field stands only where it says more than the first format: who knows that one alone writes what it always wrote. */
export function memberFields({ member, nonce, url, peerUrl, formatMax }: MemberFields): readonly (string | number)[] {
  const fields = [member, nonce, url, peerUrl]
  return formatMax > FIRST_FORMAT ? [...fields, formatMax] : fields
}

/** Of the four or five fields from `from` on. Throws ProtocolError. */
export function memberOfFields(fields: readonly unknown[], from: number): MemberFields {
  return {
    member: checkMemberId(fields[from]),
    nonce: checkVisible(fields[from + 1], 'nonce', LIMITS.nonceBytesMax),
    url: checkString(fields[from + 2], 'url', LIMITS.urlBytesMax),
    peerUrl: checkString(fields[from + 3], 'peerUrl', LIMITS.urlBytesMax),
    formatMax: fields.length === from + 4 ? FIRST_FORMAT : checkLaterFormat(fields[from + 4]),
  }
}

/** Of a format that is written down only where it is not the first one. */
export function checkLaterFormat(value: unknown, field = 'formatMax'): number {
  return checkInteger(value, field, FIRST_FORMAT + 1, Number.MAX_SAFE_INTEGER)
}
