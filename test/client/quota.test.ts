/** Quotas through the library, against the server's own code in memory, under clocks that the test moves: what a service sees. */
import type { Admission, Client, Quota } from '@leasehold/client'
import type { TestCluster } from '@leasehold/client/testing'
import { claim, failure } from './claim.js'

const PLAIN = { bandwidths: [{ tokens: 100, perMs: 1_000, burst: 200 }] }
const SMALL = { bandwidths: [{ tokens: 10, perMs: 1_000, burst: 10 }] }

async function quotaOf(cluster: TestCluster, client: Client, wish: object = PLAIN): Promise<Quota> {
  await cluster.until(client.setQuota('api', { ...PLAIN, ...wish }))
  return client.quota('api')
}

/** As many as there are, one by one. */
function drain(quota: Quota): number {
  let count = 0
  while (quota.tryTake().ok) count++
  return count
}

claim('a specification is set, changed, read, listed and deleted', async (t, cluster) => {
  const client = cluster.client()
  const version = await cluster.until(client.setQuota('api', PLAIN))
  t.match(await cluster.until(client.getQuota('api')), {
    name: 'api',
    version,
    available: 200,
    outstanding: 0,
    weight: 1,
  })
  t.ok((await cluster.until(client.setQuota('api', SMALL))) > version)
  await cluster.until(client.setQuota('b', { ...PLAIN, parent: 'api' }))
  t.match(await failure(cluster.until(client.deleteQuota('api'))), { code: 'QUOTA_CONFLICT' })
  t.match(await failure(cluster.until(client.setQuota('c', { ...PLAIN, parent: 'x' }))), { code: 'QUOTA_CONFLICT' })
  t.match(await failure(client.setQuota('c', { bandwidths: [] })), { code: 'INVALID_ARGUMENT', executed: 'no' })
  t.match(await cluster.until(client.listQuotas({ limit: 1 })), { quotas: [{ name: 'api' }], next: 'api' })
  t.match(await cluster.until(client.listQuotas({ after: 'api' })), {
    quotas: [{ name: 'b', parent: 'api' }],
    next: null,
  })
  t.equal(await cluster.until(client.deleteQuota('b')), true)
  t.equal(await cluster.until(client.deleteQuota('b')), false)
  t.equal(await cluster.until(client.getQuota('b')), null)
  t.match(await failure(cluster.until(client.topKeys('api'))), { code: 'INVALID_ARGUMENT' })
})

claim('a try is cold, then served from what was drawn, then empty until a moment', async (t, cluster) => {
  const client = cluster.client()
  const quota = await quotaOf(cluster, client, SMALL)
  t.match(quota.tryTake(3), { ok: false, reason: 'cold' })
  await cluster.advance(50)
  t.match(quota.tryTake(3), { ok: true, how: 'exact' })
  t.same(await cluster.until(quota.take(7)), { taken: 7, how: 'exact' })
  const denied = quota.tryTake()
  t.match(denied, { ok: false })
  await cluster.advance(60)
  t.match(quota.tryTake(), { ok: false, reason: 'empty' })
  t.throws(() => quota.tryTake(0), { code: 'INVALID_ARGUMENT' })
  t.throws(() => quota.tryTake(1.5), { code: 'INVALID_ARGUMENT' })
  t.throws(() => quota.tryTake(11), { code: 'INVALID_ARGUMENT' }, 'it can never be admitted')
  await cluster.advance(1_100)
  t.match(await cluster.until(quota.take(5)), { taken: 5 })
  t.match(await cluster.until(client.getQuota('api')), { spec: undefined, name: 'api' })
})

claim('at full demand what flows in is admitted, and never more', async (t, cluster) => {
  const client = cluster.client()
  const quota = await quotaOf(cluster, client)
  const seconds = 20
  let admitted = 0
  for (let ms = 0; ms < seconds * 1_000; ms += 5) {
    for (let i = 0; i < 20; i++) if (quota.tryTake().ok) admitted++
    await cluster.advance(5)
  }
  const bound = 200 + 100 * seconds
  t.ok(admitted <= bound, `${admitted} of ${bound}`)
  t.ok(admitted >= 0.95 * bound, `${admitted} of ${bound}`)
})

claim('who waits is served in order, with one draw for all', async (t, cluster) => {
  const client = cluster.client()
  const quota = await quotaOf(cluster, client, SMALL)
  const order: number[] = []
  const waits = [4, 6, 5].map((tokens, i) => quota.take(tokens).then(() => order.push(i)))
  await cluster.until(Promise.all(waits))
  t.same(order, [0, 1, 2])
  const upTo = await cluster.until(quota.take(10, { upTo: true }))
  t.ok(upTo.taken >= 1 && upTo.taken <= 10)
})

claim('who cannot have it in time hears so at once; who gives up takes nothing', async (t, cluster) => {
  const client = cluster.client()
  const quota = await quotaOf(cluster, client, SMALL)
  t.equal((await cluster.until(quota.take(10))).taken, 10)
  const late = await cluster.until(failure(quota.take(10, { timeout: '300ms' })))
  t.match(late, { code: 'QUOTA_EXCEEDED', executed: 'no' })
  t.ok(late.retryAfterMs! > 0)
  const giver = new AbortController()
  const given = failure(quota.take(10, { signal: giver.signal }))
  await cluster.advance(20)
  giver.abort()
  t.match(await cluster.until(given), { code: 'ABORTED', executed: 'no' })
  t.match(await failure(quota.take(5, { signal: AbortSignal.abort() })), { code: 'ABORTED' })
  t.match(await failure(quota.take(0)), { code: 'INVALID_ARGUMENT' })
  t.match(await failure(quota.take(1, { timeout: 'soon' as never })), { code: 'INVALID_ARGUMENT' })
  await cluster.advance(2_000)
  t.equal((await cluster.until(quota.take(10))).taken, 10, 'nothing was lost to them')
  t.match(await cluster.until(failure(client.quota('nobody').take())), { code: 'QUOTA_NOT_FOUND' })
})

claim('tokens that were not used are given back, and go back to all when the quota is closed', async (t, cluster) => {
  const [a, b] = [cluster.client({ name: 'a' }), cluster.client({ name: 'b' })]
  const quota = await quotaOf(cluster, a, { bandwidths: [{ tokens: 1, perMs: 60_000, burst: 100 }] })
  await cluster.until(quota.take(60))
  const held = quota.peek()
  t.equal(quota.giveBack(25), 25)
  t.equal(quota.peek(), held + 25)
  t.equal(quota.giveBack(1_000), 35, 'no more than was taken')
  t.equal(drain(quota) >= 60, true)
  t.equal(quota.giveBack(40), 40)
  await cluster.until(quota.close())
  await quota.close()
  t.match(await failure(quota.take(5)), { code: 'CLOSED' })
  await cluster.advance(2_500)
  const rest = await cluster.until(b.admit('api', null, 40))
  t.equal(rest.admitted, true, 'the forty are there for others')
})

claim('what a client holds ends with its time, and a suspended one has nothing left', async (t, cluster) => {
  const machine = cluster.machine()
  const client = cluster.client({ machine })
  const quota = await quotaOf(cluster, client, { bandwidths: [{ tokens: 1, perMs: 60_000, burst: 100 }] })
  await cluster.until(quota.take(50))
  t.equal(quota.giveBack(30), 30)
  machine.sleep(60_000)
  await cluster.advance(60_001)
  t.equal(quota.peek(), 0)
  t.equal(quota.giveBack(1), 0)
  t.match(quota.tryTake(), { ok: false })
  await cluster.advance(500)
  const left = drain(quota)
  t.ok(left <= 51, `${left}: what it held counts as spent`)
})

claim('a shadow quota denies nobody, and counts', async (t, cluster) => {
  const client = cluster.client()
  const quota = await quotaOf(cluster, client, { ...SMALL, shadow: true })
  t.match(await cluster.until(quota.take(10)), { taken: 10 })
  await cluster.advance(50)
  let shadowed = 0
  for (let i = 0; i < 50; i++) {
    const taken = quota.tryTake()
    if (taken.ok && taken.how === 'shadow') shadowed++
    t.equal(taken.ok, true)
  }
  t.ok(shadowed > 30)
  t.equal(quota.counts.shadow, shadowed)
  t.match(await cluster.until(quota.take(9)), { taken: 9, how: 'shadow' })
  const asked: Admission[] = []
  for (let i = 0; i < 15; i++) asked.push(await cluster.until(client.admit('api', null, 5)))
  t.equal(
    asked.every(({ admitted }) => admitted),
    true,
  )
  t.ok(asked.some((one) => one.admitted && one.how === 'shadow'))
})

claim('a member decides for those who ask, and says when to come back', async (t, cluster) => {
  const client = cluster.client()
  await cluster.until(client.setQuota('api', SMALL))
  t.match(await cluster.until(client.admit('api')), { admitted: true, taken: 1, remaining: 9, limit: 10, how: 'exact' })
  let admitted = 1
  let denied: Admission | null = null
  for (let i = 0; i < 12; i++) {
    const one = await cluster.until(client.admit('api'))
    if (one.admitted) admitted++
    else denied = one
  }
  t.equal(admitted, 10)
  t.match(denied, { admitted: false, limit: 10 })
  t.ok(denied !== null && !denied.admitted && denied.retryAfterMs >= 1)
  t.match(await failure(cluster.until(client.admit('api', null, 11))), { code: 'INVALID_ARGUMENT' })
  t.match(await failure(cluster.until(client.admit('api', 'key'))), { code: 'INVALID_ARGUMENT' }, 'it has no keys')
  t.match(await failure(client.admit('api', null, 0)), { code: 'INVALID_ARGUMENT' })
  t.match(await failure(cluster.until(client.admit('nobody'))), { code: 'QUOTA_NOT_FOUND' })
})

claim('of several quotas all are taken from, or none', async (t, cluster) => {
  const client = cluster.client()
  await cluster.until(client.setQuota('much', PLAIN))
  await cluster.until(client.setQuota('little', { bandwidths: [{ tokens: 1, perMs: 60_000, burst: 2 }] }))
  const both = [{ quota: 'much', cost: 50 }, { quota: 'little' }]
  t.match(await cluster.until(client.takeAll(both)), { admitted: true })
  t.match(await cluster.until(client.takeAll(both)), { admitted: true })
  t.match(await cluster.until(client.takeAll(both)), { admitted: false })
  t.match(await cluster.until(client.takeAll([{ quota: 'much', cost: 100 }])), { admitted: true }, 'none of it is gone')
})

claim('a limit for all and one for each key are taken from together, or not at all', async (t, cluster) => {
  const client = cluster.client()
  await cluster.until(client.setQuota('all', { bandwidths: [{ tokens: 6, perMs: 3_600_000 }] }))
  await cluster.until(client.setQuota('each', { bandwidths: [{ tokens: 4, perMs: 3_600_000 }], perKey: true }))
  const take = async (key: string, cost = 1) => {
    const { admitted } = await cluster.until(
      client.takeAll([
        { quota: 'all', cost },
        { quota: 'each', key, cost },
      ]),
    )
    return admitted
  }
  t.same([await take('a', 3), await take('a', 2), await take('a'), await take('a')], [true, false, true, false])
  t.same([await take('b', 3), await take('b', 2), await take('b')], [false, true, false], 'six for all of them')
  t.match(
    await cluster.until(client.admit('each', 'b', 2)),
    { admitted: true, how: 'key', limit: 4 },
    'nothing was lost',
  )
  t.match(await cluster.until(client.admit('each', 'a')), { admitted: false })
  t.match(await failure(cluster.until(client.admit('each'))), { code: 'INVALID_ARGUMENT' })
  t.match(await failure(cluster.until(client.admit('all', 'a'))), { code: 'INVALID_ARGUMENT' })
  t.match(await failure(cluster.until(client.quota('each').take())), { code: 'INVALID_ARGUMENT' })
  const { keys } = await cluster.until(client.topKeys('each'))
  t.same(keys.map(({ key }) => key).sort(), ['a', 'b'], 'both asked for as much')
})

claim('a limit survives restarts with exactly what it admits', async (t, cluster) => {
  const client = cluster.client({ timeout: '5s' })
  await cluster.until(client.setQuota('hourly', { bandwidths: [{ tokens: 10, perMs: 3_600_000, burst: 10 }] }))
  let admitted = 0
  for (let restart = 0; restart < 3; restart++) {
    for (let i = 0; i < 3; i++) if ((await cluster.until(client.admit('hourly'))).admitted) admitted++
    await cluster.restart()
  }
  for (let i = 0; i < 10; i++) if ((await cluster.until(client.admit('hourly'))).admitted) admitted++
  t.equal(admitted, 10)
})

claim('where nobody answers, the specification says what to do', async (t, cluster) => {
  const client = cluster.client({ timeout: '1s' })
  const deny = await quotaOf(cluster, client, SMALL)
  await cluster.until(client.setQuota('open', { ...SMALL, whenUnavailable: 'allow' }))
  const allow = client.quota('open')
  await cluster.until(Promise.all([deny.take(10), allow.take(10)]))
  cluster.partition()
  await cluster.advance(6_000)
  t.match(deny.tryTake(), { ok: false })
  allow.tryTake()
  await cluster.advance(4_000)
  t.match(deny.tryTake(), { ok: false, reason: 'unavailable' })
  t.match(allow.tryTake(), { ok: true, how: 'unavailable' })
  t.ok(allow.counts.unavailable > 0)
  cluster.heal()
  await cluster.advance(20_000)
  await cluster.until(deny.take(1))
  t.match(await cluster.until(allow.take(1)), { taken: 1 })
})
