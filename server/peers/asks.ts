/**
 * What those say who have no cluster yet, and what they are told: the `ask` and `answer` of the greeting, checked field by field. Pure.
 * Reading throws GreetingError for what is none.
 */
import type { PeerName } from '../ports/index.js'
import { checkName, checkObject, checkVersions, GreetingError, type Versions } from './greeting.js'
import { PEER_LIMITS } from './limits.js'

export interface Ask {
  readonly versions: Versions
  readonly peer: PeerName
  /** The listed member ids, sorted: founders must agree on who they are. */
  readonly members: readonly string[]
  /** It founds a cluster if all answer in this round that they are empty. */
  readonly founds: boolean
}

/** What a formed directory tells: enough for one that its configuration names to form itself alike. */
export interface Facts {
  readonly clusterId: string
  /** The peers that its configuration names, learners included. */
  readonly names: readonly PeerName[]
  /** The first entry, as the founder made it; null where it is no longer there. */
  readonly founding: Uint8Array | null
}

export type Answer =
  /** No cluster here, and none under way. */
  | { readonly kind: 'empty'; readonly peer: PeerName }
  /** A directory is being formed: ask again. */
  | { readonly kind: 'busy'; readonly peer: PeerName }
  /** The two do not fit together: `detail` says why. */
  | { readonly kind: 'differs'; readonly peer: PeerName; readonly detail: string }
  | { readonly kind: 'formed'; readonly peer: PeerName; readonly facts: Facts }

/** As it stands in the greeting. */
export function answerFields(answer: Answer): unknown {
  if (answer.kind !== 'formed') return answer
  const { clusterId, names, founding } = answer.facts
  const text = founding === null ? null : Buffer.from(founding).toString('base64')
  return { kind: answer.kind, peer: answer.peer, facts: { clusterId, names, founding: text } }
}

export function askOf(value: unknown): Ask {
  const { versions, peer, members, founds } = checkObject(value, 'ask')
  if (typeof founds !== 'boolean') throw new GreetingError('founds must be true or false')
  return { versions: checkVersions(versions), peer: checkPeer(peer), members: checkNames(members, 'members'), founds }
}

export function answerOf(value: unknown): Answer {
  const fields = checkObject(value, 'answer')
  const peer = checkPeer(fields.peer)
  switch (fields.kind) {
    case 'empty':
    case 'busy':
      return { kind: fields.kind, peer }
    case 'differs':
      return { kind: 'differs', peer, detail: checkName(fields.detail, 'detail') }
    case 'formed': {
      const { clusterId, names, founding } = checkObject(fields.facts, 'facts')
      const bytes = founding === null ? null : checkBytes(founding)
      const facts = { clusterId: checkName(clusterId, 'clusterId'), names: checkNames(names, 'names'), founding: bytes }
      return { kind: 'formed', peer, facts }
    }
    default:
      throw new GreetingError('answers with a kind that is not known here')
  }
}

/** `n1` of `n1@d1`. */
export const memberOf = (peer: PeerName): string => peer.slice(0, peer.indexOf('@'))

function checkPeer(value: unknown): PeerName {
  const peer = checkName(value, 'peer')
  if (peer.indexOf('@') > 0) return peer
  throw new GreetingError('peer must be MEMBER@DIRECTORY')
}

function checkNames(value: unknown, what: string): readonly string[] {
  if (!Array.isArray(value) || value.length > PEER_LIMITS.peersMax)
    throw new GreetingError(`${what} must be a short list`)
  return value.map((one) => checkName(one, what))
}

function checkBytes(value: unknown): Uint8Array {
  if (typeof value === 'string' && /^[A-Za-z0-9+/]*={0,2}$/.test(value)) return Buffer.from(value, 'base64')
  throw new GreetingError('founding must be base64')
}
