/** `leasehold quota ...` against the real HTTP interface, behind which a replica and a desk do what the test says. */
import {
  auditSeq,
  checkQuotaSpec,
  clusterMs,
  ERRORS,
  fencingToken,
  OK,
  OP,
  ProtocolError,
  type QuotaSet,
  term,
  wallMs,
} from '@leasehold/protocol'
import t, { type Test } from 'tap'
import { FakeDesk } from '../http/desk.js'
import { FakeReplica } from '../http/fake.js'
import { serve } from '../support/member.js'
import { inProcess, startLeasehold } from './process.js'

async function world(t: Test) {
  const replica = new FakeReplica()
  const desk = new FakeDesk()
  const served = await serve({ replica, quotas: desk })
  t.teardown(() => served.close())
  const text = (...args: string[]) => inProcess(['quota', ...args, '--url', served.url])
  const json = async (...args: string[]) => {
    const { code, out, err } = await text(...args, '--json')
    return { code, body: JSON.parse(out), err }
  }
  const spec = () => (replica.submitted.at(-1)!.command as QuotaSet).spec
  return { replica, desk, served, text, json, spec }
}

const SPEC = checkQuotaSpec({ bandwidths: [{ tokens: 100, perMs: 1_000, burst: 200 }] })
const KEYED = checkQuotaSpec({ ...SPEC, perKey: true, shadow: true, keys: [['a b', 'api/gold']] })

t.test('a quota is set from its rates', async (t) => {
  const { text, json, spec, replica } = await world(t)
  t.match(await json('set', 'api', '--rate', '100/s'), { code: 0, body: { name: 'api', version: 3, replayed: false } })
  t.same(spec(), checkQuotaSpec({ bandwidths: [{ tokens: 100, perMs: 1_000 }] }), 'with defaults for all else')
  const rates: [rate: string, perMs: number, burst: number][] = [
    ['5/ms', 1, 5],
    ['5/s', 1_000, 5],
    ['5/10s', 10_000, 5],
    ['5/1m', 60_000, 5],
    ['5/1.5h', 5_400_000, 5],
    ['5/h:7', 3_600_000, 7],
    ['5/250', 250, 5],
  ]
  for (const [rate, perMs, burst] of rates) {
    t.equal((await text('set', 'api', '--rate', rate)).code, 0, rate)
    t.same(spec().bandwidths, [{ tokens: 5, perMs, burst }], rate)
  }
  const flags = ['--rate', '100/s', '--rate=1000/1h:50', '--burst', '200', '--parent', 'all', '--weight', '7']
  const more = ['--guaranteed', '20', '--no-borrow', '--initial', '0', '--shadow', '--when-unavailable', 'allow']
  const set = await text('set', 'api', ...flags, ...more)
  t.same(spec(), {
    bandwidths: [
      { tokens: 100, perMs: 1_000, burst: 200 },
      { tokens: 1_000, perMs: 3_600_000, burst: 50 },
    ],
    ...{ parent: 'all', weight: 7, guaranteedPercent: 20, borrow: false, initial: 0, perKey: false, shadow: true },
    ...{ whenUnavailable: 'allow', keys: [] },
  })
  t.equal(
    set.out,
    [
      'name        api',
      'version     3',
      'rate        100/s:200 1000/h:50',
      'parent      all',
      'weight      7',
      'guaranteed  20 %, and no more',
      'initial     0',
      'kind        shadow, allows when unavailable\n',
    ].join('\n'),
  )
  const keyed = await text('set', 'k', '--rate', '1/s', '--per-key', '--key', 'a=b=api', '--key', 'c=d')
  t.match(keyed, { code: 0, out: /kind +per key/ })
  t.match(spec(), {
    perKey: true,
    keys: [
      ['a=b', 'api'],
      ['c', 'd'],
    ],
  })

  const conflict = 'api would be its own ancestor'
  replica.respond = () => ({ code: ERRORS.QUOTA_CONFLICT.wire, fields: [conflict, 0] })
  const refused = await json('set', 'api', '--rate', '1/s', '--parent', 'api')
  t.match(refused, { code: 1, body: { code: 'QUOTA_CONFLICT' }, err: `leasehold: ${conflict} (QUOTA_CONFLICT)\n` })
})

t.test('what is wrong with a line is named at once, and nothing is sent', async (t) => {
  const { text, replica, desk } = await world(t)
  const cases: [args: string[], says: RegExp][] = [
    [['set', 'api'], /--rate: is missing/],
    [['set', 'api', '--rate', '100'], /--rate expects TOKENS\/TIME or TOKENS\/TIME:BURST, such as 100\/s, got "100"/],
    [['set', 'api', '--rate', '1/s', '--rate', '0/s'], /--rate "0\/s": its tokens must be a whole number/],
    [['set', 'api', '--rate', '1/0s'], /--rate "1\/0s": its time/],
    [['set', 'api', '--rate', '1/fortnight'], /--rate "1\/fortnight"/],
    [['set', 'api', '--rate', '1/s:0'], /--rate "1\/s:0": its burst/],
    [['set', 'api', '--rate', '1/s', '--burst', '0'], /--burst expects a whole number from 1/],
    [['set', 'api', '--rate', '1/s', '--weight', '0'], /--weight expects/],
    [['set', 'api', '--rate', '1/s', '--guaranteed', '101'], /--guaranteed expects/],
    [['set', 'api', '--rate', '1/s', '--parent', 'a//b'], /--parent "a\/\/b"/],
    [['set', 'api', '--rate', '1/s', '--key', 'gold'], /--key expects KEY=QUOTA, got "gold"/],
    [['set', 'api', '--rate', '1/s', '--key', '=gold'], /--key "=gold": its key must not be empty/],
    [['set', 'api', '--rate', '1/s', '--key', ''], /--key must not be empty/],
    [['set', 'api', '--rate', '1/s', '--when-unavailable', 'maybe'], /--when-unavailable expects one of deny, allow/],
    [['set', 'a b', '--rate', '1/s'], /NAME "a b"/],
    [['set', '--rate', '1/s'], /NAME: is missing/],
    [['take', 'api', '--cost', '0'], /--cost expects/],
    [['take', 'api', '--key', 'k'.repeat(256)], /--key "k+": it must be at most 255 bytes/],
    [['take', 'api', '--up-to', '--peek'], /--up-to and --peek do not go together/],
    [['top', 'api', '--limit', '0'], /--limit expects/],
    [['get', 'api', '--rate', '1/s'], /--rate: there is no such flag/],
  ]
  for (const [args, says] of cases) {
    const { code, out, err } = await text(...args)
    t.same([code, out], [2, ''], args.join(' '))
    t.match(err, says)
  }
  t.match((await text('steal', 'api')).err, /there is no command "quota steal"/)
  t.same([replica.submitted.length, desk.asked.length], [0, 0])
})

t.test('a quota is shown, listed and deleted', async (t) => {
  const { text, json, replica } = await world(t)
  t.match(await json('get', 'api'), { code: 1, body: { code: 'QUOTA_NOT_FOUND' }, err: /no quota api \(QUOTA_NOT/ })
  replica.quotas.set('api', { name: 'api', version: 4, spec: SPEC, available: 120, outstanding: 5 })
  replica.quotas.set('keyed', { name: 'keyed', version: 5, spec: KEYED, available: 0, outstanding: 0 })
  t.match(await json('get', 'api'), { code: 0, body: { name: 'api', version: 4, available: 120, outstanding: 5 } })
  const shown = 'name         api\nversion      4\nrate         100/s:200\navailable    120\noutstanding  5\n'
  t.equal((await text('get', 'api')).out, shown)
  const keyed =
    'name     keyed\nversion  5\nrate     100/s:200\nkind     per key, shadow\nkey      "a b" has api/gold\n'
  t.equal((await text('get', 'keyed')).out, keyed)
  const head = 'NAME   RATE       AVAILABLE  OUTSTANDING  PARENT  KIND\n'
  const rows =
    'api    100/s:200  120        5            -\nkeyed  100/s:200  -          -            -       per key, shadow\n'
  t.match(await text('list'), { code: 0, out: head + rows, err: '' })
  t.match(await text('list', '--limit', '1'), { out: /\napi /, err: 'more: --after api\n' })
  t.match(await text('list', '--prefix', 'k', '--after', 'api'), { out: /^NAME.*\nkeyed/, err: '' })
  t.match(await json('list'), { code: 0, body: { quotas: [{ name: 'api' }, { name: 'keyed' }], next: null } })
  t.match(await text('delete', 'api'), { code: 0, out: 'deleted api\n' })
  t.match(await json('delete', 'api'), { code: 0, body: { deleted: true, version: 3 } })
  t.equal(replica.submitted.at(-1)?.command.op, OP.quotaDelete)
})

t.test('a take exits 0 where it is admitted, 1 where it is denied, 3 where nobody can say', async (t) => {
  const { text, json, desk } = await world(t)
  t.match(await text('take', 'api'), { code: 0, out: 'took 1; 199 of 200 left, full in 10 ms\n', err: '' })
  t.match(await json('take', 'api', '--cost', '5'), { code: 0, body: { admitted: true, taken: 5, remaining: 195 } })
  await text('take', 'api', '--cost', '9', '--key', '203.0.113.7', '--up-to')
  t.same(desk.asked.at(-1)?.request, { mode: 1, items: [{ quota: 'api', cost: 9, key: '203.0.113.7' }] })
  for (const [how, taken, said] of [
    ['exact', 0, '3 would be admitted; 200 of 200 left\n'],
    ['shadow', 0, '3 would be admitted; 200 of 200 left; it would have been denied, but for --shadow\n'],
    ['unavailable', 0, '3 would be admitted; 200 of 200 left; nobody could say, and it is set to allow then\n'],
  ] as const) {
    desk.decide = () => ({ code: OK, fields: [taken, 200, 200, 0, how] })
    t.match(await text('take', 'api', '--cost', '3', '--peek'), { code: 0, out: said })
  }
  t.equal(desk.asked.at(-1)?.request.mode, 2)
  desk.decide = () => ({ code: ERRORS.QUOTA_EXCEEDED.wire, fields: ['api is used up', 80, 0, 200, 2_000] })
  const said = 'leasehold: api is used up (QUOTA_EXCEEDED); try again in 80 ms\n'
  t.match(await text('take', 'api'), { code: 1, out: '', err: said })
  t.match(await json('take', 'api'), { code: 1, body: { code: 'QUOTA_EXCEEDED', retryAfterMs: 80 }, err: said })
  desk.decide = () => ({ code: ERRORS.OVERLOADED.wire, fields: ['busy', 80] })
  t.match(await text('take', 'api'), { code: 3, err: /busy \(OVERLOADED\)/ })
  desk.decide = () => ({ code: ERRORS.NO_QUORUM.wire, fields: ['nobody leads', 0] })
  t.match(await text('take', 'api', '--timeout', '50ms'), { code: 3, err: /nobody leads \(NO_QUORUM\)/ })
})

t.test('the keys that take most are shown so that no terminal acts on them', async (t) => {
  const { text, json, desk } = await world(t)
  const keys = ['203.0.113.7', '日本', 'a b', '\u001b[2J', '\u202egnp'].map((key, at) => ({
    ...{ key, ratePerS: 40 - at, errorPerS: 0.25 },
  }))
  desk.top = ({ limit }) => ({ keys: keys.slice(0, limit), totalPerS: 200 })
  t.match(await text('top', 'api'), {
    code: 0,
    out: [
      'RATE/S  ERROR/S  KEY',
      '40.0    0.3      203.0.113.7',
      '39.0    0.3      日本',
      '38.0    0.3      "a b"',
      '37.0    0.3      "\\u001b[2J"',
      '36.0    0.3      "\\u{202e}gnp"\n',
    ].join('\n'),
    err: 'all keys together: 200.0/s\n',
  })
  t.match(await json('top', 'api', '--limit', '1'), { code: 0, body: { keys: keys.slice(0, 1), totalPerS: 200 } })
  desk.top = () => {
    throw new ProtocolError('INVALID_ARGUMENT', 'api has no keys')
  }
  t.match(await text('top', 'api'), { code: 1, err: /api has no keys/ })
})

t.test('the history tells who set a quota, and which version it was', async (t) => {
  const { replica, served } = await world(t)
  const event = {
    ...{ seq: auditSeq(1), name: 'api', holder: '', token: fencingToken(3), reason: null, cause: 'quota' as const },
    ...{ principal: 'ops', wallMs: wallMs(0), clusterMs: clusterMs(5), member: 'm1', term: term(1), renewals: 0 },
    ...{ vacant: false, previousHash: '0'.repeat(64), hash: '1'.repeat(64) },
  }
  replica.events.push({ ...event, type: 'quotaSet' }, { ...event, type: 'quotaDeleted', seq: auditSeq(2) })
  const { out } = await inProcess(['history', '--url', served.url])
  t.equal(
    out,
    [
      'AT                        CHANGE        NAME  HOLDER  TOKEN  WHY',
      '1970-01-01T00:00:00.000Z  quotaSet      api   -       v3     by ops',
      '1970-01-01T00:00:00.000Z  quotaDeleted  api   -       v3     by ops\n',
    ].join('\n'),
  )
})

t.test(
  'a watch shows a quota when something has changed, and ends when it is told to, or the quota is gone',
  async (t) => {
    const { text, replica, served } = await world(t)
    const view = { name: 'api', version: 4, spec: SPEC, available: 120, outstanding: 5 }
    replica.quotas.set('api', view)
    const once = 'api  v4  100/s:200  available 120  outstanding 5\n'
    t.match(await text('watch', 'api', '--count', '1'), { code: 0, out: once, err: '' })
    replica.quotas.set('keyed', { ...view, name: 'keyed', spec: KEYED })
    t.match(await text('watch', 'keyed', '--count', '1'), { code: 0, out: 'keyed  v4  100/s:200\n' })

    const watching = startLeasehold(['quota', 'watch', 'api', '--json', '--url', served.url])
    await watching.said('"available":120')
    const { barriers } = replica
    while (replica.barriers < barriers + 2) await new Promise((resolve) => setTimeout(resolve, 20))
    replica.quotas.set('api', { ...view, available: 119 })
    await watching.said('"available":119')
    watching.child.kill('SIGINT')
    const { code, out } = await watching.done
    t.equal(code, 0, 'being told to end is no failure')
    t.same(
      out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).available),
      [120, 119],
      'what did not change is not shown again',
    )

    const lost = startLeasehold(['quota', 'watch', 'api', '--url', served.url])
    await lost.said('available 119')
    replica.quotas.delete('api')
    t.match(await lost.done, { code: 1, err: /QUOTA_NOT_FOUND/ })
  },
)
