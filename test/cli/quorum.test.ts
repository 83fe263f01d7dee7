import { join } from 'node:path'
import t from 'tap'
import { TestCluster } from './cluster.js'
import { inProcess, leasehold, scratch, serving } from './process.js'

t.setTimeout(120_000)

t.test('a cluster whose majority is gone for good goes on from the directory that is left', async (t) => {
  const cluster = new TestCluster(t)
  await cluster.plan('n1', 'n2')
  cluster.start('n1')
  cluster.start('n2')
  await cluster.settled('n1', 'n2')
  const granted = await leasehold([
    'lease',
    'acquire',
    'a',
    '--ttl',
    '1h',
    '--holder',
    'h',
    '--url',
    cluster.url('n1'),
    '--json',
  ])
  const { token } = JSON.parse(granted.out) as { token: number }
  await cluster.kill('n2')
  const alone = await leasehold([
    'lease',
    'renew',
    'a',
    '--token',
    String(token),
    '--timeout',
    '2s',
    '--url',
    cluster.url('n1'),
  ])
  t.equal(alone.code, 3, 'one of two decides nothing')
  await cluster.kill('n1')

  const into = join(scratch(t), 'new')
  const args = ['recover', 'quorum', '--data', cluster.data('n1')]
  t.match(await leasehold(args), { code: 2, err: /--into: is missing\n.*--accept-loss: is missing/ })
  const all = [...args, '--into', into, '--accept-loss', '--json']
  for (const nowhere of ['127.0.0.1:0', '0.0.0.0:7421', '[::]:7421']) {
    const refused = await inProcess([...all, '--peer-listen', nowhere])
    t.match(refused, { code: 2, err: /--peer-listen: others must find this member there/ }, nowhere)
  }
  const report = await leasehold([...all, '--peer-listen', '10.0.0.1:7777'])
  t.equal(report.code, 0, report.err)
  const { tokenFloor, lost } = JSON.parse(report.out) as { tokenFloor: number; lost: string[] }
  t.ok(tokenFloor > 2 ** 40)
  t.ok(lost.some((line) => line.includes('must never be started again')))
  t.match(await leasehold([...args, '--into', into, '--accept-loss']), { code: 1, err: /not empty/ })
  const server = await serving(t, into)
  t.match(await leasehold(['lease', 'get', 'a', '--url', server.url]), { code: 0, out: /holder +h/ })
  t.match(await leasehold(['cluster', 'status', '--url', server.url]), { code: 0, out: /10\.0\.0\.1:7777/ })
})
