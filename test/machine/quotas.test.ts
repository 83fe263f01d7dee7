/** Quotas in the machine: specifications, levels, tabs, and who gets what. */
import { type Claim, type ERRORS, INTERNAL_OP, OK, OP, type QuotaSpec } from '@leasehold/protocol'
import { Machine } from '@leasehold/server/machine'
import t from 'tap'
import { codeOf, reloaded, request, stored } from './driver.js'
import { per, QuotaWorld, remove, set, specOf } from './quotaworld.js'

const PLAIN = specOf([per(100, 1_000, 200)])
const QUOTA_MS = 5_000

t.test('a fresh quota is full, or as full as it is told; what was set is read back, page by page', async (t) => {
  const w = new QuotaWorld()
  t.match(w.do(set('b', PLAIN)), { code: OK, fields: [1, false] })
  w.do(set('a', specOf([per(10, 1_000, 50), per(1_000, 60_000, 1_000)], { initial: 20 })))
  w.do(set('c/d', PLAIN))
  t.equal(w.available('b'), 200)
  t.equal(w.available('a'), 20)
  t.same(
    w.machine.listQuotas({ prefix: '', after: null, limit: 2 }).quotas.map(({ name }) => name),
    ['a', 'b'],
  )
  t.equal(w.machine.listQuotas({ prefix: '', after: null, limit: 2 }).next, 'b')
  t.same(
    w.machine.listQuotas({ prefix: '', after: 'b', limit: 2 }).quotas.map(({ name }) => name),
    ['c/d'],
  )
  t.same(w.machine.listQuotas({ prefix: 'b', after: null, limit: 2 }), { quotas: [w.machine.quota('b')], next: null })
  t.equal(w.machine.quota('x'), null)
  w.nowMs += 1_000
  w.do(set('e', PLAIN))
  t.equal(w.available('a'), 29, '0.995 of ten flow in a second')
})

t.test('the same specification again changes nothing, another one is a new version, in the audit', async (t) => {
  const w = new QuotaWorld()
  w.do(set('q', PLAIN))
  t.same(w.at(w.nowMs, set('q', PLAIN)).events, [])
  const { replies, events } = w.at(w.nowMs, set('q', { ...PLAIN, weight: 2 }))
  t.same(replies, [{ code: OK, fields: [2, false] }])
  t.match(events, [{ type: 'quotaSet', name: 'q', token: 2, cause: 'quota', holder: '', principal: 'operator' }])
  t.match(w.at(w.nowMs, remove('q')), {
    replies: [{ code: OK, fields: [2, false] }],
    events: [{ type: 'quotaDeleted' }],
  })
  t.equal(w.do(remove('q')).code, codeOf('QUOTA_NOT_FOUND'))
  t.equal(w.machine.quota('q'), null)
})

t.test('a change is made once, whatever the attempts; a token with other parameters is refused', async (t) => {
  const w = new QuotaWorld()
  t.same(w.do(set('q', PLAIN, request(1))).fields, [1, false])
  w.do(set('q', { ...PLAIN, weight: 7 }))
  t.same(w.do(set('q', PLAIN, request(1))).fields, [1, true])
  t.equal(w.machine.quota('q')!.spec.weight, 7)
  t.equal(w.do(set('q', { ...PLAIN, weight: 3 }, request(1))).code, codeOf('IDEMPOTENCY_MISMATCH'))
  t.same(w.do(remove('q', request(2))).fields, [2, false])
  t.same(w.do(remove('q', request(2))).fields, [2, true])
  t.equal(w.do(remove('q', request(3))).code, codeOf('QUOTA_NOT_FOUND'))
  t.equal(w.do(remove('q', request(3))).code, codeOf('QUOTA_NOT_FOUND'))
  w.do({ op: OP.cancelWait, principal: 'operator', scope: 's:1', key: 4 })
  t.equal(w.do(set('q', PLAIN, request(4))).code, codeOf('STALE'), 'given up before it came')
})

t.test('what is drawn is outstanding until it is reported, returned, or its tab ends', async (t) => {
  const w = new QuotaWorld()
  w.do(set('q', specOf([per(1, 1_000, 100)])))
  t.match(w.draw('n1', { q: 60 }), [
    { granted: 60, drawn: 60, tab: 1, validMs: QUOTA_MS, retryAfterMs: 0, available: 40 },
  ])
  t.same([w.available('q'), w.outstanding('q')], [40, 60])
  w.granted('n1', {}, [{ quota: 'q', tab: 1, spent: 10, returned: 20 }])
  t.same([w.available('q'), w.outstanding('q')], [60, 30], 'returned ones are there again')
  w.granted('n1', {}, [{ quota: 'q', tab: 1, spent: 5, returned: 0 }])
  t.equal(w.outstanding('q'), 30, 'less than was said before changes nothing')
  w.granted('n1', {}, [{ quota: 'q', tab: 1, spent: 1_000, returned: 1_000 }])
  t.equal(w.outstanding('q'), 0, 'nor is more believed than was drawn')
  t.equal(w.granted('n1', { q: 7 })[0], 7)
  t.match(w.tab('n1', 'q'), { drawn: 67, tab: 1 })
  const { endMs } = w.tab('n1', 'q')!
  w.nowMs = endMs - 1
  w.draw('n2', {})
  t.equal(w.outstanding('q'), 7)
  const before = w.available('q')
  w.nowMs = endMs
  w.granted('n2', {}, [{ quota: 'q', tab: 1, spent: 0, returned: 0 }])
  t.same([w.outstanding('q'), w.tab('n1', 'q')], [0, null], 'its time is over')
  t.ok(w.available('q') <= before + 1, 'what was left of it counts as spent')
  w.granted('n1', {}, [{ quota: 'q', tab: 1, spent: 0, returned: 7 }])
  t.ok(w.available('q') <= before + 1, 'and comes back by no report')
})

t.test('a draw is executed once, in its order, and only of the process that runs', async (t) => {
  const w = new QuotaWorld()
  w.do(set('q', PLAIN))
  const first = w.of('n1', { q: 10 })
  const second = w.of('n1', { q: 20 })
  t.equal(w.allocate(second).drawn.length, 1)
  t.same([w.allocate(second).drawn, w.allocate(first).drawn], [[], []])
  t.equal(w.outstanding('q'), 20)
  t.equal(w.machine.lastDrawOf('n1'), 2)
  const old = w.of('n1', { q: 5 })
  w.admit('n1')
  t.equal(w.machine.lastDrawOf('n1'), 0)
  t.same(w.allocate(old).drawn, [])
  t.equal(w.draw('n1', { q: 3 })[0]!.tab, 1)
  t.equal(w.outstanding('q'), 23, 'the old process may still spend')
  t.equal(w.machine.tabsOf('n1').length, 1)
  t.equal(w.machine.tabsOf('n9').length, 0)
  t.same(w.allocate({ ...w.of('n1', { q: 1 }), member: 'n9' }).drawn, [], 'of nobody')
  const configuration = { voters: ['n2@d'], learners: [], outgoing: [], addresses: { 'n2@d': 'n2:7421' } }
  w.do({ op: INTERNAL_OP.configure, configuration })
  t.same(w.allocate(w.of('n1', { q: 1 })).drawn, [], 'nor of who was removed')
})

t.test('what there is not is not drawn, and the outcome says when there is more', async (t) => {
  const w = new QuotaWorld()
  w.do(set('q', specOf([per(10, 1_000, 20)])))
  w.do(set('keyed', { ...specOf([per(1, 1_000, 1)]), perKey: true }))
  t.match(w.draw('n1', { q: 50, x: 1, keyed: 1 }), [
    { granted: 20, retryAfterMs: 5_026, available: 0 },
    { version: 0, granted: 0, tab: 0 },
    { version: 0, granted: 0, tab: 0 },
  ])
  t.match(w.draw('n2', { q: 5 }), [{ granted: 0, tab: 0, retryAfterMs: 503, version: 1 }])
  t.match(
    w.draw('n1', {
      q: [
        [0, 1],
        [2, 1],
      ],
    }),
    [{ granted: 0, tab: 1, retryAfterMs: 202 }],
  )
  t.match(w.draw('n1', { q: 1_000_000_000 }), [{ retryAfterMs: 3_600_000 }], 'an hour at most')
})

t.test('children take from their parent, and its parent, all or nothing', async (t) => {
  const w = new QuotaWorld()
  w.do(set('top', specOf([per(1, 60_000, 50)])))
  w.do(set('mid', specOf([per(1, 60_000, 40)], { parent: 'top' })))
  w.do(set('low', specOf([per(1, 60_000, 100)], { parent: 'mid' })))
  t.match(w.draw('n1', { low: 60 }), [{ granted: 40, available: 0 }])
  t.same(
    ['top', 'mid', 'low'].map((name) => w.outstanding(name)),
    [40, 40, 40],
  )
  t.same(
    ['top', 'mid', 'low'].map((name) => w.available(name)),
    [10, 0, 60],
  )
  w.draw('n1', {}, [{ quota: 'low', tab: 1, spent: 0, returned: 40 }])
  t.same(
    ['top', 'mid', 'low'].map((name) => w.available(name)),
    [50, 40, 100],
  )
})

t.test('where there is not enough, it is shared: by claims, by weights, what is guaranteed first', async (t) => {
  const claims = (...counts: number[]): Claim[] => counts.map((count) => [count, 1] as const)
  const w = new QuotaWorld({}, ['n1', 'n2'])
  const small = specOf([per(1, 60_000, 120)])
  w.do(set('q', small))
  const { drawn } = w.allocate(w.of('n1', { q: claims(1_000) }), w.of('n2', { q: claims(60, 10) }))
  t.same(
    drawn.map(({ outcomes }) => outcomes[0]!.granted),
    [55, 65],
  )
  const child = (more: Partial<QuotaSpec>) => specOf([per(1, 60_000, 1_000)], { parent: 'p', ...more })
  const shares = (a: Partial<QuotaSpec>, b: Partial<QuotaSpec>, wants: Record<string, number>) => {
    const world = new QuotaWorld()
    world.do(set('p', small))
    world.do(set('a', child(a)))
    world.do(set('b', child(b)))
    return world.granted('n1', wants)
  }
  t.same(shares({}, {}, { a: 1_000, b: 1_000 }), [60, 60])
  t.same(shares({ weight: 3 }, {}, { a: 1_000, b: 1_000 }), [90, 30])
  t.same(shares({}, {}, { a: 100, b: 10 }), [100, 10])
  t.same(shares({ guaranteedPercent: 75 }, {}, { a: 1_000, b: 1_000 }), [105, 15], 'the rest by weight')
  t.same(shares({ guaranteedPercent: 75, borrow: false }, {}, { a: 1_000, b: 1_000 }), [90, 30])
  t.same(shares({ guaranteedPercent: 20, borrow: false }, {}, { a: 10, b: 10 }), [10, 10], 'of all that is there')
  t.same(shares({}, {}, { a: 1_000, b: 1_000, p: 1_000 }), [40, 40, 40], 'who draws above is one more child')
  const deep = new QuotaWorld()
  deep.do(set('g', specOf([per(1, 60_000, 60)])))
  deep.do(set('p', specOf([per(1, 60_000, 120)], { parent: 'g' })))
  deep.do(set('a', child({ guaranteedPercent: 50 })))
  deep.do(set('o', specOf([per(1, 60_000, 120)], { parent: 'g' })))
  t.same(deep.granted('n1', { a: 100, p: 100, o: 100 }), [23, 7, 30])
})

t.test('a change cuts what is above it, and adds nothing', async (t) => {
  const w = new QuotaWorld()
  const of = (...bandwidths: ReturnType<typeof per>[]) => w.do(set('q', specOf(bandwidths)))
  of(per(1, 60_000, 100))
  w.draw('n1', { q: 70 })
  of(per(1, 60_000, 80))
  t.same([w.available('q'), w.outstanding('q')], [10, 70])
  of(per(1, 60_000, 50))
  t.same([w.available('q'), w.outstanding('q')], [0, 70], 'more is out than it holds')
  of(per(2, 60_000, 100))
  t.equal(w.available('q'), 0, 'put back, it holds what it held')
  w.draw('n1', {}, [{ quota: 'q', tab: 1, spent: 0, returned: 70 }])
  t.equal(w.available('q'), 70, 'and what came back')
})

t.test('a bandwidth that is taken away and put back holds what it would have held', async (t) => {
  const w = new QuotaWorld({ quotaRetiredMax: 2 })
  const slow = per(1, 60_000, 100)
  const fast = per(10, 1_000, 100)
  w.do(set('q', specOf([slow, fast])))
  w.draw('n1', { q: 90 }, [])
  w.draw('n1', {}, [{ quota: 'q', tab: 1, spent: 90, returned: 0 }])
  w.do(set('q', specOf([fast])))
  w.nowMs += 10_000
  w.draw('n2', {})
  w.do(set('q', specOf([fast, slow])))
  t.equal(w.available('q'), 10)
  w.do(set('q', specOf([fast, per(1, 50_000, 100)])))
  t.equal(w.available('q'), 10, 'another one in its place has no more than it had')
  w.do(set('q', specOf([fast, slow])))
  t.equal(w.available('q'), 10)
  w.do(set('q', specOf([fast, slow, per(5, 5_000, 100)])))
  t.equal(w.available('q'), 10)
  w.do(set('q', specOf([fast, per(1, 40_000, 100)])))
  const { code, fields } = w.do(set('q', specOf([fast, per(1, 30_000, 100)])))
  t.same([code, /too many other bandwidths/.test(String(fields[0]))], [codeOf('QUOTA_CONFLICT'), true])
  w.nowMs += 6_000_000
  t.equal(w.do(set('q', specOf([fast, per(1, 30_000, 100)]))).code, OK, 'in time they are full, and forgotten')
})

t.test('a quota that is deleted and made again holds what it would have held, until it would be full', async (t) => {
  const w = new QuotaWorld()
  const spec = specOf([per(1, 1_000, 10)])
  w.do(set('q', spec))
  t.equal(w.granted('n1', { q: 10 })[0], 10)
  w.do(remove('q'))
  t.match(w.draw('n2', { q: 1 }), [{ version: 0 }])
  w.do(set('q', spec))
  t.same([w.available('q'), w.outstanding('q')], [0, 10])
  w.do(remove('q'))
  w.nowMs += 5_000
  w.draw('n2', {})
  t.ok(stored(w.machine).some(([table, key]) => table === 'quotas' && key === 'q'))
  w.machine = reloaded(w.machine)
  w.nowMs += 4_000
  w.draw('n2', {})
  w.do(set('q', spec))
  t.ok(w.available('q') < 10)
  w.do(remove('q'))
  w.nowMs += 60_000
  w.draw('n2', {})
  t.notOk(
    stored(w.machine).some(([table]) => table === 'quotas'),
    'full by now, and forgotten',
  )
  w.do(set('q', spec))
  t.equal(w.available('q'), 10)
})

t.test('what does not fit in among the others is refused with a word', async (t) => {
  const w = new QuotaWorld({ quotasMax: 8, quotaDepthMax: 3 })
  const refused = (
    command: ReturnType<typeof set> | ReturnType<typeof remove>,
    code: keyof typeof ERRORS,
    says: RegExp,
  ) => {
    const reply = w.do(command)
    t.same([reply.code, says.test(String(reply.fields[0]))], [codeOf(code), true], String(says))
  }
  const under = (parent: string, more: Partial<QuotaSpec> = {}) => specOf([per(1, 1_000, 10)], { parent, ...more })
  const keyed = (...keys: [string, string][]) => ({ ...specOf([per(1, 1_000, 10)]), perKey: true, keys })
  w.do(set('a', specOf([per(1, 1_000, 10)])))
  refused(set('x', under('nobody')), 'QUOTA_CONFLICT', /no quota nobody/)
  refused(set('a', under('a')), 'QUOTA_CONFLICT', /above itself/)
  w.do(set('b', under('a')))
  refused(set('a', under('b')), 'QUOTA_CONFLICT', /above itself/)
  w.do(set('c', under('b')))
  refused(set('d', under('c')), 'QUOTA_CONFLICT', /at most 3 above each other, not 4/)
  w.do(set('top', specOf([per(1, 1_000, 10)])))
  refused(set('a', under('top')), 'QUOTA_CONFLICT', /at most 3 above each other, not 4/)
  w.do(set('g', under('a', { guaranteedPercent: 60 })))
  refused(set('h', under('a', { guaranteedPercent: 41 })), 'QUOTA_CONFLICT', /101 percent of a/)
  t.equal(w.do(set('g', under('a', { guaranteedPercent: 100 }))).code, OK)
  refused(remove('a'), 'QUOTA_CONFLICT', /b uses a/)
  w.do(set('k', keyed(['vip', 'c'])))
  refused(remove('c'), 'QUOTA_CONFLICT', /k uses c/)
  refused(set('k', keyed(['vip', 'x'])), 'QUOTA_CONFLICT', /names x, and there is no/)
  refused(set('k', keyed(['vip', 'k'])), 'QUOTA_CONFLICT', /names k, and there is no/)
  w.do(set('k2', keyed()))
  refused(set('k', keyed(['vip', 'k2'])), 'QUOTA_CONFLICT', /has a bucket for each key itself/)
  refused(set('x', under('k')), 'QUOTA_CONFLICT', /cannot be a parent/)
  refused(set('a', keyed()), 'QUOTA_CONFLICT', /uses a/)
  refused(set('c', keyed()), 'QUOTA_CONFLICT', /k uses c/)
  w.do(set('e', specOf([per(1, 1_000, 10)])))
  refused(set('f', specOf([per(1, 1_000, 10)])), 'LIMIT_REACHED', /no more may be/)
  w.draw('n1', { c: 1 })
  refused(set('c', under('a')), 'QUOTA_CONFLICT', /another parent while 1 of its tokens/)
  w.draw('n1', { e: 1 })
  refused(set('e', keyed()), 'QUOTA_CONFLICT', /perKey quota while 1/)
  w.draw('n1', {}, [{ quota: 'e', tab: 2, spent: 1, returned: 0 }])
  t.equal(w.do(set('e', keyed())).code, OK)
  t.match(w.machine.quota('e'), { available: 0, spec: { perKey: true } })
  t.same(reloaded(w.machine).quota('e'), w.machine.quota('e'))
})

t.test('a bucket that cannot be is noticed before anything comes of it', async (t) => {
  const w = new QuotaWorld()
  w.do(set('q', PLAIN))
  for (const wrong of [
    [-1, 0],
    [1, -5],
  ]) {
    const rows = stored(w.machine).map(([table, key, fields]) => {
      if (table !== 'quotas') return [table, key, fields] as const
      return [table, key, fields.with(5, wrong[0]!).with(2, wrong[1]!)] as const
    })
    const broken = new Machine()
    for (const [name, key, fields] of rows) broken.tables.find((table) => table.name === name)!.load(key, fields, 1)
    const at = new QuotaWorld()
    at.machine = broken
    t.throws(() => at.entryOf(set('q', { ...PLAIN, weight: 9 })), /quota q: /, String(wrong))
  }
})

t.test('time must move on while a tab is open or a bucket fills, and not after', async (t) => {
  const w = new QuotaWorld()
  t.equal(w.machine.timed, false)
  w.do(set('q', specOf([per(1_000, 1_000, 10)])))
  t.equal(w.machine.timed, false)
  w.draw('n1', { q: 10 })
  t.equal(w.machine.timed, true)
  t.equal(reloaded(w.machine).timed, true)
  w.nowMs += 5_000
  w.draw('n2', {})
  t.equal(w.machine.timed, true, 'its bucket fills')
  w.nowMs += 11
  w.draw('n2', {})
  t.equal(w.machine.timed, false)
})

t.test('a tab outlives its quota where nothing of it is outstanding, and a quota its parent', async (t) => {
  const w = new QuotaWorld()
  w.do(set('p', specOf([per(1_000, 1_000, 10)])))
  w.do(set('slow', specOf([per(1, 60_000, 10)], { parent: 'p' })))
  w.do(set('quick', specOf([per(1_000, 1_000, 10)])))
  w.draw('n1', { slow: 1, quick: 1 })
  const spent = (quota: string) => ({ quota, tab: 1, spent: 1, returned: 0 })
  w.draw('n1', {}, [spent('slow'), spent('quick')])
  for (const name of ['slow', 'p', 'quick']) t.equal(w.do(remove(name)).code, OK)
  w.nowMs += 1_000
  w.draw('n2', {})
  t.same(
    stored(w.machine).flatMap(([table, key]) => (table === 'quotas' ? [key] : [])),
    ['slow'],
  )
  w.nowMs += QUOTA_MS
  w.draw('n2', { slow: 1 })
  t.same(w.machine.tabsOf('n1'), [])
  t.equal(w.do(set('slow', specOf([per(1, 60_000, 10)]))).code, OK, 'it comes back without its parent')
})

t.test('a stored quota whose levels are not those of its bandwidths is refused', async (t) => {
  const w = new QuotaWorld()
  w.do(set('q', PLAIN))
  const [, , fields] = stored(w.machine).find(([table]) => table === 'quotas')!
  const table = new Machine().tables.find(({ name }) => name === 'quotas')!
  t.throws(() => table.load('q', [...fields.slice(0, 4), 0, ...fields.slice(7)], 1), /stored row quotas\/q/)
})

t.test('tabs that have ended are swept a few at a time, and are over for whoever asks', async (t) => {
  const w = new QuotaWorld({ sweepPerEntryMax: 1 }, ['n1', 'n2', 'n3'])
  w.do(set('q', specOf([per(1, 60_000, 100)])))
  for (const member of ['n1', 'n2', 'n3']) w.draw(member, { q: 10 })
  w.nowMs += QUOTA_MS
  const { moreDue } = w.allocate()
  t.equal(moreDue, true)
  t.equal(w.machine.tabsOf('n3').length, 0)
  t.match(w.draw('n3', { q: 5 }), [{ granted: 5, drawn: 5 }])
  t.equal(w.outstanding('q'), 5)
})
