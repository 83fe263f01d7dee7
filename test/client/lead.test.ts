/** Coming to a lease and going from it in order: withLease, transfer, handover, lead. */
import { type Lease, NotTransferredError } from '@leasehold/client'
import { claim, failure } from './claim.js'

claim('withLease releases whatever happens', async (t, cluster) => {
  const client = cluster.client({ name: 'a' })
  let seen: Lease | null = null
  t.equal(
    await client.withLease('n', {}, async (lease) => {
      seen = lease
      return 42
    }),
    42,
  )
  t.equal(seen!.lost, 'released')
  await t.rejects(
    client.withLease('n', {}, () => {
      throw new Error('the work broke')
    }),
    { message: 'the work broke' },
  )
  t.ok(await client.tryAcquire('n'), 'and it is free again')
})

claim(
  'a transfer goes to the one who waits under that name, and the giver has ended before it is sent',
  async (t, cluster) => {
    const [a, b, c] = [cluster.client({ name: 'a' }), cluster.client({ name: 'b' }), cluster.client({ name: 'c' })]
    const lease = await a.acquire('n', { ttl: '5s' })
    const first = b.acquire('n', { wait: '1m', holder: 'b' })
    await cluster.advance(10)
    const second = c.acquire('n', { wait: '1m', holder: 'c' })
    await cluster.advance(10)
    const giving = lease.transfer('c')
    t.equal(lease.remainingMs(), 0, 'ended already')
    await cluster.until(giving)
    const next = await cluster.until(second)
    t.equal(next.holder, 'c')
    t.match(await cluster.until(failure(lease.transfer('c'))), { code: 'LEASE_LOST', reason: 'transferred' })
    const refused = (await cluster.until(failure(next.transfer('nobody')))) as NotTransferredError
    t.ok(refused instanceof NotTransferredError)
    t.equal(next.remainingMs(), 0, 'the object that was to be handed over has ended')
    t.ok(refused.kept.remainingMs() > 4_000, 'the grant was kept, as a new one')
    t.equal(refused.kept.token, next.token)
    await cluster.until(refused.kept.release())
    t.equal((await cluster.until(first)).holder, 'b')
  },
)

claim('a handover takes no new work, waits for the work in flight, then lets the next one in', async (t, cluster) => {
  const [a, b] = [cluster.client({ name: 'a' }), cluster.client({ name: 'b' })]
  const lease = await a.acquire('n', { ttl: '10s' })
  const next = b.acquire('n', { wait: '1m' })
  await cluster.advance(10)
  let finish = () => {}
  const order: string[] = []
  const working = lease.run(async () => {
    await new Promise<void>((resolve) => (finish = resolve))
    lease.assert()
    order.push('the work has stopped')
  })
  const handing = lease.handover({ drain: '5s' }).then((drained) => order.push(`handed over, drained: ${drained}`))
  next.then(() => order.push('the next one has it'))
  await cluster.advance(1_000)
  t.same(order, [], 'nothing happens while work is in flight')
  t.throws(() => lease.hold(), { code: 'CLOSED' }, 'no new work')
  finish()
  await cluster.until(Promise.all([working, handing, next]))
  t.equal(order[0], 'the work has stopped')
  t.ok(order.includes('handed over, drained: true'))
})

claim('a handover waits no longer than it was told to, and the signal of the work fires', async (t, cluster) => {
  const client = cluster.client({ name: 'a' })
  const lease = await client.acquire('n', { ttl: '10s' })
  const stopped = lease.run(
    (signal) => new Promise<string>((resolve) => signal.addEventListener('abort', () => resolve('told'))),
  )
  const hold = lease.hold()
  const fromMs = cluster.time.nowMs
  t.equal(await cluster.until(lease.handover({ drain: '2s' })), false)
  t.ok(cluster.time.nowMs - fromMs >= 2_000 && cluster.time.nowMs - fromMs < 2_100)
  t.equal(await stopped, 'told')
  hold[Symbol.dispose]()
  hold[Symbol.dispose]()
  t.match(await failure(lease.handover({ drain: '2h' })), { code: 'INVALID_ARGUMENT' })
})

claim(
  'lead works while it holds the lease, steps down on stop, and backs off when the work throws',
  async (t, cluster) => {
    const client = cluster.client({ name: 'a' })
    const seen: string[] = []
    let calls = 0
    const leading = client.lead(
      'n',
      { ttl: '5s', onError: (error) => seen.push(`heard: ${(error as Error).message}`) },
      async (lease) => {
        lease.assert(1_000)
        seen.push(`token ${lease.token}`)
        calls++
        if (calls === 2) throw new Error('the work broke')
        return calls === 4 ? 'stop' : 'again'
      },
    )
    await cluster.until(leading)
    t.same(seen, ['token 1', 'token 1', 'heard: the work broke', 'token 2', 'token 2'])
    t.equal(await cluster.until(client.get('n')), null, 'it has stepped down')
  },
)

claim('a handover that is called off takes work again; asked twice, it is one', async (t, cluster) => {
  const client = cluster.client({ name: 'a' })
  const lease = await client.acquire('n', { ttl: '10s' })
  const hold = lease.hold()
  const stop = new AbortController()
  const first = failure(lease.handover({ drain: '5s', signal: stop.signal }))
  await cluster.advance(10)
  stop.abort()
  t.equal((await first).code, 'ABORTED')
  lease.hold()[Symbol.dispose]()
  const [one, two] = [lease.handover({ drain: '5s' }), lease.handover({ drain: '1ms' })]
  await cluster.advance(1_000)
  t.ok(lease.remainingMs() > 0, 'the first one goes on')
  hold[Symbol.dispose]()
  t.same(await cluster.until(Promise.all([one, two])), [true, true])
})

claim('lead begins again when the lease is lost, and ends with the signal', async (t, cluster) => {
  const client = cluster.client({ name: 'a' })
  const operator = cluster.client({ name: 'operator' })
  const stop = new AbortController()
  const tokens: number[] = []
  const leading = failure(
    client.lead('n', { ttl: '5s', signal: stop.signal }, async (lease) => {
      tokens.push(lease.token)
      if (tokens.length === 2) stop.abort()
      await new Promise((resolve) => lease.lostSignal().addEventListener('abort', resolve))
      lease.assert()
      return 'again'
    }),
  )
  await cluster.advance(10)
  await cluster.until(operator.revoke('n'))
  await cluster.advance(1_000)
  t.equal(tokens.length, 2)
  await cluster.until(operator.revoke('n'))
  t.equal((await cluster.until(leading)).code, 'ABORTED')
})

claim('await using releases, for a bounded time, and never throws', async (t, cluster) => {
  const client = cluster.client({ name: 'a' })
  let kept: Lease
  {
    await using lease = await client.acquire('n')
    kept = lease
  }
  t.equal(kept.lost, 'released')
  const other = await client.acquire('m')
  cluster.partition()
  const fromMs = cluster.time.nowMs
  await cluster.until(other[Symbol.asyncDispose]())
  t.ok(cluster.time.nowMs - fromMs <= 2_100)
})
