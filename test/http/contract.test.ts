import t from 'tap'
import { serve } from '../support/member.js'
import { until } from '../support/until.js'
import { asker, documentOf, judgeBy } from './ask.js'
import { FakeReplica } from './fake.js'

const URL = '/v1/leases/billing%2Fleader'

t.test('the contract by example, over the real thing', async (t) => {
  const served = await serve()
  t.teardown(() => served.close())
  const ask = await asker(t, served)
  const told = (status: number, answer: { status: number; body: object }, body: object, claim: string) => {
    t.equal(answer.status, status, claim)
    t.match(answer.body, body, claim)
  }

  const granted = await ask('PUT', URL, { holder: 'host-1', ttlMs: 10_000, waitMs: 0, priority: 0 })
  t.equal(granted.status, 200)
  t.same(granted.body, {
    name: 'billing/leader',
    holder: 'host-1',
    token: 1,
    ttlMs: 10_000,
    remainingMs: 10_000,
    replayed: false,
  })
  t.match(granted.headers.get('x-request-id'), /^[0-9a-f]{12}-\d+$/)

  const problem = { title: String, detail: String, retryable: true }
  const held = { ...problem, code: 'LEASE_HELD', holder: 'host-1', remainingMs: Number }
  told(409, await ask('PUT', URL, { holder: 'host-2' }), held, 'held by somebody else')
  told(409, await ask('PUT', URL, { holder: 'host-2', waitMs: 20 }), held, 'still held when the wait is over')
  told(
    200,
    await ask('POST', `${URL}/renew`, { token: 1 }),
    { token: 1, remainingMs: 10_000, holder: 'host-1' },
    'renewed',
  )
  told(410, await ask('POST', `${URL}/renew`, { token: 99 }), { code: 'LEASE_LOST', reason: 'unknown' }, 'never issued')
  told(200, await ask('GET', URL), { name: 'billing/leader', holder: 'host-1', token: 1, state: 'held' }, 'read')
  told(
    409,
    await ask('POST', `${URL}/transfer`, { token: 1, to: 'nobody' }),
    { code: 'NO_SUCH_WAITER' },
    'nobody there',
  )

  const waiting = ask('PUT', URL, { holder: 'host-2', waitMs: 10_000 })
  await until(() => served.replica.status.waiters === 1)
  const handed = await ask('POST', `${URL}/transfer`, { token: 1, to: 'host-2' })
  told(200, handed, { released: true, offered: true }, 'handed over')
  told(202, await waiting, { offered: true, token: 2, claimWithinMs: 3_000 }, 'offered')
  told(200, await ask('GET', URL), { state: 'offered', token: 2 }, 'an offer is visible')
  told(
    410,
    await ask('POST', `${URL}/renew`, { token: 1 }),
    { code: 'LEASE_LOST', reason: 'transferred' },
    'handed over',
  )
  told(200, await ask('POST', `${URL}/renew`, { token: 2 }), { token: 2, remainingMs: 10_000 }, 'claimed')
  told(200, await ask('POST', `${URL}/release`, { token: 2 }), { released: true, replayed: false }, 'released')
  told(200, await ask('POST', `${URL}/release`, { token: 2 }), { released: true, replayed: true }, 'as before')
  told(410, await ask('POST', `${URL}/renew`, { token: 2 }), { code: 'LEASE_LOST', reason: 'released' }, 'released')
  told(404, await ask('GET', URL), { code: 'LEASE_NOT_FOUND', retryable: false }, 'nobody holds it')
  told(404, await ask('DELETE', URL), { code: 'LEASE_NOT_FOUND' }, 'nothing to revoke')

  await ask('PUT', URL, { holder: 'host-3', lockDelayMs: 60_000 })
  told(200, await ask('DELETE', URL), { revoked: true, token: 3 }, 'revoked')
  told(410, await ask('POST', `${URL}/renew`, { token: 3 }), { code: 'LEASE_LOST', reason: 'revoked' }, 'revoked')
  told(200, await ask('GET', URL), { state: 'delayed' }, 'nobody may have it yet')
})

t.test('a request with a key is executed once', async (t) => {
  const served = await serve()
  t.teardown(() => served.close())
  const ask = await asker(t, served)
  const key = { 'idempotency-key': 'order-66' }
  const first = await ask('PUT', URL, { holder: 'host-1' }, key)
  const again = await ask('PUT', URL, { holder: 'host-1' }, key)
  t.match(first.body, { token: 1, replayed: false })
  t.match(again.body, { token: 1, replayed: true })
  const other = await ask('PUT', URL, { holder: 'host-9' }, key)
  t.equal(other.status, 422)
  t.match(other.body, { code: 'IDEMPOTENCY_MISMATCH' })
  const stranger = await ask('PUT', URL, { holder: 'host-1' }, { ...key, 'leasehold-client': 'somebody' })
  t.equal(stranger.status, 409, 'another client has keys of its own')
  await ask('POST', `${URL}/release`, { token: 1 })
  const late = await ask('PUT', URL, { holder: 'host-1' }, key)
  t.equal(late.status, 410, 'a late retry never gets a second grant')
  t.match(late.body, { code: 'LEASE_LOST', token: 1, reason: 'released' })
})

t.test('listings and histories come in pages that lose nothing', async (t) => {
  const served = await serve()
  t.teardown(() => served.close())
  const ask = await asker(t, served)
  const names = ['a/1', 'a/2', 'a/3', 'b/1']
  for (const name of names) await ask('PUT', `/v1/leases/${encodeURIComponent(name)}`, { holder: 'h' })
  const seen: unknown[] = []
  for (let after: unknown = ''; after !== null; ) {
    const page = await ask(
      'GET',
      `/v1/leases?prefix=a%2F&limit=2${after === '' ? '' : `&after=${encodeURIComponent(String(after))}`}`,
    )
    seen.push(...(page.body.leases as { name: string }[]).map(({ name }) => name))
    after = page.body.next
  }
  t.same(seen, ['a/1', 'a/2', 'a/3'])

  await ask('POST', '/v1/leases/a%2F1/release', { token: 1 })
  const events: Record<string, unknown>[] = []
  for (let cursor: unknown = ''; cursor !== null; ) {
    const page = await ask('GET', `/v1/history?limit=2${cursor === '' ? '' : `&after=${cursor}`}`)
    events.push(...(page.body.events as Record<string, unknown>[]))
    cursor = page.body.next
  }
  t.same(
    events.map(({ seq, type, name }) => [seq, type, name]),
    [
      [1, 'granted', 'a/1'],
      [2, 'granted', 'a/2'],
      [3, 'granted', 'a/3'],
      [4, 'granted', 'b/1'],
      [5, 'released', 'a/1'],
    ],
  )
  t.match(events[4], {
    holder: 'h',
    token: 1,
    reason: 'released',
    cause: 'release',
    principal: '127.0.0.1',
    at: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/,
    clusterMs: Number,
    member: 'm1',
    term: 1,
    hash: /^[0-9a-f]{64}$/,
    previousHash: events[3]?.hash as string,
    vacant: true,
  })
  const one = await ask('GET', '/v1/leases/a%2F1/history')
  t.same(
    (one.body.events as { seq: number }[]).map(({ seq }) => seq),
    [1, 5],
  )
  const prefixed = await ask('GET', '/v1/history?prefix=b%2F')
  t.same(
    (prefixed.body.events as { seq: number }[]).map(({ seq }) => seq),
    [4],
  )
})

t.test('a cursor that cannot be followed says so', async (t) => {
  const replica = new FakeReplica()
  replica.first = 10
  const served = await serve({ replica })
  t.teardown(() => served.close())
  const ask = await asker(t, served)
  for (const [cursor, status, code] of [
    ['c1.3', 410, 'CURSOR_COMPACTED'],
    ['c2.12', 410, 'CURSOR_COMPACTED'],
    ['c1.1000000', 410, 'CURSOR_COMPACTED'],
    ['nonsense', 400, 'INVALID_ARGUMENT'],
  ] as const) {
    const answer = await ask('GET', `/v1/history?after=${cursor}`)
    t.equal(answer.status, status, cursor)
    t.match(answer.body, { code }, cursor)
  }
})

t.test('the cluster, as this member knows it', async (t) => {
  const served = await serve()
  t.teardown(() => served.close())
  const ask = await asker(t, served)
  const { status, body } = await ask('GET', '/v1/cluster')
  t.equal(status, 200)
  t.match(body, {
    clusterId: 'c0ffee',
    leader: 'm1',
    term: 1,
    commitIndex: Number,
    clusterMs: Number,
    members: [{ id: 'm1', role: 'leader', url: served.url, peerUrl: null, voter: true, appliedIndex: Number }],
  })
})

t.test('the document judges: what it does not describe is found', async (t) => {
  const served = await serve({ replica: new FakeReplica() })
  t.teardown(() => served.close())
  const judge = judgeBy(await documentOf(served))
  const granted = { name: 'a', holder: 'h', token: 7, ttlMs: 1, remainingMs: 1, replayed: false }
  t.equal(judge('PUT', '/v1/leases/a', 200, 'application/json', granted), null)
  t.match(judge('PUT', '/v1/leases/a', 200, 'application/json', { ...granted, token: '7' }), /not as described/)
  t.match(judge('PUT', '/v1/leases/a', 204, 'application/json', granted), /not described/)
  t.match(judge('PUT', '/v1/leases', 200, 'application/json', granted), /not described/)
})
