import { OFFERED, OK, QUEUED } from '@leasehold/protocol'
import t from 'tap'
import {
  acquire,
  admitRun,
  beat,
  cancelWait,
  codeOf,
  Driver,
  release,
  renew,
  request,
  revoke,
  stored,
  transfer,
  waiterLost,
} from './driver.js'

const HELD = codeOf('LEASE_HELD')
const wait = (holder: string, key: number, more = {}) =>
  acquire('a', holder, { waitMs: 60_000, principal: 'p', request: request(key), ttlMs: 10_000, ...more })

/** h1 holds `a` with token 1 and a ttl of 10 s. */
function held(limits = {}): Driver {
  const d = new Driver(limits)
  d.at(10_000, acquire('a', 'h1', { ttlMs: 10_000 }))
  return d
}
const holders = (d: Driver, timeMs: number, count: number) => {
  const seen: string[] = []
  for (let i = 0; i < count; i++) {
    const { token } = { token: d.machine.lease('a')![2] }
    d.at(timeMs, release('a', token))
    seen.push(d.machine.lease('a')?.[1] ?? 'nobody')
  }
  return seen
}

t.test('waiters are served by priority, then by arrival, one grant a release', async (t) => {
  const d = held()
  d.at(10_001, wait('low', 1, { priority: -1 }), wait('first', 2), wait('second', 3), wait('high', 4, { priority: 5 }))
  t.equal(d.machine.waiterCount, 4)
  t.equal(d.machine.lease('a')![6], 4)
  d.reload()
  t.same(holders(d, 10_002, 5), ['high', 'first', 'second', 'low', 'nobody'])
})

t.test('a waiter gets an offer; its claim is a renewal, and validity counts from the claim', async (t) => {
  const d = held()
  t.same(d.ask(10_001, wait('h2', 1, { lockDelayMs: 7 })), { code: QUEUED, fields: [1] })
  const { settled, events } = d.at(10_002, release('a', 1))
  t.same(settled, [{ waiter: 1, reply: { code: OFFERED, fields: [2, 3_000, 10_000, false] } }])
  t.match(events, [
    { type: 'released', cause: 'release', vacant: false },
    { type: 'offered', holder: 'h2', token: 2, cause: 'queue', principal: 'p', reason: null, vacant: false },
  ])
  t.same(d.machine.lease('a')!.slice(4, 6), [3_000, 'offered'])
  t.same(d.ask(11_000, acquire('a', 'h3')), { code: HELD, fields: ['h2', 2_002, null, false] })
  const claim = d.at(13_001, renew('a', 2))
  t.same(claim.replies[0], { code: OK, fields: [2, 10_000, 10_000, false, 'h2'] })
  t.match(claim.events, [{ type: 'granted', cause: 'claim', token: 2, renewals: 0 }])
  t.same(d.at(13_002, renew('a', 2)).events, [], 'renewals are only counted')
  t.match(d.at(13_003, release('a', 2)).events, [{ type: 'released', renewals: 1 }])
})

t.test('the window of an offer is no longer than the ttl', async (t) => {
  const d = held()
  d.at(10_001, wait('h2', 1, { ttlMs: 200 }))
  t.same(d.at(10_002, release('a', 1)).settled[0]!.reply.fields, [2, 200, 200, false])
})

t.test('who waits through a lock-delay is offered when it is over, before anybody else', async (t) => {
  const d = new Driver({ sweepPerEntryMax: 1 })
  d.at(10_000, acquire('a', 'h1', { ttlMs: 10_000, lockDelayMs: 2_000 }), wait('h2', 1), revoke('a'))
  t.same(d.machine.lease('a')!.slice(1, 7), ['h1', 1, 10_000, 2_000, 'delayed', 1])
  d.at(10_001, acquire('b', 'h', { ttlMs: 100 }))
  t.same(d.at(11_999, beat).settled, [])
  d.at(11_999, acquire('b', 'h', { ttlMs: 1 }), acquire('c', 'h', { ttlMs: 1 }))
  d.reload()
  const { replies, settled } = d.at(12_000, beat, acquire('a', 'h9'))
  t.same(replies[1], { code: HELD, fields: ['h2', 3_000, null, false] })
  t.same(settled[0]!.reply, { code: OFFERED, fields: [5, 3_000, 10_000, false] })
  t.match(
    d.at(15_000, beat).events,
    [{ type: 'expired', name: 'b' }],
    'the offer has ended, too, and waits for its sweep',
  )
  t.equal(d.machine.lease('a'), null)
})

t.test('an offer that nobody claims goes to the next one', async (t) => {
  const d = held()
  d.at(10_001, wait('h2', 1), wait('h3', 2))
  d.at(10_002, release('a', 1))
  t.same(d.at(13_001, beat).events, [])
  const { events } = d.at(13_002, beat)
  t.match(events, [
    { type: 'expired', cause: 'unclaimed', reason: 'expired', token: 2, vacant: false },
    { type: 'offered', holder: 'h3', token: 3 },
  ])
  t.same(d.ask(13_003, renew('a', 2)).fields, [2, 'expired'], 'a late claim is too late')
  t.match(d.at(13_003, release('a', 3)).events, [{ type: 'released', vacant: true }], 'an offer can be given back')
})

t.test('nobody jumps the queue of a lease that has ended and was not swept', async (t) => {
  const d = held({ sweepPerEntryMax: 1 })
  d.at(10_001, acquire('b', 'h1', { ttlMs: 9_999 }), wait('h2', 1))
  const { replies, settled } = d.at(20_000, acquire('b', 'h9'), acquire('a', 'h9'))
  t.equal(replies[0]!.code, OK)
  t.equal(replies[1]!.code, HELD)
  t.equal(settled[0]!.reply.code, OFFERED)
})

t.test('a wait that times out is told who has the lease', async (t) => {
  const d = held()
  d.at(10_001, wait('h2', 1, { waitMs: 500 }))
  d.at(10_400, renew('a', 1))
  t.same(d.at(10_500, beat).settled, [])
  t.same(d.at(10_501, beat).settled, [{ waiter: 1, reply: { code: HELD, fields: ['h1', 9_899, null, false] } }])
  t.equal(d.machine.waiterCount, 0)
  t.same(
    d.ask(10_600, wait('h2', 1, { waitMs: 500 })),
    { code: HELD, fields: ['h1', 9_800, null, true] },
    'and it is final',
  )
})

t.test('who waits no more is never offered, swept or not', async (t) => {
  const d = held({ sweepPerEntryMax: 1 })
  d.at(10_001, acquire('b', 'h1', { ttlMs: 100 }), wait('h2', 1, { waitMs: 100 }), wait('h3', 2), wait('h4', 3))
  d.at(10_002, waiterLost(2))
  const { settled } = d.at(15_002, release('a', 1))
  t.same(
    settled.map(({ waiter, reply }) => [waiter, reply.code]),
    [
      [1, HELD],
      [2, codeOf('OUTCOME_UNKNOWN')],
      [3, OFFERED],
    ],
  )
})

t.test('a retry of a wait that is over finds it over, swept or not', async (t) => {
  const d = held({ sweepPerEntryMax: 1 })
  d.at(10_001, acquire('b', 'h1', { ttlMs: 100 }), wait('h2', 1, { waitMs: 100 }))
  const { replies, settled } = d.at(10_101, wait('h2', 1, { waitMs: 100 }))
  t.same(replies[0], { code: HELD, fields: ['h1', 9_899, null, true] })
  t.equal(settled[0]!.reply.code, HELD)
})

t.test('a lost waiter is kept for 5 s for the same request to come back', async (t) => {
  const d = held()
  d.at(10_001, wait('h2', 1), wait('h3', 2))
  d.at(11_000, waiterLost(1), waiterLost(1), waiterLost(99))
  d.at(12_000, waiterLost(1))
  d.reload()
  t.same(d.ask(15_999, wait('h2', 1)), { code: QUEUED, fields: [1] }, 'the same waiter')
  d.at(30_000, beat)
  t.equal(d.machine.lease('a')![1], 'h2', 'at its old place')
})

t.test('a waiter that has gone on to another member is not lost with its old connection', async (t) => {
  const d = held()
  d.at(10_001, wait('h2', 1), wait('h3', 2))
  d.member = 'n2'
  t.same(d.ask(10_500, wait('h2', 1)), { code: QUEUED, fields: [1] }, 'it comes back elsewhere, first')
  d.member = 'n1'
  d.at(11_000, waiterLost(1))
  d.at(15_000, admitRun('n1'))
  t.same(d.at(19_000, beat).settled, [])
  t.equal(d.at(20_000, release('a', 1)).settled[0]!.waiter, 1, 'at its old place')
  d.member = 'n2'
  t.equal(d.machine.waiterCount, 0, 'the other one, of the member that started anew, is forgotten after 5 s')
})

t.test('a waiter that stays away loses its place, and comes back at the end with its old deadline', async (t) => {
  const d = held()
  d.at(10_001, wait('h2', 1, { waitMs: 8_000 }), wait('h3', 2))
  d.at(11_000, waiterLost(1))
  t.same(d.at(15_999, beat).settled, [])
  const { settled } = d.at(16_000, beat)
  t.same([settled[0]!.waiter, settled[0]!.reply.code], [1, codeOf('OUTCOME_UNKNOWN')])
  d.reload()
  t.same(d.ask(17_000, wait('h2', 1, { waitMs: 8_000 })), { code: QUEUED, fields: [3] })
  t.same(
    d.at(18_001, beat).settled.map(({ waiter, reply }) => [waiter, reply.code]),
    [[3, HELD]],
    'the first attempt fixed it',
  )
})

t.test(
  'after its deadline a waiter that lost its place is told who has the lease, or is granted a free one',
  async (t) => {
    const d = held()
    d.at(10_001, wait('h2', 1, { waitMs: 8_000 }), wait('h3', 2, { waitMs: 8_000 }))
    d.at(11_000, waiterLost(1), waiterLost(2))
    d.at(16_000, beat)
    t.equal(d.ask(18_001, wait('h2', 1)).code, HELD)
    d.at(20_000, beat)
    t.equal(d.ask(20_001, wait('h3', 2)).code, OK)
  },
)

t.test('a deadline before the 5 s are over comes first', async (t) => {
  const d = held()
  d.at(10_001, wait('h2', 1, { waitMs: 2_000 }))
  d.at(11_000, waiterLost(1))
  t.same(d.at(12_001, beat).settled[0]!.reply.code, HELD)
})

t.test('a member that starts anew has lost its waiters, and no other member has', async (t) => {
  const d = held()
  d.at(10_001, wait('h2', 1))
  d.member = 'n2'
  d.at(10_002, wait('h3', 2), wait('h4', 3))
  d.member = 'n3'
  d.at(10_003, wait('h4', 3))
  d.at(11_000, admitRun('n2'))
  d.reload()
  const { settled } = d.at(16_000, beat)
  t.same(
    settled.map(({ waiter }) => waiter),
    [2],
  )
  t.equal(d.machine.waiterCount, 2)
})

t.test('a full queue refuses, keeps no record of it, and takes the request when there is room', async (t) => {
  const d = held({ waitersPerNameMax: 2 })
  d.at(10_001, wait('h2', 1), wait('h3', 2))
  t.equal(d.ask(10_002, wait('h4', 3)).code, codeOf('LIMIT_REACHED'))
  t.equal(stored(d.machine).filter(([table]) => table === 'records').length, 2)
  d.at(10_003, release('a', 1))
  t.equal(d.ask(10_004, wait('h4', 3)).code, QUEUED)
})

t.test('a transfer is an offer to the first waiter under that name, past all others', async (t) => {
  const d = held()
  d.at(10_001, wait('h2', 1), wait('h3', 2), wait('h3', 3, { priority: 1 }))
  const { replies, settled, events } = d.at(10_002, transfer('a', 1, 'h3'))
  t.same(replies[0], { code: OK, fields: [false] })
  t.same(settled, [{ waiter: 3, reply: { code: OFFERED, fields: [2, 3_000, 10_000, false] } }])
  t.match(events, [
    { type: 'transferred', reason: 'transferred', cause: 'transfer', token: 1, vacant: false },
    { type: 'offered', holder: 'h3', cause: 'transfer', token: 2 },
  ])
  t.same(d.ask(10_003, transfer('a', 1, 'h3')), { code: OK, fields: [true] }, 'a repetition answers as it did')
  t.same(d.ask(10_003, transfer('a', 1, 'h2')), { code: codeOf('LEASE_LOST'), fields: [1, 'transferred'] })
  t.same(d.ask(10_003, release('a', 1)), { code: codeOf('LEASE_LOST'), fields: [1, 'transferred'] })
})

t.test('a transfer to somebody who does not wait keeps the lease', async (t) => {
  const d = held({ sweepPerEntryMax: 1 })
  t.equal(d.ask(10_001, transfer('a', 1, 'h3')).code, codeOf('NO_SUCH_WAITER'))
  d.at(10_001, acquire('b', 'h1', { ttlMs: 100 }), wait('h3', 1, { waitMs: 100 }))
  t.equal(d.ask(10_101, transfer('a', 1, 'h3')).code, codeOf('NO_SUCH_WAITER'), 'nor one whose wait is over')
  t.equal(d.ask(10_102, renew('a', 1)).code, OK)
  t.same(d.ask(10_103, transfer('a', 7, 'h3')), { code: codeOf('LEASE_LOST'), fields: [7, 'unknown'] })
})

t.test('who gives up leaves the queue at once, and a late retry is never granted', async (t) => {
  const d = held()
  d.at(10_001, wait('h2', 1), wait('h3', 2))
  const { replies, settled } = d.at(10_002, cancelWait('p', 's:1', 1))
  t.same(replies[0], { code: OK, fields: [] })
  t.same([settled[0]!.waiter, settled[0]!.reply.code], [1, codeOf('STALE')])
  t.equal(d.machine.waiterCount, 1)
  d.reload()
  d.at(10_003, release('a', 1))
  t.equal(d.machine.lease('a')![1], 'h3')
  d.at(10_003, release('a', 2))
  t.equal(d.ask(10_004, wait('h2', 1)).code, codeOf('STALE'))
  t.equal(d.machine.lease('a'), null)
})

t.test('giving up gives back an offer, or a grant, that raced it', async (t) => {
  const d = held()
  d.at(10_001, wait('h2', 1), wait('h3', 2), release('a', 1))
  const { events } = d.at(10_002, cancelWait('p', 's:1', 1))
  t.match(events, [
    { type: 'released', reason: 'released', cause: 'gave-up', token: 2, vacant: false },
    { type: 'offered', token: 3, holder: 'h3' },
  ])
  t.same(d.ask(10_003, wait('h2', 1)), { code: codeOf('LEASE_LOST'), fields: [2, 'released'] })
  d.at(10_004, renew('a', 3))
  t.match(d.at(10_005, cancelWait('p', 's:1', 2)).events, [
    { type: 'released', cause: 'gave-up', token: 3, vacant: true },
  ])
  t.same(d.at(10_006, cancelWait('p', 's:1', 2)).events, [], 'once')
})

t.test('giving up before the request has arrived keeps it from ever being granted', async (t) => {
  const d = new Driver()
  t.same(d.ask(10_001, cancelWait('p', 's:1', 1)), { code: OK, fields: [] })
  t.equal(d.ask(10_002, wait('h2', 1)).code, codeOf('STALE'))
  t.equal(d.machine.lease('a'), null)
})

t.test('giving up after the place was lost is final, too', async (t) => {
  const d = held()
  d.at(10_001, wait('h2', 1))
  d.at(10_001, waiterLost(1))
  d.at(16_000, cancelWait('p', 's:1', 1))
  t.equal(d.ask(16_001, wait('h2', 1)).code, codeOf('STALE'))
})

t.test('an end that is due comes before the giving up', async (t) => {
  const d = held({ sweepPerEntryMax: 1 })
  d.at(10_001, acquire('b', 'h1', { ttlMs: 100 }), wait('h2', 1, { ttlMs: 500 }))
  const { events } = d.at(20_000, cancelWait('p', 's:1', 1))
  t.same(
    events.map((e) => [e.name, e.type, e.cause]),
    [
      ['b', 'expired', 'ttl'],
      ['a', 'expired', 'ttl'],
      ['a', 'offered', 'queue'],
      ['a', 'released', 'gave-up'],
    ],
  )
  d.at(20_000, acquire('b', 'h1', { ttlMs: 1_000 }), acquire('a', 'h2', { principal: 'p', request: request(2) }))
  d.at(21_000, cancelWait('p', 's:1', 2))
  t.same(d.ask(21_000, renew('a', 5)).fields, [5, 'expired'], 'what has ended cannot be given back')
})

t.test('a wait without a token can only be lost', async (t) => {
  const d = held()
  t.equal(d.ask(10_001, wait('h2', 1, { request: null })).code, QUEUED)
  t.equal(d.ask(10_001, wait('h3', 1, { request: null, waitMs: 100 })).code, QUEUED)
  d.at(10_002, waiterLost(1))
  t.same(d.at(10_101, beat).settled[0]!.reply.code, HELD)
  t.same(d.at(15_002, beat).settled[0]!.reply.code, codeOf('OUTCOME_UNKNOWN'))
  d.at(15_003, wait('h4', 1, { request: null }))
  t.equal(d.at(15_004, release('a', 1)).settled[0]!.reply.code, OFFERED)
})
