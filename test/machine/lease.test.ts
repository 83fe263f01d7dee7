import { OK } from '@leasehold/protocol'
import t from 'tap'
import {
  acquire,
  admitRun,
  beat,
  codeOf,
  Driver,
  release,
  reloaded,
  renew,
  revoke,
  stored,
  transfer,
} from './driver.js'

const LOST = codeOf('LEASE_LOST')
const HELD = codeOf('LEASE_HELD')

t.test('a free name is granted, and each grant has a newer token', async (t) => {
  const d = new Driver()
  t.same(d.ask(10_000, acquire('a', 'h1')), { code: OK, fields: [1, 1_000, 1_000, false, 'h1'] })
  t.same(d.ask(10_001, acquire('b', 'h1')), { code: OK, fields: [2, 1_000, 1_000, false, 'h1'] })
  t.same(d.ask(10_002, release('a', 1)), { code: OK, fields: [false] })
  t.same(d.ask(10_003, acquire('a', 'h2')), { code: OK, fields: [3, 1_000, 1_000, false, 'h2'] })
})

t.test('a held name says by whom and for how long, to its own holder name, too', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h1', { meta: 'here' }))
  t.same(d.ask(10_400, acquire('a', 'h1')), { code: HELD, fields: ['h1', 600, 'here', false] })
})

t.test('a renewal counts from its own stamp; one ordered after the end always fails', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h1'))
  t.same(d.ask(10_999, renew('a', 1)), { code: OK, fields: [1, 1_000, 1_000, false, 'h1'] })
  t.equal(d.machine.lease('a')![4], 1_000)
  d.at(11_998, beat)
  t.equal(d.machine.lease('a')![4], 1)
  t.same(d.ask(11_999, renew('a', 1)), { code: LOST, fields: [1, 'expired'] })
  t.equal(d.machine.lease('a'), null)
})

t.test('a sweep ends what has ended, in the order of the ends', async (t) => {
  const d = new Driver()
  d.at(
    10_000,
    acquire('late', 'h1', { ttlMs: 300 }),
    acquire('early', 'h1', { ttlMs: 200 }),
    acquire('tie', 'h1', { ttlMs: 300 }),
  )
  const { events } = d.at(10_500, beat)
  t.same(
    events.map((e) => [e.type, e.name, e.reason, e.cause, e.vacant, e.principal]),
    ['early', 'late', 'tie'].map((name) => ['expired', name, 'expired', 'ttl', true, 'h1']),
  )
})

t.test(
  'what an entry cannot sweep, the next one does; until then nobody sees it and every command ends it first',
  async (t) => {
    const d = new Driver({ sweepPerEntryMax: 1 })
    d.at(10_000, acquire('a', 'h1'), acquire('b', 'h1'), acquire('c', 'h1', { lockDelayMs: 500 }))
    const swept = d.at(11_000, beat)
    t.equal(swept.moreDue, true)
    t.equal(swept.events.length, 1)
    t.equal(d.machine.leaseCount, 2, 'two wait for the sweep')
    t.equal(d.machine.lease('b'), null)
    t.same(d.machine.lease('c')!.slice(4, 6), [500, 'delayed'])
    t.same(
      d.machine.list({ prefix: '', after: null, limit: 10 }).leases.map(([name]) => name),
      ['c'],
    )
    const e = new Driver({ sweepPerEntryMax: 1 })
    e.at(10_000, acquire('a', 'h1'), acquire('b', 'h1'))
    const { replies, events } = e.at(11_000, acquire('b', 'h2'))
    t.equal(replies[0]!.code, OK, 'an ended lease that was not swept is no obstacle')
    t.same(
      events.map((one) => [one.type, one.token]),
      [
        ['expired', 1],
        ['expired', 2],
        ['granted', 3],
      ],
    )
  },
)

t.test('an old token learns what became of its grant', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h1'), release('a', 1))
  d.at(10_000, acquire('a', 'h1'), revoke('a'))
  d.at(10_000, acquire('a', 'h1'), acquire('a', 'h2', { waitMs: 100 }), transfer('a', 3, 'h2'))
  d.at(15_000, beat)
  const reasonOf = (token: number) => d.ask(15_000, renew('a', token)).fields
  t.same(reasonOf(1), [1, 'released'])
  t.same(reasonOf(2), [2, 'revoked'])
  t.same(reasonOf(3), [3, 'transferred'])
  t.same(reasonOf(4), [4, 'expired'], 'an offer that nobody claimed')
  t.same(reasonOf(5), [5, 'unknown'], 'never issued')
})

t.test('once the record is gone: superseded under a newer token, else unknown', async (t) => {
  const d = new Driver({ endingKeptMs: 1_000 })
  d.at(10_000, acquire('a', 'h1'), release('a', 1), acquire('b', 'h1', { ttlMs: 60_000 }))
  t.same(d.ask(11_000, renew('a', 1)).fields, [1, 'released'], 'kept for its time')
  t.same(d.ask(11_001, renew('a', 1)).fields, [1, 'unknown'], 'nobody has the name')
  d.at(11_001, acquire('a', 'h2', { ttlMs: 60_000 }))
  t.same(d.ask(11_002, renew('a', 1)).fields, [1, 'superseded'])
  t.same(d.ask(11_002, release('a', 1)), { code: LOST, fields: [1, 'superseded'] })
})

t.test('a token of another name is unknown, be that grant live or ended', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h1'), acquire('b', 'h1'), acquire('c', 'h1'), release('c', 3))
  t.same(d.ask(10_001, renew('b', 1)).fields, [1, 'unknown'])
  t.same(d.ask(10_001, renew('a', 2)).fields, [2, 'unknown'])
  t.same(d.ask(10_001, release('a', 3)), { code: LOST, fields: [3, 'unknown'] })
  t.equal(d.ask(10_001, renew('a', 1)).code, OK, 'and nothing was changed')
})

t.test('endings are bounded, row by row', async (t) => {
  const d = new Driver({ endingsMax: 4, endingsPerRow: 2 })
  for (let token = 1; token <= 7; token++) d.at(10_000, acquire('a', 'h1'), release('a', token))
  t.same(
    [1, 2, 3, 4, 5, 6, 7].map((token) => d.ask(10_001, release('a', token)).code === OK),
    [false, false, false, false, true, true, true],
  )
  t.equal(stored(d.machine).filter(([table]) => table === 'endings').length, 2)
  t.same(d.at(10_000 + 2 * 3_600_000, beat).moreDue, false)
  t.equal(stored(d.machine).filter(([table]) => table === 'endings').length, 1, 'the newest row alone stays')
})

t.test('a repeated release answers as it did', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h1'))
  t.same(d.ask(10_001, release('a', 1)), { code: OK, fields: [false] })
  t.same(d.ask(10_002, release('a', 1)), { code: OK, fields: [true] })
  d.at(10_003, acquire('a', 'h2'))
  t.same(d.ask(10_004, release('a', 1)), { code: OK, fields: [true] })
  t.equal(d.ask(10_005, renew('a', 2)).code, OK, 'and leaves the next grant alone')
})

t.test('a revoke ends whatever grant there is, and says which; a free name has none', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h1', { principal: 'p1' }))
  const applied = d.at(10_001, revoke('a'), revoke('a'))
  t.same(applied.replies[0], { code: OK, fields: [1, false] })
  t.equal(applied.replies[1]!.code, codeOf('LEASE_NOT_FOUND'))
  t.same(applied.revoked, [{ principal: 'p1', name: 'a', token: 1, reason: 'revoked' }])
  t.match(applied.events, [{ type: 'revoked', holder: 'h1', principal: 'operator', vacant: true }])
})

t.test('the delay after an expiry counts from the end, not from its sweep', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h1', { lockDelayMs: 5_000, meta: 'm' }))
  const { events } = d.at(13_000, beat)
  t.match(events, [{ type: 'expired', vacant: true }])
  t.same(d.ask(13_500, acquire('a', 'h2')), { code: HELD, fields: ['h1', 2_500, 'm', false] })
  t.same(d.machine.lease('a'), ['a', 'h1', 1, 1_000, 2_500, 'delayed', 0, 'm'])
  t.same([d.machine.leaseCount, d.machine.timed], [0, true])
  t.equal(d.ask(13_600, revoke('a')).code, codeOf('LEASE_NOT_FOUND'), 'there is no grant to end')
  t.same(d.ask(13_700, renew('a', 1)), { code: LOST, fields: [1, 'expired'] })
  t.same(d.ask(13_700, release('a', 1)), { code: LOST, fields: [1, 'expired'] })
  d.reload()
  t.equal(d.ask(15_999, acquire('a', 'h2')).code, HELD)
  t.equal(d.ask(16_000, acquire('a', 'h2')).code, OK)
})

t.test('a delay that is over when the end is swept delays nobody', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h1', { lockDelayMs: 500 }))
  d.at(11_500, beat)
  t.equal(d.machine.lease('a'), null)
})

t.test('a revoked lease is delayed, too; a released one and an unclaimed offer are not', async (t) => {
  const d = new Driver()
  const delayed = { lockDelayMs: 5_000, waitMs: 60_000 }
  d.at(10_000, acquire('a', 'h1', delayed), revoke('a'))
  t.same(d.machine.lease('a')!.slice(4, 6), [5_000, 'delayed'])
  d.at(10_000, acquire('b', 'h1', delayed), release('b', 2))
  t.equal(d.machine.lease('b'), null)
  d.at(10_000, acquire('c', 'h1'), acquire('c', 'h2', delayed), acquire('c', 'h3', delayed), release('c', 3))
  t.same(d.machine.lease('c')!.slice(1, 6), ['h2', 4, 1_000, 1_000, 'offered'])
  d.at(11_000, beat)
  t.same(d.machine.lease('c')!.slice(1, 6), ['h3', 5, 1_000, 1_000, 'offered'], 'the lapsed offer was clean')
  d.at(11_001, revoke('c'))
  t.equal(d.machine.lease('c'), null, 'so is a revoked one: nobody worked under it')
})

t.test('a listing goes by prefix, in order, page by page', async (t) => {
  const d = new Driver()
  const names = Array.from({ length: 3_000 }, (_, i) => `jobs/${(i * 7_919) % 3_000}`)
  for (let at = 0; at < names.length; at += 500) {
    d.at(10_000, ...names.slice(at, at + 500).map((name) => acquire(name, 'h', { ttlMs: 60_000 })))
  }
  const all = (prefix: string, limit: number) => {
    const seen: string[] = []
    for (let after: string | null = null; ; ) {
      const page = d.machine.list({ prefix, after, limit })
      seen.push(...page.leases.map(([name]) => name))
      if (page.next === null) return seen
      t.ok(page.leases.length === limit && page.next === seen.at(-1))
      after = page.next
    }
  }
  t.same(all('', 1_000), names.toSorted())
  t.same(all('jobs/29', 7), names.filter((name) => name.startsWith('jobs/29')).sort())
  t.same(all('none', 7), [])
  d.reload()
  t.same(all('', 999), names.toSorted())
  const gone = names.filter((_, i) => i % 100 !== 0)
  for (const name of gone) d.at(10_001, release(name, names.indexOf(name) + 1))
  const left = names.filter((_, i) => i % 100 === 0).sort()
  t.same(all('', 7), left)
  d.reload()
  t.same(all('', 7), left)
  t.same(
    d.machine.list({ prefix: 'jobs/1', after: 'a', limit: 1 }).leases.length,
    1,
    'a start before the prefix is no matter',
  )
  d.at(10_002, ...left.map((name) => release(name, names.indexOf(name) + 1)))
  t.same(d.machine.list({ prefix: '', after: null, limit: 1 }), { leases: [], next: null })
})

t.test('tokens are found among many that have ended', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('old', 'h', { ttlMs: 60_000 }))
  for (let token = 2; token < 3_000; token++) d.at(10_001, acquire('b', 'h'), release('b', token))
  d.at(10_002, acquire('b', 'h', { ttlMs: 60_000 }))
  t.same(d.ask(10_003, renew('b', 1)).fields, [1, 'unknown'], 'live under another name')
  t.same(d.ask(10_003, renew('old', 1)).code, OK)
})

t.test('ends far ahead are kept as well as near ones, also after a reload', async (t) => {
  const day = 24 * 3_600_000
  const d = new Driver()
  const ttls = [100, 70_000, 3 * day, 2 * day, 3_600_000, 131_072, 3 * day]
  d.at(10_000, ...ttls.map((ttlMs, i) => acquire(`n${i}`, 'h', { ttlMs })))
  d.reload()
  const ended: string[] = []
  for (let timeMs = 10_000; d.machine.timed; timeMs += 50_000) {
    ended.push(...d.at(timeMs, beat).events.map((e) => e.name))
    if (timeMs === 10_000 + day) d.reload()
  }
  t.same(ended, ['n0', 'n1', 'n5', 'n4', 'n3', 'n2', 'n6'])
})

t.test('whatever leaves early, the rest ends in order', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const d = new Driver()
    const endOf = (i: number) => 10_950 + ((i * (2 * seed + 1)) % 50)
    const all = Array.from({ length: 60 }, (_, i) => i)
    d.at(10_000, ...all.map((i) => acquire(`n${i}`, 'h', { ttlMs: endOf(i) - 10_000 })))
    d.at(10_945, beat)
    const left = all.filter((i) => (i * 7 + seed) % 3 !== 0)
    d.at(10_946, ...all.filter((i) => !left.includes(i)).map((i) => release(`n${i}`, i + 1)))
    const ended = d.at(11_000, beat).events.map(({ name }) => name)
    t.same(
      ended,
      left.toSorted((a, b) => endOf(a) - endOf(b) || a - b).map((i) => `n${i}`),
    )
  }
})

t.test('a name that is passed on in place leaves the order of the others alone', async (t) => {
  const all = Array.from({ length: 20 }, (_, i) => i)
  for (const passed of all) {
    const d = new Driver()
    d.at(10_000, ...all.map((i) => acquire(`n${i}`, 'h')), acquire(`n${passed}`, 'h2', { waitMs: 60_000 }))
    d.at(10_990, beat)
    d.at(10_990, release(`n${passed}`, passed + 1))
    const ended = d.at(11_000, beat).events.map(({ name }) => name)
    t.same(
      ended,
      all.filter((i) => i !== passed).map((i) => `n${i}`),
    )
  }
})

t.test('equal strings are shared where that helps, and never mixed up', async (t) => {
  const d = new Driver()
  for (let i = 0; i < 5_000; i++)
    d.at(10_000, acquire(`n${i}`, `h${i}`, { principal: `p${i % 3}`, meta: `m${i % 2}`, ttlMs: 60_000 }))
  for (const i of [0, 1, 2_047, 2_048, 2_049, 4_999]) {
    const view = d.machine.lease(`n${i}`)!
    t.same([view[1], view[7]], [`h${i}`, `m${i % 2}`])
  }
})

t.test('the state after a reload is the state before, and goes on alike', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h1'), acquire('b', 'h2', { ttlMs: 60_000 }), admitRun('n1'))
  const before = stored(d.machine)
  d.reload()
  t.same(stored(d.machine), before)
  t.same(d.ask(10_500, acquire('c', 'h3')).fields[0], 3, 'tokens go on')
  t.same(d.ask(10_500, admitRun('n1')), { code: OK, fields: [2] }, 'runs go on')
  t.same(d.ask(11_000, renew('a', 1)), { code: LOST, fields: [1, 'expired'] })
  t.same(d.ask(11_001, renew('b', 2)).code, OK)
})

t.test('a live token is found among all others, however unevenly those that ended left them', async (t) => {
  const scattered = (n: number) => (Math.imul(n, 0x9e3779b1) >>> 0) / 2 ** 32
  for (let round = 0; round < 40; round++) {
    const limits = { endingKeptMs: 1 }
    const d = new Driver(limits)
    const live = new Map<number, string>()
    const tokens = 20 + round * 5
    for (let token = 1; token <= tokens; token++) {
      d.at(10_000, acquire(`n${token}`, 'h', { ttlMs: 60_000 }))
      // some stretches stay nearly whole, others nearly empty
      const stays = scattered(token + 1_000 * round) < (Math.floor(token / 32) % 2 === round % 2 ? 0.95 : 0.1)
      if (stays) live.set(token, `n${token}`)
      else d.at(10_000, release(`n${token}`, token))
    }
    d.machine = reloaded(d.machine, limits) // which leaves the ended ones out
    d.at(20_000, beat, acquire('last', 'h', { ttlMs: 60_000 }))
    // Of an older token `last` can say that it was superseded, unless the token is another name's to this day.
    const reasons = Array.from({ length: tokens }, (_, at) => d.ask(20_000, renew('last', at + 1)).fields[1])
    const expected = reasons.map((_, at) => (live.has(at + 1) ? 'unknown' : 'superseded'))
    t.same(reasons, expected, `${live.size} of ${tokens} tokens`)
    for (const [token, name] of live) t.equal(d.ask(20_000, renew(name, token)).code, OK)
  }
})

t.test('a grant that has ended is not renewed, released or passed on, whether it was swept or not', async (t) => {
  const d = new Driver({ sweepPerEntryMax: 1 })
  const names = ['a', 'b', 'c', 'd']
  d.at(10_000, ...names.map((name) => acquire(name, 'h1')))
  const { replies } = d.at(11_000, renew('b', 2), release('c', 3), transfer('d', 4, 'h2'))
  t.same(
    replies.map(({ code, fields }) => [code, fields[1]]),
    names.slice(1).map(() => [LOST, 'expired']),
  )
})
