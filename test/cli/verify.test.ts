/** The chain check finds whatever was altered, left out, reordered or put in. */
import { createHash } from 'node:crypto'
import { eventBytes } from '@leasehold/protocol'
import { ChainCheck, chainedEvent, type EventBody } from '@leasehold/server/cli'
import fc from 'fast-check'
import t from 'tap'

function chain(count: number): EventBody[] {
  const events: EventBody[] = []
  let previousHash = '0'.repeat(64)
  for (let seq = 1; seq <= count; seq++) {
    const open: EventBody = {
      seq,
      type: seq % 2 === 1 ? 'granted' : 'released',
      name: `billing/${seq}`,
      holder: 'host-1',
      token: seq,
      reason: seq % 2 === 1 ? null : 'released',
      cause: seq % 2 === 1 ? 'acquire' : 'release',
      principal: 'host-1',
      at: new Date(1_790_000_000_000 + seq * 1_234).toISOString(),
      clusterMs: seq * 1_234,
      member: 'n1',
      term: 3,
      renewals: 4,
      vacant: seq % 2 === 0,
      previousHash,
      hash: '',
    }
    const bytes = eventBytes(chainedEvent(open))
    const hash = createHash('sha256').update(Buffer.from(previousHash, 'hex')).update(bytes).digest('hex')
    events.push({ ...open, hash })
    previousHash = hash
  }
  return events
}

function check(events: readonly EventBody[]): ChainCheck {
  const verdict = new ChainCheck()
  for (const event of events) verdict.add(event)
  return verdict
}

t.test('an untouched history verifies, also one whose beginning was trimmed', async (t) => {
  const events = chain(20)
  t.match(check(events), {
    broken: null,
    events: 20,
    firstSeq: 1,
    lastSeq: 20,
    lastHash: events[19]?.hash,
    anchor: null,
  })
  t.match(check(events.slice(5)), { broken: null, events: 15, firstSeq: 6, anchor: events[4]?.hash })
  t.match(check([]), { broken: null, events: 0 })
})

t.test('every single alteration is found, and where', async () => {
  const events = chain(12)
  const altered: { [K in keyof EventBody]: EventBody[K] } = {
    seq: 99,
    type: 'expired',
    name: 'other',
    holder: 'other',
    token: 77,
    reason: 'revoked',
    cause: 'ttl',
    principal: 'other',
    at: '2020-01-01T00:00:00.000Z',
    clusterMs: 1,
    member: 'n2',
    term: 4,
    renewals: 5,
    vacant: true,
    previousHash: 'ab'.repeat(32),
    hash: 'cd'.repeat(32),
  }
  const field = fc.constantFrom(...(Object.keys(altered) as (keyof EventBody)[]))
  fc.assert(
    fc.property(field, fc.nat({ max: 5 }), (key, pair) => {
      const at = pair * 2
      const verdict = check(events.map((event, n) => (n === at ? { ...event, [key]: altered[key] } : event)))
      return verdict.broken !== null && verdict.events === at
    }),
  )
})

t.test('what is missing, swapped or forged is found', async (t) => {
  const events = chain(12)
  t.match(check(events.toSpliced(4, 1)).broken, { seq: 6, why: 'seq 5 is missing' })
  t.ok(check(events.toSpliced(4, 2, events[5]!, events[4]!)).broken)
  t.match(
    check(chain(12).map((event) => (event.seq === 1 ? { ...event, previousHash: 'ab'.repeat(32) } : event))).broken,
    {
      seq: 1,
      why: 'the first event builds on another',
    },
  )
  t.match(check([{ ...events[0]!, at: 'yesterday' }]).broken, { seq: 1 })
})
