/** Three real servers as one cluster, by what people and programs see of it. */
import t from 'tap'
import { type ClusterBody, TestCluster } from './cluster.js'
import { leasehold } from './process.js'

t.setTimeout(120_000)

t.test('three servers form one cluster, and a lease outlives its leader', async (t) => {
  const cluster = new TestCluster(t)
  await cluster.plan('n1', 'n2', 'n3')
  cluster.start('n1')
  cluster.start('n2')
  await cluster.running.get('n2')!.said(/waiting to form.*n3/)
  cluster.start('n3')
  const first = await cluster.settled('n1', 'n2', 'n3')
  const seen = await cluster.until(
    first,
    (body) => body.leader !== null && body.members.every(({ appliedIndex, url }) => appliedIndex && url),
  )
  const { clusterId, members } = seen
  // On a busy machine another one may lead by now.
  const leader = seen.leader!
  t.match(
    members,
    ['n1', 'n2', 'n3'].map((id) => {
      const role = id === leader ? 'leader' : 'follower'
      return { id, role, url: cluster.url(id), peerUrl: cluster.peerAddress(id), voter: true }
    }),
  )
  const [one, two] = ['n1', 'n2', 'n3'].filter((name) => name !== leader) as [string, string]
  const granted = await leasehold([
    'lease',
    'acquire',
    'a',
    '--ttl',
    '10m',
    '--holder',
    'h',
    '--url',
    cluster.url(one),
    '--json',
  ])
  t.equal(granted.code, 0)
  await cluster.kill(leader)
  const next = await cluster.until(one, (body) => body.leader !== null && body.leader !== leader)
  t.equal(next.clusterId, clusterId)
  const { token } = JSON.parse(granted.out) as { token: number }
  const renewed = await leasehold(['lease', 'renew', 'a', '--token', String(token), '--url', cluster.url(two)])
  t.equal(renewed.code, 0, renewed.err)

  cluster.start(leader)
  await cluster.settled(leader, one, two)
  const kept = await leasehold(['lease', 'get', 'a', '--url', cluster.url(leader), '--json'])
  t.match(JSON.parse(kept.out), { holder: 'h', token })
})

t.test('a member of a cluster does not start as if it were alone', async (t) => {
  const cluster = new TestCluster(t)
  await cluster.plan('n1', 'n2')
  cluster.start('n1')
  cluster.start('n2')
  await cluster.settled('n1', 'n2')
  await cluster.kill('n1', 'SIGTERM')
  const alone = await leasehold(['serve', '--name', 'n1', '--data', cluster.data('n1'), '--listen', '127.0.0.1:0'])
  t.match(alone, { code: 1, err: /belongs to a cluster with n2.*--peer-listen/ })
})

t.test(
  'before its cluster has formed, a member says what it waits for; then it serves at the same address',
  async (t) => {
    const cluster = new TestCluster(t)
    await cluster.plan('n1', 'n2')
    const first = cluster.start('n1')
    await first.said('waiting to form')
    const ask = async (path: string) => {
      const answer = await fetch(`${cluster.url('n1')}${path}`)
      return { status: answer.status, type: answer.headers.get('content-type'), body: await answer.json() }
    }
    t.same(await ask('/healthz'), { status: 200, type: 'application/json', body: { ok: true } })
    const forming = {
      status: 503,
      type: 'application/problem+json',
      body: { code: 'NO_QUORUM', retryable: true, executed: false },
    }
    const detail = `forming: waiting for n2 at ${cluster.peerAddress('n2')}: n2 does not answer`
    for (const path of ['/readyz', '/v1/leases/a', '/nowhere']) {
      const found = await ask(path)
      t.match(found, forming, path)
      t.ok((found.body as { detail: string }).detail.startsWith(detail), (found.body as { detail: string }).detail)
    }
    const status = await leasehold(['status', '--url', cluster.url('n1')])
    t.equal(status.code, 3)
    t.ok(status.err.includes(detail), status.err)
    cluster.start('n2')
    await cluster.settled('n1', 'n2')
    t.match(await ask('/readyz'), { status: 200, body: { ready: true } })
  },
)

t.test('a member that takes any free port tells the others which one', async (t) => {
  const cluster = new TestCluster(t)
  await cluster.plan('n1', 'n2')
  const first = cluster.start('n1', ['n1', 'n2'], '127.0.0.1:0')
  cluster.start('n2')
  const [, url] = await first.said(/"event":"serving","url":"([^"]+)"/)
  const told = ({ members }: ClusterBody) => members.find(({ id }) => id === 'n1')?.url
  await cluster.until('n2', (body) => told(body) === url)
  await cluster.kill('n1')
  const again = cluster.start('n1', ['n1', 'n2'], '127.0.0.1:0')
  const [, next] = await again.said(/"event":"serving","url":"([^"]+)"/)
  await cluster.until('n2', (body) => told(body) === next)
  t.equal((await fetch(`${next}/healthz`)).status, 200)
})
