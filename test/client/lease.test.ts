/** The surface, against the server's own code in memory, under clocks that the test moves. */
import { LeaseHeldError, LeaseLostError } from '@leasehold/client'
import { OP } from '@leasehold/protocol'
import { claim, failure } from './claim.js'
import { FakeWorld } from './fake.js'

claim('a lease is checked locally, renewed on use, and ends by itself', async (t, cluster) => {
  const client = cluster.client({ name: 'a', holder: 'host-1' })
  const lease = await client.acquire('billing/leader', { ttl: '2s', meta: 'at 10.0.0.1' })
  t.match(lease, { name: 'billing/leader', token: 1, holder: 'host-1', ttlMs: 2_000, meta: 'at 10.0.0.1', lost: null })
  t.equal(lease.remainingMs(), 1_968)
  lease.assert()
  lease.assert('1.9s')
  await cluster.advance(1_000)
  t.throws(() => lease.assert(1_500), { name: 'LeaseLostError' }, 'less is left than is asked for')
  t.equal(lease.remainingMs(), 968)
  await cluster.until(lease.renew())
  t.ok(lease.remainingMs() > 1_960)
  await cluster.advance(2_000)
  t.equal(lease.remainingMs(), 0)
  t.equal(lease.lost, 'expired')
  t.throws(() => lease.assert(), LeaseLostError)
  const thrown = await failure(lease.ensure())
  t.match(thrown, { code: 'LEASE_LOST', reason: 'expired', token: 1 })
})

claim(
  'somebody else gets it only after it has ended; tryAcquire says null, acquire says by whom',
  async (t, cluster) => {
    const [a, b] = [cluster.client({ name: 'a', holder: 'host-1' }), cluster.client({ name: 'b' })]
    const lease = await a.acquire('n', { ttl: '5s', meta: 'here' })
    t.equal(await b.tryAcquire('n'), null)
    const held = (await failure(b.acquire('n'))) as LeaseHeldError
    t.ok(held instanceof LeaseHeldError)
    t.match(held, { code: 'LEASE_HELD', holder: 'host-1', meta: 'here', executed: 'yes', retryable: true })
    t.ok(held.remainingMs > 4_000)
    const timedOut = await cluster.until(failure(b.acquire('n', { wait: '1s' })))
    t.equal(timedOut.code, 'LEASE_HELD', 'the wait is over')
    const waiting = b.acquire('n', { wait: '10s' })
    await cluster.advance(100)
    t.equal(await cluster.until(lease.release()), true)
    t.equal(lease.lost, 'released')
    const next = await cluster.until(waiting)
    t.ok(next.token > lease.token)
    t.equal(await cluster.until(lease.release()), true, 'a repeated release answers the same')
  },
)

claim('a suspended machine has lost its lease when it wakes, and knows why', async (t, cluster) => {
  const machine = cluster.machine()
  const client = cluster.client({ name: 'a', machine })
  const lease = await client.acquire('n', { ttl: '5s' })
  const signal = lease.lostSignal()
  machine.sleep(60_000)
  await cluster.advance(60_001)
  t.equal(lease.remainingMs(), 0)
  t.equal(lease.lost, 'suspended')
  t.ok(signal.aborted)
  t.match(signal.reason, { reason: 'suspended' })
})

claim('a wall clock set back or forward by an hour costs no lease', async (t, cluster) => {
  for (const byMs of [3_600_000, -7_200_000]) {
    const machine = cluster.machine()
    const client = cluster.client({ name: 'a', machine })
    const lease = await client.acquire(`n/${Math.abs(byMs)}`, { ttl: '5s' })
    machine.shiftWall(byMs)
    t.ok(lease.remainingMs() > 4_500 && lease.remainingMs() <= 4_923)
  }
})

claim('a lease that could not be renewed was lost as unreachable', async (t, cluster) => {
  const client = cluster.client({ name: 'a' })
  const lease = await client.acquire('n', { ttl: '3s' })
  cluster.partition()
  await cluster.advance(2_000)
  const thrown = await cluster.until(failure(lease.ensure('2s')))
  t.match(thrown, { code: 'LEASE_LOST', reason: 'unreachable' })
  cluster.heal()
  await cluster.advance(100)
  t.equal(lease.remainingMs(), 0, 'the late answer does not bring it back')
})

claim('a revoked lease is told at once', async (t, cluster) => {
  const [a, operator] = [cluster.client({ name: 'a' }), cluster.client({ name: 'operator' })]
  const lease = await a.acquire('n', { ttl: '1h' })
  const signal = lease.lostSignal()
  t.equal(await operator.revoke('n'), lease.token)
  await cluster.advance(10)
  t.ok(signal.aborted)
  t.equal(lease.lost, 'revoked')
  t.equal(await cluster.until(lease.release()), false, 'there is nothing left to release')
  t.equal(await operator.revoke('n'), null)
})

claim('ensure sends nothing while enough is left, renews alongside below half, and waits when it must', async (t) => {
  const world = new FakeWorld()
  const client = world.client()
  const lease = await client.acquire('n', { ttl: '10s' })
  const renewals = () => world.got(OP.renew).length
  const first = lease.ensure('2s')
  t.equal(first, lease.ensure('2s'), 'not even a promise is made')
  await first
  await world.time.advance(4_000)
  await lease.ensure('2s')
  await world.time.settle()
  t.equal(renewals(), 0)
  await world.time.advance(2_000)
  t.ok(lease.remainingMs() < 5_000)
  await lease.ensure('2s')
  await lease.ensure('2s')
  t.ok(lease.remainingMs() < 5_000, 'it did not wait')
  await world.time.settle()
  t.equal(renewals(), 1, 'one renewal for both')
  t.ok(lease.remainingMs() > 9_000)
  await world.time.advance(9_000)
  await Promise.all([lease.ensure('5s'), lease.ensure('6s'), lease.ensure('7s')])
  t.ok(lease.remainingMs() > 9_000)
  t.equal(renewals(), 2, 'one renewal for all who wait')
  const asked = await failure(lease.ensure('10s'))
  t.match(asked, { code: 'INVALID_ARGUMENT', message: /9848 ms/ }, 'more than a renewal can give')
  await world.time.until(client.close())
})

claim('a restart of the member loses no lease', async (t, cluster) => {
  const client = cluster.client({ name: 'a' })
  const lease = await client.acquire('n', { ttl: '10s' })
  await cluster.restart()
  t.ok(lease.remainingMs() > 9_000)
  await cluster.until(lease.renew())
  t.match(await cluster.until(client.get('n')), { token: lease.token, holder: lease.holder, state: 'held' })
})

claim('a lease is resumed by its token, and by no other', async (t, cluster) => {
  const client = cluster.client({ name: 'a' })
  const lease = await client.acquire('n', { ttl: '7s' })
  const same = await cluster.until(client.resume('n', lease.token))
  t.match(same, { token: lease.token, ttlMs: 7_000, holder: lease.holder })
  t.ok(same.remainingMs() > 6_800)
  t.match(await cluster.until(failure(client.resume('n', 99))), { code: 'LEASE_LOST', reason: 'unknown' })
})

claim('get can do with an older answer, and asks once for all who ask', async (t) => {
  const world = new FakeWorld()
  const client = world.client()
  world.answer = (request) =>
    request.op === OP.get && request.fields[0] === 'n'
      ? [0, ['n', 'h', 5, 10_000, 8_000, 'held', 2, null]]
      : world.obliging(request)
  const gets = () => world.got(OP.get).length
  t.match(await client.get('n'), { name: 'n', holder: 'h', token: 5, remainingMs: 8_000, waiters: 2 })
  await client.get('n')
  t.equal(gets(), 2, 'by default it always asks')
  await world.time.advance(500)
  t.match(await client.get('n', { maxAge: '1s' }), { remainingMs: 7_500 }, 'less its age')
  t.equal(gets(), 2)
  await world.time.advance(600)
  await Promise.all([client.get('n', { maxAge: 500 }), client.get('n', { maxAge: 500 })])
  t.equal(gets(), 3)
  t.equal(await client.get('gone', { maxAge: '1h' }), null)
  t.equal(await client.get('gone', { maxAge: '1h' }), null)
  t.equal(gets(), 4, 'that there is none is remembered, too')
  await world.time.advance(1_100)
  await client.get('gone', { maxAge: '1h' })
  t.equal(gets(), 5, 'for a second')
  world.answer = () => null
  t.match(
    await world.time.until(client.get('n', { maxAge: '1s', maxStale: '1m' })),
    { token: 5 },
    'the cluster is away',
  )
  t.equal((await world.time.until(failure(client.get('n', { maxAge: '1s', maxStale: '5s' })))).code, 'UNREACHABLE')
  await world.time.until(client.close())
})

claim('list and history come in pages', async (t, cluster) => {
  const client = cluster.client({ name: 'a' })
  for (const name of ['p/1', 'p/2', 'p/3', 'q/1']) await client.acquire(name)
  const first = await client.list({ prefix: 'p/', limit: 2 })
  t.same(
    first.leases.map((lease) => lease.name),
    ['p/1', 'p/2'],
  )
  const second = await client.list({ prefix: 'p/', limit: 2, after: first.next! })
  t.same(
    second.leases.map((lease) => lease.name),
    ['p/3'],
  )
  t.equal(second.next, null)
  const names: string[] = []
  for await (const page of client.history({ limit: 3 })) names.push(...page.events.map((event) => event.name))
  t.same(names, ['p/1', 'p/2', 'p/3', 'q/1'])
  const ofOne = []
  for await (const page of client.history({ name: 'p/2' })) ofOne.push(...page.events)
  t.match(ofOne, [{ type: 'granted', name: 'p/2', holder: client.holder, token: 2, seq: 2 }])
})

claim('a watch tells every change once, in order, through restarts, and resumes from a cursor', async (t, cluster) => {
  const client = cluster.client({ name: 'a' })
  await client.ready()
  const watch = client.watch({ prefix: 'w/' })
  const told: string[] = []
  let cursor = ''
  const reading = (async () => {
    for await (const event of watch) {
      told.push(`${event.type} ${event.name}`)
      cursor = event.cursor
      if (told.length === 4) break
    }
  })()
  await cluster.advance(10)
  const lease = await client.acquire('w/1')
  await client.acquire('x/1')
  await cluster.advance(200)
  await cluster.restart()
  await cluster.until(lease.release())
  await cluster.until(client.acquire('w/2'))
  await cluster.advance(3_000)
  await cluster.until(client.acquire('w/3'))
  await cluster.until(reading)
  t.same(told, ['granted w/1', 'released w/1', 'granted w/2', 'granted w/3'])
  await cluster.until(client.acquire('w/4'))
  const resumed = client.watch({ prefix: 'w/', after: cursor })
  const { value } = await cluster.until(resumed.next())
  t.match(value, { type: 'granted', name: 'w/4', vacant: false })
  t.same(await resumed.return(), { done: true, value: undefined })
  t.same(await resumed.next(), { done: true, value: undefined })
  const foreign = client.watch({ after: 'feedface.3' })
  t.equal((await cluster.until(failure(foreign.next()))).code, 'CURSOR_COMPACTED')
})

claim('a closed client fails what waits, cancels its waits, and takes nothing more', async (t, cluster) => {
  const [a, b] = [cluster.client({ name: 'a' }), cluster.client({ name: 'b' })]
  const lease = await a.acquire('n', { ttl: '1m' })
  const waiting = failure(b.acquire('n', { wait: '1m' }))
  const watching = failure(b.watch().next())
  await cluster.advance(10)
  t.match(await cluster.until(a.get('n')), { waiters: 1 })
  await cluster.until(b.close())
  await cluster.until(b.close())
  t.equal((await waiting).code, 'CLOSED')
  t.equal((await watching).code, 'CLOSED')
  t.match(await cluster.until(a.get('n')), { waiters: 0 }, 'its wait is given back, not just forgotten')
  t.equal((await failure(b.acquire('x'))).code, 'CLOSED')
  t.ok(lease.remainingMs() > 0)
})
