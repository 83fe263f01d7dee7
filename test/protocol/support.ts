/** What the tests of protocol/ share: how a refusal is judged, and values that generate well-formed messages. */

import { isDeepStrictEqual } from 'node:util'
import {
  type AuditCause,
  type AuditEvent,
  type AuditType,
  auditSeq,
  type Command,
  type Configuration,
  clusterMs,
  type ErrorCode,
  fencingToken,
  INTERNAL_OP,
  LIMITS,
  type LossReason,
  OP,
  ProtocolError,
  term,
  waiterId,
  wallMs,
} from '@leasehold/protocol'
import fc from 'fast-check'
import type { Test } from 'tap'

/** `act` throws a ProtocolError of this code, whose sentence matches. */
export function refused(
  t: Test,
  act: () => unknown,
  code: ErrorCode,
  sentence: RegExp,
  claim = String(sentence),
): void {
  try {
    act()
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    t.equal(error.code, code, claim)
    t.match(error.message, sentence, claim)
    return
  }
  t.fail(`accepted what should be refused as ${code}: ${claim}`)
}

/** The property holds for generated values: an assertion of its own, so that a test of properties alone is not empty. */
export function holds<Ts>(t: Test, property: fc.IProperty<Ts>, numRuns = 200): void {
  fc.assert(property, { numRuns })
  t.pass(`holds for ${numRuns} generated values`)
}

/** Equal in every value; generated records have no prototype, which does not matter here. */
export function same(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(structuredClone(a), structuredClone(b))
}

/** What is no whole number of its field, whatever the field's bounds are. */
export const NOT_WHOLE: readonly unknown[] = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -0,
  1.5,
  2 ** 53,
  -(2 ** 53),
  '5',
  '',
  true,
  false,
  null,
  undefined,
  5n,
  [],
  [5],
  {},
  new Uint8Array(1),
  () => 5,
]

const segment = fc
  .string({ unit: fc.constantFrom(...'abzABZ019._:@-'), minLength: 1, maxLength: 12 })
  .filter((s) => s !== '.' && s !== '..')
export const names = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('/'))
export const naturals = fc.oneof(
  fc.nat(),
  fc.maxSafeNat(),
  fc.constantFrom(0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32),
)
export const tokens = naturals.map((n) => fencingToken(Math.max(1, n)))
// A few units of every length in UTF-8: tables of all of Unicode take a second to build.
export const texts = fc.string({ unit: fc.constantFrom(...'aZ~ "\n\0é߿ࠀ\ufeff\uffff😀'), maxLength: 80 })
const keys = fc.oneof(naturals, fc.string({ unit: fc.constantFrom(...'aZ09-!~'), minLength: 1, maxLength: 40 }))

/** Visible ASCII without an '@'. */
const words = (maxLength: number) => fc.string({ unit: fc.constantFrom(...'aZ09-!~'), minLength: 1, maxLength })
export const memberIds = names.map((name) => name.replaceAll('@', '-'))
export const peerIds = fc.tuple(memberIds, words(16)).map(([member, directory]) => `${member}@${directory}`)

/** Well-formed ones: each peer has any of the roles that go together, and each member votes under one directory. */
export const configurations: fc.Arbitrary<Configuration> = fc
  .uniqueArray(fc.tuple(peerIds, words(40), fc.constantFrom('v', 'vo', 'o', 'ol', 'l')), {
    selector: ([peer]) => peer.slice(0, peer.indexOf('@')),
    minLength: 1,
    maxLength: 9,
  })
  .map((all) => {
    const peers = all.map(([peer, address, roles], at) => ({ peer, address, roles: at === 0 ? 'vo' : roles }))
    const having = (role: string) =>
      peers
        .filter(({ roles }) => roles.includes(role))
        .map(({ peer }) => peer)
        .sort()
    const addresses = Object.fromEntries(peers.map(({ peer, address }) => [peer, address]))
    return { voters: having('v'), outgoing: having('o'), learners: having('l'), addresses }
  })

const requestTokens = fc.record({ scope: texts, key: keys, lowest: naturals, knownMs: naturals.map(clusterMs) })
const asked = { principal: names, name: names }

export const commands: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    op: fc.constant(OP.acquire),
    ...asked,
    holder: names,
    ttlMs: naturals,
    waitMs: naturals,
    priority: fc.integer({ min: -1_000, max: 1_000 }),
    lockDelayMs: naturals,
    meta: fc.option(texts),
    request: fc.option(requestTokens),
  }),
  fc.record({ op: fc.constantFrom(OP.renew, OP.release), ...asked, token: tokens }),
  fc.record({ op: fc.constant(OP.transfer), ...asked, token: tokens, to: names }),
  fc.record({ op: fc.constant(OP.revoke), ...asked, request: fc.option(requestTokens) }),
  fc.record({ op: fc.constant(OP.cancelWait), principal: names, scope: texts, key: keys }),
  fc.record({ op: fc.constantFrom(INTERNAL_OP.beat, INTERNAL_OP.sweep) }),
  fc.record({
    op: fc.constant(INTERNAL_OP.admitRun),
    member: memberIds,
    nonce: words(LIMITS.nonceBytesMax),
    url: texts,
    peerUrl: texts,
    formatMax: fc.nat(3).map((more) => 1 + more),
  }),
  fc.record({ op: fc.constant(INTERNAL_OP.configure), configuration: configurations }),
  fc.record({ op: fc.constant(INTERNAL_OP.waiterLost), waiter: naturals.map(waiterId) }),
  fc.record({ op: fc.constant(INTERNAL_OP.trimAudit), through: naturals.map(auditSeq) }),
  fc.record({ op: fc.constant(INTERNAL_OP.raiseTokens), floor: tokens }),
)

const types: AuditType[] = ['granted', 'offered', 'released', 'expired', 'revoked', 'transferred']
const causes: AuditCause[] = [
  'acquire',
  'claim',
  'release',
  'transfer',
  'revoke',
  'queue',
  'ttl',
  'unclaimed',
  'gave-up',
]
const reasons: LossReason[] = ['expired', 'released', 'revoked', 'transferred', 'superseded', 'unknown']

export const events: fc.Arbitrary<AuditEvent> = fc.record({
  seq: naturals.map(auditSeq),
  type: fc.constantFrom(...types),
  name: names,
  holder: names,
  token: tokens,
  reason: fc.option(fc.constantFrom(...reasons)),
  cause: fc.constantFrom(...causes),
  principal: names,
  wallMs: fc.integer({ min: -1_000, max: 2 ** 45 }).map(wallMs),
  clusterMs: naturals.map(clusterMs),
  member: names,
  term: naturals.map(term),
  renewals: naturals,
  vacant: fc.boolean(),
})
