import { OFFERED, OK, QUEUED } from '@leasehold/protocol'
import t from 'tap'
import {
  acquire,
  beat,
  cancelWait,
  codeOf,
  Driver,
  release,
  renew,
  request,
  revoke,
  stored,
  waiterLost,
} from './driver.js'

const LOST = codeOf('LEASE_LOST')
const STALE = codeOf('STALE')
const ask = (key: number | string, more = {}, token = {}) =>
  acquire('a', 'h1', { principal: 'p', ttlMs: 5_000, request: { ...request(key, 10_000), ...token }, ...more })
const count = (d: Driver, table: string) => stored(d.machine).filter(([name]) => name === table).length

t.test('a retry gets the same grant, with the time that is left now', async (t) => {
  const d = new Driver()
  t.same(d.ask(10_000, ask(1)), { code: OK, fields: [1, 5_000, 5_000, false, 'h1'] })
  t.same(d.ask(11_000, ask(1)), { code: OK, fields: [1, 5_000, 4_000, true, 'h1'] })
  d.at(12_000, renew('a', 1))
  d.reload()
  t.same(d.ask(12_500, ask(1)), { code: OK, fields: [1, 5_000, 4_500, true, 'h1'] })
  t.equal(d.machine.audit.last, 1, 'and it is one grant')
})

t.test('a late retry of a grant that has ended is told so, and never granted again', async (t) => {
  const d = new Driver()
  d.at(10_000, ask(1))
  d.at(10_001, release('a', 1))
  t.same(d.ask(10_002, ask(1)), { code: LOST, fields: [1, 'released'] })
  d.at(10_003, ask(2))
  t.same(d.ask(15_003, ask(2)), { code: LOST, fields: [2, 'expired'] })
  t.equal(d.machine.lease('a'), null)
})

t.test(
  'a retry while it waits joins the wait; after the offer it gets the offer, after the claim the grant',
  async (t) => {
    const d = new Driver()
    d.at(10_000, acquire('a', 'h0', { ttlMs: 60_000 }))
    t.same(d.ask(10_001, ask(1, { waitMs: 9_000 })), { code: QUEUED, fields: [1] })
    t.same(d.ask(10_002, ask(1, { waitMs: 4_000 })), { code: QUEUED, fields: [1] }, 'also with another patience')
    t.equal(d.machine.waiterCount, 1)
    d.at(10_003, release('a', 1))
    t.same(d.ask(11_003, ask(1, { waitMs: 9_000 })), { code: OFFERED, fields: [2, 2_000, 5_000, true] })
    d.at(11_004, renew('a', 2))
    t.same(d.ask(12_004, ask(1)), { code: OK, fields: [2, 5_000, 4_000, true, 'h1'] })
  },
)

t.test('a held name is a definitive outcome of a request, too', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h0', { meta: 'm' }))
  t.same(d.ask(10_100, ask(1)), { code: codeOf('LEASE_HELD'), fields: ['h0', 900, 'm', false] })
  d.at(10_200, release('a', 1))
  d.reload()
  t.same(d.ask(10_300, ask(1)), { code: codeOf('LEASE_HELD'), fields: ['h0', 700, 'm', true] })
  t.same(d.ask(20_000, ask(1)).fields, ['h0', 0, 'm', true])
})

t.test('a revoke is made once, and so is its finding nobody', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h1'))
  t.same(d.ask(10_001, revoke('a', request(1, 10_000))), { code: OK, fields: [1, false] })
  d.at(10_002, acquire('a', 'h2'))
  d.reload()
  t.same(d.ask(10_003, revoke('a', request(1, 10_000))), { code: OK, fields: [1, true] })
  t.equal(d.machine.lease('a')![1], 'h2', 'the next holder is left alone')
  t.equal(d.ask(10_004, revoke('b', request(2, 10_000))).code, codeOf('LEASE_NOT_FOUND'))
  d.at(10_005, acquire('b', 'h2'))
  t.equal(d.ask(10_006, revoke('b', request(2, 10_000))).code, codeOf('LEASE_NOT_FOUND'))
  d.at(10_007, cancelWait('operator', 's:1', 3), cancelWait('operator', 's:1', 2))
  t.equal(d.ask(10_008, revoke('b', request(3, 10_000))).code, STALE, 'given up before it arrived')
})

t.test('the same token with other parameters is refused, and the record is untouched', async (t) => {
  const d = new Driver()
  d.at(10_000, ask(1))
  const others = [
    { name: 'b' },
    { holder: 'h2' },
    { ttlMs: 5_001 },
    { priority: 1 },
    { lockDelayMs: 1 },
    { meta: '' },
    { meta: 'null' },
  ]
  for (const other of others) t.equal(d.ask(10_001, ask(1, other)).code, codeOf('IDEMPOTENCY_MISMATCH'))
  t.equal(d.ask(10_002, revoke('a', request(1), 'p')).code, codeOf('IDEMPOTENCY_MISMATCH'))
  t.same(d.ask(10_003, ask(1)), { code: OK, fields: [1, 5_000, 4_997, true, 'h1'] })
  t.equal(d.ask(10_004, ask('1', { name: 'b' })).code, OK, 'a text is no number')
  t.equal(d.ask(10_004, ask(1, { name: 'c' }, { scope: 's:2' })).code, OK, 'another session, another request')
  t.equal(d.ask(10_004, ask(1, { name: 'd', principal: 'q' })).code, OK, 'another principal, another request')
})

t.test('what its session calls answered is forgotten, and never executed again', async (t) => {
  const d = new Driver()
  d.at(10_000, ask(1), ask(2, { name: 'b' }), ask(3, { name: 'c' }), ask('k', { name: 'e' }))
  t.equal(count(d, 'records'), 4)
  d.at(10_001, ask(4, { name: 'd' }, { lowest: 3 }))
  t.equal(count(d, 'records'), 3)
  t.equal(d.ask(10_002, ask(2, { name: 'b' })).code, STALE)
  t.equal(d.ask(10_002, ask(3, { name: 'c' })).code, OK, 'at the mark it is remembered')
  t.equal(d.ask(10_002, ask(5, { name: 'f' }, { lowest: 6 })).code, STALE, 'its own request calls itself answered')
  t.same(d.ask(10_003, cancelWait('p', 's:1', 2)), { code: OK, fields: [] }, 'nothing to give up')
  d.at(10_004, ask(2 ** 52, { name: 'g' }, { lowest: 2 ** 52 }))
  t.equal(count(d, 'records'), 2)
})

t.test('a record answers before the age of its request is judged', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h0', { ttlMs: 3_600_000 }))
  const patient = ask(1, { waitMs: 3_000_000 })
  d.at(10_000, patient)
  t.equal(d.ask(1_210_000, patient).code, QUEUED, 'after twice the retention')
  d.at(1_210_001, release('a', 1))
  t.equal(d.ask(1_210_002, patient).code, OFFERED)
})

t.test('a request first sent before the retention is not executed', async (t) => {
  const d = new Driver()
  t.equal(d.ask(610_000, ask(1)).code, OK, 'known 600 s ago: just in time')
  t.equal(d.ask(610_001, ask(2, { name: 'b' })).code, STALE)
  t.equal(d.machine.lease('b'), null)
  t.equal(d.ask(610_001, ask('k', { name: 'b' })).code, STALE, 'also under a text key')
})

t.test('records are kept for the retention, counted from the outcome', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h0', { ttlMs: 60_000 }), ask('k', { waitMs: 50_000 }))
  d.at(60_000, beat)
  t.equal(d.ask(660_000, ask('k', {}, { knownMs: 660_000 })).code, codeOf('LEASE_HELD'), 'the wait timed out at 60 s')
  t.equal(d.ask(660_001, ask('k', {}, { knownMs: 660_001 })).code, OK, 'then it is another request')
  t.equal(count(d, 'records'), 1)
})

t.test('an unswept record that is past its retention is no record', async (t) => {
  const d = new Driver({ sweepPerEntryMax: 1 })
  d.at(10_000, ask('k1', { ttlMs: 100 }), ask('k2', { name: 'b', ttlMs: 100 }), ask('k3', { name: 'c', ttlMs: 100 }))
  for (let i = 0; i < 3; i++) d.at(11_000, beat)
  const { moreDue, replies } = d.at(610_001, ask('k2', {}, { knownMs: 610_001 }), cancelWait('p', 's:1', 'k3'))
  t.equal(moreDue, false)
  t.same(
    replies.map(({ code }) => code),
    [OK, OK],
  )
  t.equal(count(d, 'records'), 2)
})

t.test('a mark outlives its last raise by the retention, records or not', async (t) => {
  const d = new Driver()
  const late = ask(1, {}, { knownMs: 10_000 })
  d.at(10_000, late)
  d.at(10_001, release('a', 1))
  d.at(15_000, cancelWait('p', 's:1', 9))
  d.at(20_000, ask(2, { name: 'b', ttlMs: 100 }, { lowest: 3, knownMs: 20_000 }))
  t.equal(count(d, 'records'), 1)
  d.reload()
  d.at(615_001, beat)
  t.same([count(d, 'records'), count(d, 'marks')], [0, 1])
  t.equal(d.ask(620_000, ask(1, {}, { knownMs: 620_000 })).code, STALE, 'a duplicate that lies about its age')
  d.at(620_001, beat)
  t.equal(count(d, 'marks'), 0)
  t.equal(d.ask(620_001, late).code, STALE, 'then its age speaks')
})

t.test('an unswept mark that is past its retention is no mark', async (t) => {
  const d = new Driver({ sweepPerEntryMax: 1 })
  d.at(10_000, ask(5, { ttlMs: 100 }, { lowest: 5 }))
  d.at(10_000, ask(5, { name: 'b', ttlMs: 100 }, { lowest: 5, scope: 's:2' }))
  for (let i = 0; i < 3; i++) d.at(11_000, beat)
  const known = { knownMs: 610_001 }
  const { replies } = d.at(610_001, ask(2, {}, known), ask(2, { name: 'c' }, { ...known, scope: 's:2', lowest: 1 }))
  t.same(
    replies.map(({ code }) => code),
    [OK, OK],
  )
})

t.test('who fills his bound is refused, nobody else, and no record makes room', async (t) => {
  const d = new Driver({ recordsPerPrincipalMax: 3 })
  d.at(10_000, ask('k1'), ask('k2'), ask('k3'))
  t.equal(d.ask(10_001, ask('k4', { name: 'b' })).code, codeOf('LIMIT_REACHED'))
  t.equal(d.machine.lease('b'), null)
  t.equal(d.ask(10_001, ask('k1')).code, OK, 'what he has is still answered')
  t.equal(d.ask(10_001, ask('k4', { name: 'b', principal: 'q' })).code, OK)
  t.equal(d.ask(10_001, ask('k5', { name: 'c', request: null })).code, OK, 'without a token there is nothing to keep')
  t.equal(d.ask(10_001, cancelWait('p', 's:1', 'k6')).code, codeOf('LIMIT_REACHED'))
  t.equal(d.ask(10_001, ask(9, {}, { scope: 's:2', lowest: 9 })).code, codeOf('LIMIT_REACHED'), 'marks count, too')
  t.equal(count(d, 'marks'), 0)
  t.equal(d.ask(610_001, ask('k4', { name: 'd' }, { knownMs: 610_000 })).code, OK, 'after the retention there is room')
})

t.test('a wait that its own session calls answered leaves the queue', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h0'))
  d.at(10_001, ask(1, { waitMs: 9_000 }), ask(2, { waitMs: 9_000 }))
  const { settled } = d.at(10_002, ask(3, { name: 'b' }, { lowest: 3 }))
  t.same(
    settled.map(({ waiter, reply }) => [waiter, reply.code]),
    [
      [1, STALE],
      [2, STALE],
    ],
  )
  t.equal(d.machine.waiterCount, 0)
})

t.test('a lost waiter that comes back through a retry is lost no more', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h0', { ttlMs: 60_000 }))
  d.at(10_001, ask(1, { waitMs: 50_000 }))
  d.at(10_002, waiterLost(1))
  d.at(12_000, ask(1, { waitMs: 50_000 }))
  t.same(d.at(20_000, beat).settled, [])
  t.equal(d.machine.waiterCount, 1)
})
