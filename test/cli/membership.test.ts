/** Changes of the members of a running cluster of real servers, as an operator makes them. */
import { rmSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type ClusterBody, TestCluster } from './cluster.js'
import { leasehold } from './process.js'

t.setTimeout(180_000)

const FIRST = ['n1', 'n2', 'n3']

/** A cluster of three, formed; n4 has its ports. */
async function three(t: Test): Promise<TestCluster> {
  const cluster = new TestCluster(t)
  await cluster.plan(...FIRST, 'n4')
  for (const name of FIRST) cluster.start(name, FIRST)
  await cluster.settled(...FIRST)
  return cluster
}

const ids = ({ members }: ClusterBody) => members.map(({ id, voter }) => (voter ? id : `${id}?`)).join()

t.test('a member is added, learns, votes, leads, and another one is removed', async (t) => {
  const cluster = await three(t)
  const granted = await leasehold(['lease', 'acquire', 'a', '--ttl', '10m', '--url', cluster.url('n2'), '--json'])
  const waiting = cluster.start('n4')
  await waiting.said(/waiting to form.*leasehold cluster add/)
  t.equal(ids(await cluster.change('n2', 'add', `n4=${cluster.peerAddress('n4')}`)), 'n1,n2,n3,n4?')
  await cluster.settled(...FIRST, 'n4')
  t.equal(ids(await cluster.change('n3', 'promote', 'n4')), 'n1,n2,n3,n4')
  const led = await cluster.change('n1', 'transfer', 'n4')
  t.equal(led.leader, 'n4')
  t.equal(ids(await cluster.change('n4', 'remove', 'n1')), 'n2,n3,n4')
  await cluster.kill('n1', 'SIGTERM')
  const { token } = JSON.parse(granted.out) as { token: number }
  const renewed = await leasehold(['lease', 'renew', 'a', '--token', String(token), '--url', cluster.url('n4')])
  t.equal(renewed.code, 0, renewed.err)
  const shown = await leasehold(['cluster', 'status', '--url', cluster.url('n2')])
  t.match(shown.out, /^MEMBER +ROLE +VOTES.*(?:\n.*)*\nn4 +leader +voter/m)
})

t.test('one that was removed and is started again waits until it is added again, and goes on', async (t) => {
  const cluster = await three(t)
  await cluster.change('n1', 'remove', 'n3')
  await cluster.running.get('n3')!.said('removed from the cluster')
  await cluster.kill('n3', 'SIGTERM')
  // Where the others are by now, what it knew does not say.
  cluster.start('n3', FIRST)
  const says = async () => (await fetch(`${cluster.url('n3')}/readyz`)).text()
  const waits = /joining: waiting for a member whose cluster names this directory/
  while (!waits.test(await says().catch(() => ''))) await new Promise((resolve) => setTimeout(resolve, 25))
  t.equal(ids(await cluster.change('n2', 'add', `n3=${cluster.peerAddress('n3')}`)), 'n1,n2,n3?')
  await cluster.settled(...FIRST)
  t.equal(ids(await cluster.change('n2', 'promote', 'n3')), 'n1,n2,n3')
})

t.test('a dead member whose directory is lost is replaced under its old name', async (t) => {
  const cluster = await three(t)
  await cluster.kill('n3')
  rmSync(cluster.data('n3'), { recursive: true })
  const again = cluster.start('n3', FIRST)
  await again.said(/waiting to form.*leasehold cluster add/)
  const body = await cluster.change('n1', 'add', `n3=${cluster.peerAddress('n3')}`)
  t.same(ids(body).split(',').sort(), ['n1', 'n2', 'n3', 'n3?'], 'the wiped one learns beside the old one')
  const learner = body.members.find(({ voter }) => !voter)!
  t.equal(learner.id, 'n3')
  const replaced = await cluster.change('n2', 'promote', `n3@${learner.directoryId}`)
  t.equal(ids(replaced), 'n1,n2,n3')
  await cluster.settled(...FIRST)
  await cluster.kill('n1')
  const next = await cluster.until('n3', ({ leader }) => leader !== null && leader !== 'n1')
  t.ok(next.leader, 'and its vote counts')
})

t.test('what does not fit is refused, and says why', async (t) => {
  const cluster = await three(t)
  const refused = async (args: string[], sentence: RegExp) => {
    const { code, err } = await leasehold(['cluster', ...args, '--url', cluster.url('n1')])
    t.equal(code, 1, args.join(' '))
    t.match(err, sentence)
  }
  await refused(['remove', 'n9'], /has no member n9 \(MEMBER_NOT_FOUND\)/)
  await refused(['add', `n4=${cluster.peerAddress('n4')}`], /no member answers at .* start it there first/)
  await refused(['add', `n9=${cluster.peerAddress('n2')}`], /at .* is n2, not n9/)
  await refused(['transfer', 'n9'], /no voter is named n9/)
  await cluster.kill('n3')
  await refused(['remove', 'n2'], /do not answer.*no majority would be left|do not answer: n3/)
  t.equal((await leasehold(['cluster', 'add', 'n4'])).code, 2, 'usage')
})
