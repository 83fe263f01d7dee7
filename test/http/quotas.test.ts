import { checkQuotaSpec, ERRORS, OP, ProtocolError, type QuotaView } from '@leasehold/protocol'
import { decode, encode } from '@msgpack/msgpack'
import t from 'tap'
import { serve } from '../support/member.js'
import { exchange, request } from '../support/rawhttp.js'
import { until } from '../support/until.js'
import { documentOf, judgeBy } from './ask.js'
import { FakeReplica, granting } from './fake.js'
import { BODY, QUOTA_URL, view, WHOLE, world } from './quotaworld.js'

const URL = QUOTA_URL

t.test('the contract by example: set, read, list, delete', async (t) => {
  const { replica, ask } = await world(t)
  const made = await ask('PUT', URL, WHOLE)
  t.same([made.status, made.body], [200, { name: 'api/search', version: 3, ...WHOLE, replayed: false }])
  const short = await ask('PUT', URL, BODY, { 'idempotency-key': 'k1', 'leasehold-client': 'ops' })
  t.same(short.body, made.body, 'what is left out has its default')
  t.match(replica.submitted.at(-1)?.command, {
    ...{ op: OP.quotaSet, principal: 'ops', name: 'api/search', spec: WHOLE },
    request: { scope: 'p:ops', key: 'k1', lowest: 0, knownMs: 5_000 },
  })
  const child = {
    bandwidths: [
      { tokens: 10, perMs: 1_000, burst: 10 },
      { tokens: 1_000, perMs: 3_600_000, burst: 50 },
    ],
    ...{ parent: 'api', weight: 7, guaranteedPercent: 20, borrow: false, initial: 0 },
    ...{ perKey: false, shadow: true, whenUnavailable: 'allow', keys: [] },
  }
  t.match((await ask('PUT', '/v1/quotas/api%2Fchild', child)).body, child, 'every field arrives')
  const unburst = await ask('PUT', URL, { bandwidths: [{ tokens: 9, perMs: 1_000 }] })
  t.match(unburst.body, { bandwidths: [{ tokens: 9, perMs: 1_000, burst: 9 }] }, 'a burst is as many as the tokens')
  const keyed = { ...BODY, perKey: true, keys: [['203.0.113.7', 'api/search']] }
  t.match(await ask('PUT', '/v1/quotas/keyed', keyed), { status: 200, body: keyed })

  t.match(await ask('GET', URL), { status: 404, body: { code: 'QUOTA_NOT_FOUND', retryable: false } })
  for (const name of ['api/search', 'api/b', 'db/a']) replica.quotas.set(name, view(name))
  const read = await ask('GET', URL)
  t.same([read.status, read.body], [200, { name: 'api/search', version: 3, ...WHOLE, available: 120, outstanding: 5 }])
  const names = ({ body }: { body: object }) => (body as { quotas: QuotaView[] }).quotas.map(({ name }) => name)
  const page = await ask('GET', '/v1/quotas?prefix=api%2F&limit=1')
  t.same([page.status, names(page), page.body.next], [200, ['api/b'], 'api/b'])
  const rest = await ask('GET', '/v1/quotas?prefix=api%2F&limit=1&after=api%2Fb')
  t.same([names(rest), rest.body.next], [['api/search'], null])
  t.same(names(await ask('GET', '/v1/quotas')), ['api/b', 'api/search', 'db/a'])
  t.equal(replica.barriers, 5, 'every read stands behind the barrier')

  const gone = await ask('DELETE', URL, undefined, { 'idempotency-key': 'k2' })
  t.same([gone.status, gone.body], [200, { deleted: true, version: 3, replayed: false }])
  t.match(replica.submitted.at(-1)?.command, { op: OP.quotaDelete, name: 'api/search', request: { key: 'k2' } })
})

t.test('a change that does not fit says why', async (t) => {
  const { replica, ask } = await world(t)
  const cases = [
    ['QUOTA_CONFLICT', 409, 'the parent api/search would be its own ancestor'],
    ['UPGRADE_PENDING', 503, 'not yet'],
    ['IDEMPOTENCY_MISMATCH', 422, 'other parameters'],
    ['LIMIT_REACHED', 503, 'there are 10000 quotas'],
    ['NO_QUORUM', 503, 'nobody leads'],
  ] as const
  for (const [code, status, detail] of cases) {
    replica.respond = () => ({ code: ERRORS[code].wire, fields: [detail, 0] })
    t.match(await ask('PUT', URL, { ...BODY, parent: 'api/search' }), { status, body: { code, detail } })
    t.match(await ask('DELETE', URL), { status, body: { code, detail } })
  }
  replica.respond = () => ({ code: ERRORS.QUOTA_NOT_FOUND.wire, fields: ['there is none', 0] })
  t.match(await ask('DELETE', URL), { status: 404, body: { code: 'QUOTA_NOT_FOUND' } })
  replica.respond = granting
  replica.barrier = () => Promise.reject(new ProtocolError('NO_QUORUM', 'nobody leads'))
  for (const path of [URL, '/v1/quotas', `${URL}/top`])
    t.match(await ask('GET', path), { status: 503, body: { code: 'NO_QUORUM', retryAfterMs: Number } }, path)
})

t.test('the contract by example: take', async (t) => {
  const { replica, desk, ask } = await world(t)
  replica.quotas.set('api/search', view('api/search'))
  const taken = await ask('POST', `${URL}/take`, { cost: 1 })
  t.equal(taken.status, 200)
  t.same(taken.body, { admitted: true, taken: 1, remaining: 199, limit: 200, resetMs: 10, how: 'exact' })
  t.equal(taken.headers.get('ratelimit'), '"api/search";r=199;t=1')
  t.equal(taken.headers.get('ratelimit-policy'), '"api/search";q=200;w=2')
  t.equal(taken.headers.get('retry-after'), null)
  const nowMs = performance.now()
  t.match(desk.asked[0]?.request, { mode: 0, items: [{ quota: 'api/search', cost: 1, key: null }] })
  t.ok((desk.asked[0]?.deadlineMs ?? 0) > nowMs && (desk.asked[0]?.deadlineMs ?? 0) <= nowMs + 5_000, 'by a deadline')
  t.match((await ask('POST', `${URL}/take`, {})).body, { taken: 1 }, 'one token is the default')

  await ask('POST', `${URL}/take`, { cost: 7, upTo: true })
  await ask('POST', `${URL}/take`, { cost: 7, peek: true })
  await ask('POST', `${URL}/take`, { cost: 2, key: '203.0.113.7' })
  t.same(
    desk.asked.slice(2).map(({ request: { mode, items } }) => [mode, items[0]?.cost, items[0]?.key]),
    [
      [1, 7, null],
      [2, 7, null],
      [0, 2, '203.0.113.7'],
    ],
  )

  const detail = 'api/search is used up'
  desk.decide = () => ({ code: ERRORS.QUOTA_EXCEEDED.wire, fields: [detail, 80, 0, 200, 2_001] })
  const denied = await ask('POST', `${URL}/take`, { cost: 1 })
  t.equal(denied.status, 429)
  const problem = { code: 'QUOTA_EXCEEDED', retryable: true, retryAfterMs: 80, detail, remaining: 0, limit: 200 }
  t.match(denied.body, { ...problem, resetMs: 2_001, status: 429 })
  t.equal(denied.headers.get('retry-after'), '1', 'whole seconds, never too early')
  t.equal(denied.headers.get('ratelimit'), '"api/search";r=0;t=3')
  t.equal(denied.headers.get('ratelimit-policy'), '"api/search";q=200;w=2')
  for (const code of ['QUOTA_NOT_FOUND', 'INVALID_ARGUMENT', 'NO_QUORUM', 'OVERLOADED', 'LIMIT_REACHED'] as const) {
    desk.decide = () => ({ code: ERRORS[code].wire, fields: ['why', 0] })
    const refused = await ask('POST', `${URL}/take`, { cost: 201 })
    t.match(refused, { status: ERRORS[code].status, body: { code, detail: 'why' } })
    t.equal(refused.headers.get('ratelimit'), null, 'of what is not known nothing is said')
  }
})

t.test(
  'a quota of several rates tells its policy by the slowest; one that went away meanwhile tells none',
  async (t) => {
    const { replica, ask } = await world(t)
    const bandwidths = [
      { tokens: 100, perMs: 1_000, burst: 200 },
      { tokens: 3_600, perMs: 3_600_000, burst: 3_600 },
    ]
    replica.quotas.set('api/search', view('api/search', checkQuotaSpec({ bandwidths })))
    const taken = await ask('POST', `${URL}/take`, {})
    t.equal(taken.headers.get('ratelimit-policy'), '"api/search";q=200;w=200')
    replica.quotas.clear()
    const gone = await ask('POST', `${URL}/take`, {})
    t.same([gone.headers.has('ratelimit'), gone.headers.has('ratelimit-policy')], [true, false])
  },
)

t.test('several are taken from at once, all or nothing', async (t) => {
  const { replica, desk, ask } = await world(t)
  const items = [
    { quota: 'a', cost: 2 },
    { quota: 'b', key: 'k' },
  ]
  const taken = await ask('POST', '/v1/quotas/take', { items })
  t.match(taken, { status: 200, body: { admitted: true, taken: 3 } })
  t.equal(taken.headers.get('ratelimit'), null, 'of several no single one is named')
  t.same(desk.asked[0]?.request, {
    mode: 0,
    items: [
      { quota: 'a', cost: 2, key: null },
      { quota: 'b', cost: 1, key: 'k' },
    ],
  })
  replica.quotas.set('a', view('a'))
  const one = await ask('POST', '/v1/quotas/take', { items: [{ quota: 'a' }] })
  t.equal(one.headers.get('ratelimit'), '"a";r=199;t=1')
  desk.decide = () => ({ code: ERRORS.QUOTA_EXCEEDED.wire, fields: ['b is used up', 1_500, 0, 9, 2_000] })
  const denied = await ask('POST', '/v1/quotas/take', { items })
  t.match(denied, { status: 429, body: { code: 'QUOTA_EXCEEDED', retryAfterMs: 1_500, detail: 'b is used up' } })
  t.equal(denied.headers.get('retry-after'), '2')

  t.match((await ask('PUT', '/v1/quotas/take', BODY)).body, { name: 'take' }, 'a quota of that name is one like others')
  t.equal((await ask('POST', '/v1/quotas/take/take', {})).status, 429)
  t.equal(desk.asked.at(-1)?.request.items[0]?.quota, 'take')
})

t.test('the keys that take most', async (t) => {
  const { replica, desk, ask } = await world(t)
  const top = { keys: [{ key: '203.0.113.7', ratePerS: 41.25, errorPerS: 0.5 }], totalPerS: 90 }
  const limits: number[] = []
  desk.top = ({ name, limit }) => {
    limits.push(limit)
    if (name === 'none') throw new ProtocolError('QUOTA_NOT_FOUND', 'there is no quota none')
    if (name === 'plain') throw new ProtocolError('INVALID_ARGUMENT', 'plain has no keys')
    return top
  }
  t.match(await ask('GET', `${URL}/top?limit=7`), { status: 200, body: top })
  t.match(await ask('GET', `${URL}/top`), { status: 200, body: top })
  t.same(limits, [7, 20])
  t.match(await ask('GET', '/v1/quotas/none/top'), { status: 404, body: { code: 'QUOTA_NOT_FOUND' } })
  t.match(await ask('GET', '/v1/quotas/plain/top'), { status: 400, body: { code: 'INVALID_ARGUMENT' } })
  t.equal(replica.barriers, 4)
})

t.test('MessagePack, both ways', async (t) => {
  const { served, desk } = await world(t)
  const headers = { 'content-type': 'application/msgpack', accept: 'application/msgpack' }
  const send = async (method: 'PUT' | 'POST', url: string, body: unknown) => {
    const answer = await served.app.inject({ method, url, headers, payload: Buffer.from(encode(body)) })
    return { status: answer.statusCode, type: answer.headers['content-type'], body: decode(answer.rawPayload) }
  }
  const type = 'application/msgpack'
  t.match(await send('PUT', URL, BODY), { status: 200, type, body: { name: 'api/search', version: 3, ...WHOLE } })
  const taken = { admitted: true, taken: 4, remaining: 196, limit: 200, resetMs: 40, how: 'exact' }
  t.same(await send('POST', `${URL}/take`, { cost: 4 }), { status: 200, type, body: taken })
  desk.decide = () => ({ code: ERRORS.QUOTA_EXCEEDED.wire, fields: ['no', 5, 0, 200, 9] })
  t.match(await send('POST', `${URL}/take`, { cost: 4 }), {
    status: 429,
    type,
    body: { code: 'QUOTA_EXCEEDED', retryAfterMs: 5 },
  })
})

t.test('methods that are not there, and those of a quota named take', async (t) => {
  const { served } = await world(t)
  for (const [method, path, allow] of [
    ['POST', URL, 'DELETE, GET, HEAD, PUT'],
    ['GET', `${URL}/take`, 'POST'],
    ['PATCH', '/v1/quotas/take', 'DELETE, GET, HEAD, POST, PUT'],
    ['DELETE', '/v1/quotas', 'GET, HEAD'],
  ] as const) {
    const answer = await exchange(served.port, request(method, path))
    t.equal(answer.status, 405)
    t.match(answer.head.toLowerCase(), `allow: ${allow.toLowerCase()}\r\n`)
  }
})

t.test('a take whose connection goes is given up; one that the member cannot answer is told so', async (t) => {
  const { served, desk } = await world(t)
  desk.decide = () => null
  const gone = new AbortController()
  const headers = { 'content-type': 'application/json' }
  const init = { method: 'POST', headers, body: '{}', signal: gone.signal }
  const lost = fetch(`${served.url}${URL}/take`, init).catch(() => 'gone')
  await until(() => desk.asked.length === 1)
  gone.abort()
  t.equal(await lost, 'gone')
  await until(() => desk.detached.length === 1)
  t.equal(desk.detached[0], desk.asked[0]?.to)
  await until(() => served.telemetry.requests.some(([op, outcome]) => op === 'take' && outcome === 'gone'))

  const slow = await serve({ replica: new FakeReplica(), quotas: desk, limits: { deadlineMs: 200, answerMs: 300 } })
  t.teardown(() => slow.close())
  const unknown = await fetch(`${slow.url}${URL}/take`, { method: 'POST', headers, body: '{}' })
  t.match([unknown.status, await unknown.json()], [504, { code: 'OUTCOME_UNKNOWN' }])
})

t.test('a member that shuts down refuses takes; each take is counted once', async (t) => {
  const { served, desk, ask } = await world(t)
  await ask('POST', `${URL}/take`, {})
  desk.decide = () => ({ code: ERRORS.QUOTA_EXCEEDED.wire, fields: ['no', 5, 0, 200, 9] })
  await ask('POST', `${URL}/take`, {})
  t.same(served.telemetry.requests, [
    ['take', 'ok', ''],
    ['take', 'refused', 'QUOTA_EXCEEDED'],
  ])
  desk.decide = () => null
  const under = fetch(`${served.url}${URL}/take`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  })
  await until(() => desk.asked.length === 3)
  const closing = served.app.close()
  const { to, id, attempt } = desk.asked.at(-1)!
  to.reply(id, attempt, 0, [1, 1, 2, 10, 'exact'])
  to.flush()
  t.equal((await under).status, 200, 'what was let in is answered')
  await closing
})

t.test('the document has all of it', async (t) => {
  const { served } = await world(t)
  const document = await documentOf(served)
  const paths = Object.entries(document.paths).filter(([path]) => path.startsWith('/v1/quotas'))
  t.same(Object.fromEntries(paths.map(([path, operations]) => [path, Object.keys(operations).sort().join()])), {
    '/v1/quotas/{name}': 'delete,get,put',
    '/v1/quotas': 'get',
    '/v1/quotas/{name}/top': 'get',
    '/v1/quotas/{name}/take': 'post',
    '/v1/quotas/take': 'post',
  })
  const judge = judgeBy(document)
  const taken = { admitted: true, taken: 1, remaining: 199, limit: 200, resetMs: 10, how: 'exact' }
  t.equal(judge('POST', `${URL}/take`, 200, 'application/json', taken), null)
  t.match(judge('POST', `${URL}/take`, 200, 'application/json', { ...taken, how: 'magic' }), /not as described/)
  const event = {
    ...{ seq: 1, cursor: 'c1.1', type: 'quotaSet', name: 'api/search', holder: '', token: 3, reason: null },
    ...{ cause: 'quota', principal: 'ops', at: '2026-01-02T03:04:05.678Z', clusterMs: 5, member: 'm1', term: 1 },
    ...{ renewals: 0, vacant: false, previousHash: 'a', hash: 'b' },
  }
  const page = (type: string) => ({ events: [{ ...event, type }], next: null })
  for (const type of ['quotaSet', 'quotaDeleted'])
    t.equal(judge('GET', '/v1/history', 200, 'application/json', page(type)), null, type)
})
