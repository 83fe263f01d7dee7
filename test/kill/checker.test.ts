import { createHash } from 'node:crypto'
import {
  type AuditEvent,
  auditSeq,
  type ChainedEvent,
  clusterMs,
  eventBytes,
  fencingToken,
  term,
  wallMs,
} from '@leasehold/protocol'
import t from 'tap'
import { judge, localEndMs } from './checker.js'
import type { Asked, KillHistory, KillOp, Outcome } from './history.js'

type Line = readonly [type: AuditEvent['type'], cause: AuditEvent['cause'], name: string, holder: string, token: number]

function chained(lines: readonly Line[]): ChainedEvent[] {
  let previousHash = '0'.repeat(64)
  return lines.map(([type, cause, name, holder, token], i) => {
    const ending =
      type === 'granted' || type === 'offered' || type === 'quotaSet' || type === 'quotaDeleted' ? null : type
    const event: AuditEvent = {
      seq: auditSeq(i + 1),
      type,
      name,
      holder,
      token: fencingToken(token),
      reason: ending,
      cause,
      principal: holder,
      wallMs: wallMs(0),
      clusterMs: clusterMs(i),
      member: 'm',
      term: term(1),
      renewals: 0,
      vacant: false,
    }
    const hash = createHash('sha256').update(Buffer.from(previousHash, 'hex')).update(eventBytes(event)).digest('hex')
    const linked = { ...event, previousHash, hash }
    previousHash = hash
    return linked
  })
}

function asked(op: KillOp, holder: string, atMs: number, outcome: Outcome | null, over: Partial<Asked> = {}): Asked {
  return {
    op,
    name: 'n',
    holder,
    token: null,
    to: null,
    firstSentMs: atMs,
    sentMs: atMs,
    answeredMs: outcome === null ? null : atMs + 5,
    outcome,
    ...over,
  }
}

const granted = (token: number, remainingMs = 1_000): Outcome => ({ kind: 'granted', token, remainingMs })

/** a holds, renews and releases; b acquires, then transfers to c, who claims. */
const EVENTS: readonly Line[] = [
  ['granted', 'acquire', 'n', 'a', 1],
  ['released', 'release', 'n', 'a', 1],
  ['granted', 'acquire', 'n', 'b', 2],
  ['transferred', 'transfer', 'n', 'b', 2],
  ['offered', 'transfer', 'n', 'c', 3],
  ['granted', 'claim', 'n', 'c', 3],
]
const ASKED: readonly Asked[] = [
  asked('acquire', 'a', 0, granted(1)),
  asked('renew', 'a', 500, granted(1), { token: 1 }),
  asked('release', 'a', 700, { kind: 'ended' }, { token: 1 }),
  asked('acquire', 'b', 720, granted(2)),
  asked('acquire', 'c', 730, { kind: 'offered', token: 3 }, { answeredMs: 805 }),
  asked('transfer', 'b', 800, { kind: 'ended' }, { token: 2, to: 'c' }),
  asked('renew', 'c', 810, granted(3), { token: 3 }),
  asked('renew', 'c', 900, null, { token: 3 }),
]
const LOOKS = [{ name: 'n', token: 3, sentMs: 850, answeredMs: 860 }]
const GOOD: KillHistory = { asked: ASKED, looks: LOOKS, events: chained(EVENTS) }

const without = (index: number): KillHistory => ({ ...GOOD, events: chained(EVENTS.filter((_, i) => i !== index)) })
const withAsked = (...more: Asked[]): KillHistory => ({ ...GOOD, asked: [...ASKED, ...more] })

t.test('a history without fault is passed', async (t) => {
  t.same(judge(GOOD), [])
})

t.test('what the client counts on ends before what the server promised', async (t) => {
  t.equal(localEndMs(100, 1_000), 100 + 985 - 2)
})

const PLANTED: Record<string, [KillHistory, RegExp]> = {
  'an acknowledged grant that the audit does not know': [without(0), /^missing: n was granted to a under 1/],
  'an acknowledged release that the audit does not know': [without(1), /^missing: n under 1 was released/],
  'a release that something undid': [
    { ...GOOD, events: chained([...EVENTS, ['expired', 'ttl', 'n', 'a', 1]]) },
    /^missing: n under 1 was released, .* says expired/,
  ],
  'an acknowledged transfer that the audit does not know': [without(3), /^missing: n under 2 was transferred/],
  'a transfer without its offer': [without(4), /and not offered to c/],
  'an acknowledged claim that the audit does not know': [without(5), /^missing: n was granted to c/],
  'a released lease that is back': [
    { ...GOOD, looks: [{ name: 'n', token: 1, sentMs: 3_000, answeredMs: 3_001 }] },
    /^undone: n is under 1/,
  ],
  'a lease that is gone while its holder counts on it': [
    { ...GOOD, looks: [{ name: 'n', token: null, sentMs: 900, answeredMs: 910 }] },
    /^missing: n is under null, while c counts on 3/,
  ],
  'a token that goes back in the audit': [
    { ...GOOD, events: chained([...EVENTS, ['granted', 'acquire', 'm', 'd', 2]]) },
    /^growth: event 7 gives token 2 after 3/,
  ],
  'a token of two owners': [
    { ...GOOD, events: chained([...EVENTS, ['released', 'release', 'm', 'd', 3]]) },
    /^growth: token 3 is of n c and of m d/,
  ],
  'a token told that is no larger than one told before it was asked for': [
    withAsked(asked('acquire', 'a', 5_000, granted(1))),
    /^growth: token 1 was asked for after 3 was told/,
  ],
  'a lease that expired while its holder counted on it': [
    withAsked(asked('renew', 'c', 1_000, { kind: 'lost', token: 3, reason: 'expired' }, { token: 3 })),
    /^early: n under 3 was expired \d+ ms too early/,
  ],
  'two who count on the same name': [
    {
      ...GOOD,
      events: chained([...EVENTS, ['expired', 'ttl', 'n', 'c', 3], ['granted', 'acquire', 'n', 'd', 4]]),
      asked: [...ASKED, asked('acquire', 'd', 1_000, granted(4))],
    },
    /^two holders: n under 3 and 4 for \d+ ms/,
  ],
  'an audit with a changed event': [
    { ...GOOD, events: GOOD.events.map((event) => (event.seq === 3 ? { ...event, holder: 'z' } : event)) },
    /^chain: event 3/,
  ],
  'an audit that begins too late': [{ ...GOOD, events: GOOD.events.slice(1) }, /^chain: the audit begins at event 2/],
}

for (const [planted, [history, says]] of Object.entries(PLANTED)) {
  t.test(`caught: ${planted}`, async (t) => {
    const found = judge(history)
    t.ok(
      found.some((line) => says.test(line)),
      found.join('\n') || 'nothing was found',
    )
  })
}

t.test('what is nobody’s fault is not blamed', async (t) => {
  const late = asked('renew', 'c', 4_000, { kind: 'lost', token: 3, reason: 'expired' }, { token: 3 })
  t.same(judge(withAsked(late)), [], 'an end after the local end')
  const unknown = asked('release', 'c', 950, null, { token: 3 })
  const free = { name: 'n', token: null, sentMs: 990, answeredMs: 995 }
  t.same(judge({ ...withAsked(unknown), looks: [free] }), [], 'a release whose outcome is unknown may have happened')
})
