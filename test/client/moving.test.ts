/** What a session has at one member goes with it to the next: places in queues, watches, what it knows; and never to another cluster. */
import { LIMITS, OP } from '@leasehold/protocol'
import t, { type Test } from 'tap'
import { failure } from './claim.js'
import { FakeCluster, type FakeMember } from './fakecluster.js'

function claim(name: string, check: (t: Test, cluster: FakeCluster) => Promise<void>, count = 3): void {
  t.test(name, (t) => check(t, new FakeCluster(count)))
}

claim(
  'a wait keeps its place when its member is killed: the same request stands at another one, at once',
  async (t, cluster) => {
    const client = cluster.client()
    await client.ready()
    cluster.state.hold('n')
    const waiting = client.acquire('n', { wait: '1m' })
    await cluster.time.advance(5_000)
    const [request] = cluster.used.got(OP.acquire)
    const killedMs = cluster.time.nowMs
    cluster.used.kill()
    await cluster.time.settle()
    const [again] = cluster.used.got(OP.acquire)
    t.equal(again!.atMs, killedMs)
    t.equal(again!.fields[0], request!.fields[0])
    t.equal(cluster.state.waiting.size, 1)
    cluster.state.free('n')
    t.equal((await cluster.time.until(waiting)).token, 2)
    t.equal(cluster.state.executed.length, 1)
    await cluster.time.until(client.close())
  },
)

claim('a wait notices within the time of an offer that its member has fallen silent', async (t, cluster) => {
  const client = cluster.client()
  await client.ready()
  cluster.state.hold('n')
  const waiting = client.acquire('n', { wait: '10m' })
  await cluster.time.advance(20_000)
  t.equal(cluster.used.got(OP.acquire).length, 1, 'nothing is asked for again as long as pings are answered')
  t.equal(cluster.dials, 1)
  const first = cluster.used
  first.freeze()
  const startMs = cluster.time.nowMs
  cluster.state.free('n')
  await cluster.time.until(waiting)
  const tookMs = cluster.time.nowMs - startMs
  t.ok(tookMs < LIMITS.claimWithinMs - 1_000, `claimed after ${tookMs} ms`)
  await cluster.time.until(client.close())
})

claim('a thousand waits move for one token of the retry budget', async (t, cluster) => {
  const client = cluster.client()
  await client.ready()
  for (let i = 0; i < 1_000; i++) cluster.state.hold(`n/${i}`)
  const all = Promise.all(Array.from({ length: 1_000 }, (_, i) => client.acquire(`n/${i}`, { wait: '1m' })))
  await cluster.time.advance(100)
  cluster.used.kill()
  await cluster.time.advance(100)
  t.equal(cluster.used.got(OP.acquire).length, 1_000)
  for (let i = 0; i < 1_000; i++) cluster.state.free(`n/${i}`)
  await cluster.time.until(all)
  t.equal(new Set(cluster.state.executed).size, 1_000)
  await cluster.time.until(client.close())
})

claim('a watch goes on elsewhere from its cursor, without a gap and without a duplicate', async (t, cluster) => {
  const client = cluster.client()
  const watch = client.watch()
  const names: string[] = []
  const reading = (async () => {
    for await (const event of watch) {
      names.push(event.name)
      if (names.length === 40) return
    }
  })()
  await cluster.time.settle()
  for (let i = 0; i < 40; i++) {
    cluster.state.event(`e/${i}`)
    if (i % 3 === 0) await cluster.time.settle()
    if (i % 10 === 5) {
      const gone = cluster.used
      gone.kill()
      cluster.state.event(`e/${++i}`)
      await cluster.time.advance(1_500)
      gone.listening = true
    }
  }
  await cluster.time.until(reading)
  t.same(
    names,
    Array.from({ length: 40 }, (_, i) => `e/${i}`),
  )
  t.ok(cluster.dials >= 4)
  await cluster.time.until(client.close())
})

claim('a watch alone notices that its member has fallen silent, or is told to move', async (t, cluster) => {
  const client = cluster.client()
  const watch = client.watch()
  let next = watch.next()
  await cluster.time.settle()
  const first = cluster.used
  first.freeze()
  await cluster.time.advance(2_000)
  cluster.state.event('a')
  t.equal((await cluster.time.until(next)).value!.name, 'a')
  const second = cluster.members.find((member) => member !== first && member.open.length > 0)!
  next = watch.next()
  second.sendAway('NO_QUORUM')
  await cluster.time.advance(100)
  t.equal(second.open.length, 0)
  cluster.state.event('b')
  t.equal((await cluster.time.until(next)).value!.name, 'b')
  await cluster.time.until(client.close())
  await watch.return()
})

claim('a read is asked for again elsewhere', async (t, cluster) => {
  const client = cluster.client()
  await client.ready()
  cluster.state.hold('n')
  cluster.used.mute()
  const read = client.get('n')
  await cluster.time.settle()
  cluster.used.kill()
  t.equal((await cluster.time.until(read))!.token, 1)
  await cluster.time.until(client.close())
})

claim('a release that was executed and not answered is not executed again, and succeeds', async (t, cluster) => {
  const client = cluster.client()
  const lease = await cluster.time.until(client.acquire('n'))
  cluster.used.mute()
  const released = lease.release()
  await cluster.time.settle()
  cluster.used.kill()
  await cluster.time.until(released)
  t.equal(await cluster.time.until(client.get('n')), null)
  await cluster.time.until(client.close())
})

claim('the leader is gone to next, when its name is an endpoint of ours and it comes to a move', async (t, cluster) => {
  for (const [i, leader] of cluster.members.entries()) {
    const client = cluster.client()
    for (const member of cluster.members) member.leaderUrl = `${leader.url}/`
    const before = cluster.dials
    await cluster.time.until(client.ready())
    const first = cluster.used
    await cluster.time.until(client.acquire(`before/${i}`))
    t.equal(cluster.dials, before + 1, 'a member that serves is not left for it')
    first.sendAway('NO_QUORUM', leader.url)
    await cluster.time.until(client.acquire(`n/${i}`))
    if (first !== leader) t.equal(cluster.used, leader)
    await cluster.time.until(client.close())
  }
})

claim('a hint never makes a loop: to itself, to strangers, to the dead, to each other', async (t, cluster) => {
  const client = cluster.client()
  const [a, b, c] = cluster.members as [FakeMember, FakeMember, FakeMember]
  a.leaderUrl = b.url
  b.leaderUrl = a.url
  c.leaderUrl = 'http://stranger.test'
  for (const member of [a, b]) member.refuse('NO_QUORUM')
  await cluster.time.until(client.acquire('n'))
  t.equal(cluster.used, c)
  t.ok(cluster.dials <= 3)
  c.leaderUrl = 'no url'
  c.sendAway('SHUTTING_DOWN', c.url)
  for (const member of [a, b]) member.kill()
  await cluster.time.until(client.acquire('m'))
  t.equal(cluster.used, c)
  const { dials } = a
  b.listening = true
  b.serve()
  await cluster.time.advance(2_000)
  c.sendAway('SHUTTING_DOWN', a.url)
  await cluster.time.until(client.acquire('o'))
  t.equal(a.dials, dials, 'nor to one that has failed lately, while there is another')
  t.equal(cluster.used, b)
  await cluster.time.until(client.close())
})

claim('a member of another cluster is never used: it is told of, and passed over', async (t, cluster) => {
  const client = cluster.client()
  const lease = await cluster.time.until(client.acquire('n'))
  const first = cluster.used
  const [other, right] = cluster.unused as [FakeMember, FakeMember]
  other.clusterId = 'c2'
  other.answer = () => t.fail('it was asked for something') as never
  for (let i = 0; i < 5; i++) {
    for (const member of [first, right]) {
      if (member.open.length === 0) continue
      member.sendAway('SHUTTING_DOWN', other.url)
      await cluster.time.until(client.acquire(`n/${i}/${cluster.members.indexOf(member)}`))
      await cluster.time.advance(3_000)
    }
  }
  t.ok(other.dials > 0)
  t.same(cluster.warnings, [`${other.url} belongs to cluster c2; this client began with cluster c1`], 'once')
  t.ok(lease.remainingMs() < 9_848)
  await cluster.time.until(client.close())
})

claim(
  'where only another cluster answers, everything fails at once and for good',
  async (t, cluster) => {
    const client = cluster.client()
    const [only] = cluster.members as [FakeMember]
    const lease = await cluster.time.until(client.acquire('n'))
    const watch = client.watch()
    const next = failure(watch.next())
    await cluster.time.settle()
    only.mute()
    const acquired = failure(client.acquire('m'))
    await cluster.time.settle()
    only.clusterId = 'c2'
    only.network.cut()
    const wrong = await cluster.time.until(acquired)
    t.same([wrong.code, wrong.executed, wrong.retryable], ['WRONG_CLUSTER', 'unknown', false])
    t.match(wrong.message, /m1\.test belongs to cluster c2; this client began with cluster c1/)
    t.equal((await cluster.time.until(next)).code, 'WRONG_CLUSTER')
    const later = await cluster.time.until(failure(client.get('n')))
    t.same([later.code, later.executed], ['WRONG_CLUSTER', 'no'])
    t.ok(lease.remainingMs() > 0, 'what was granted lasts for as long as it was granted')
    only.clusterId = 'c1'
    only.serve()
    t.ok(await cluster.time.until(client.get('n')), 'the right one is taken back')
    await cluster.time.until(client.close())
  },
  1,
)
