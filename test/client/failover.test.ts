/** Members come and go, and the callers notice nothing but time: what is asked for goes on elsewhere as the same request. */
import { OP } from '@leasehold/protocol'
import t, { type Test } from 'tap'
import { failure } from './claim.js'
import { FakeCluster, type FakeMember } from './fakecluster.js'

function claim(name: string, check: (t: Test, cluster: FakeCluster) => Promise<void>, count = 3): void {
  t.test(name, (t) => check(t, new FakeCluster(count)))
}

claim(
  'a killed member costs a reconnect: the first one comes at once, and nothing is executed twice',
  async (t, cluster) => {
    const client = cluster.client()
    await client.ready()
    const first = cluster.used
    first.mute()
    const acquired = client.acquire('n', { ttl: '10s' })
    await cluster.time.advance(100)
    const killedMs = cluster.time.nowMs
    first.kill()
    const lease = await cluster.time.until(acquired)
    t.equal(cluster.time.nowMs, killedMs, 'without a pause')
    t.not(cluster.used, first)
    t.equal(cluster.state.executed.length, 1, 'the other member knows what was executed')
    t.same([first.got(OP.acquire)[0]!.attempt, cluster.used.got(OP.acquire)[0]!.attempt], [1, 2])
    t.equal(lease.remainingMs(), 9_848, 'counted from before the attempt that was answered was sent')
    await cluster.time.until(client.close())
  },
)

claim(
  'validity counts from the attempt that was answered, also where its answer crosses the change',
  async (t, cluster) => {
    const client = cluster.client()
    const lease = await cluster.time.until(client.acquire('n', { ttl: '10s' }))
    const first = cluster.used
    first.freeze()
    await cluster.time.advance(1_000)
    const sentMs = cluster.time.nowMs
    const renewed = lease.renew()
    await cluster.time.until(renewed)
    t.equal(lease.remainingMs(), 9_848)
    t.ok(cluster.time.nowMs > sentMs)
    const second = cluster.used
    first.freeze(false)
    await cluster.time.settle()
    t.equal(cluster.used, second, 'what the frozen one says when it wakes is not listened to')
    t.equal(lease.remainingMs(), 9_848)
    await cluster.time.until(client.close())
  },
)

claim('clients of one name begin at different members, and all members are begun with', async (t) => {
  const begun = new Set<string>()
  for (let seed = 0; seed < 20; seed++) {
    const cluster = new FakeCluster(3, seed)
    const client = cluster.client()
    await cluster.time.until(client.ready())
    begun.add(cluster.used.url)
    await cluster.time.until(client.close())
  }
  t.equal(begun.size, 3)
})

claim('a silent member is left within half a second; the others are not disturbed', async (t, cluster) => {
  const client = cluster.client()
  await client.ready()
  const first = cluster.used
  first.freeze()
  const startMs = cluster.time.nowMs
  await cluster.time.until(client.acquire('n'))
  t.ok(cluster.time.nowMs - startMs <= 520, `it took ${cluster.time.nowMs - startMs} ms`)
  t.equal(cluster.dials, 2)
  await cluster.time.until(client.close())
})

claim('a member that is slow, and answers pings, keeps its clients', async (t, cluster) => {
  const client = cluster.client()
  await client.ready()
  cluster.used.answer = (request) => {
    cluster.time.after(1_500, () => request.connection.reply([request.id, request.attempt, 0, [1, 9, 9, false, 'h']]))
    return null
  }
  await cluster.time.until(client.list({ timeout: '5s' }).catch(() => {}))
  t.equal(cluster.dials, 1)
  await cluster.time.until(client.close())
})

for (const code of ['NO_QUORUM', 'SHUTTING_DOWN'] as const) {
  claim(`${code}: what is refused is asked for elsewhere at once, and no caller sees an error`, async (t, cluster) => {
    const client = cluster.client()
    const held = await cluster.time.until(client.acquire('held'))
    const first = cluster.used
    first.refuse(code)
    const startMs = cluster.time.nowMs
    const all = [held.renew(), ...Array.from({ length: 100 }, (_, i) => client.acquire(`n/${i}`))]
    await cluster.time.until(Promise.all(all))
    t.equal(cluster.time.nowMs, startMs)
    t.not(cluster.used, first)
    t.equal(cluster.state.executed.length, 101)
    await cluster.time.until(client.close())
  })

  claim(
    `${code}, told before anything was asked: the session moves, and what is under way is still answered`,
    async (t, cluster) => {
      const client = cluster.client()
      await client.ready()
      const first = cluster.used
      first.answer = () => null
      const underWay = client.acquire('under/way')
      await cluster.time.settle()
      const request = first.got(OP.acquire)[0]!
      for (const other of cluster.unused) other.freeze()
      first.sendAway(code)
      await cluster.time.settle()
      const asked = client.acquire('next')
      await cluster.time.advance(10)
      t.equal(first.got(OP.acquire).length, 1, 'nothing new is sent to it')
      const answer = cluster.state.execute(request)
      request.connection.reply([request.id, request.attempt, answer[0], answer.slice(1)])
      t.equal((await cluster.time.until(underWay)).token, 1, 'its last answers count')
      for (const other of cluster.unused) other.freeze(false)
      await cluster.time.until(asked)
      t.equal(first.open.length, 0)
      t.equal(cluster.state.executed.length, 2)
      await cluster.time.until(client.close())
    },
  )
}

claim('an idle session that is sent away is let go, and the next request goes elsewhere', async (t, cluster) => {
  const client = cluster.client()
  await client.ready()
  const first = cluster.used
  first.sendAway('SHUTTING_DOWN')
  await cluster.time.advance(5_000)
  t.equal(first.open.length, 0)
  t.equal(cluster.dials, 1, 'nobody connects for nobody')
  await cluster.time.until(client.acquire('n'))
  t.not(cluster.used, first)
  await cluster.time.until(client.close())
})

claim('a member that drains with nobody else there is used to its end', async (t, cluster) => {
  const client = cluster.client()
  await client.ready()
  const first = cluster.used
  for (const other of cluster.unused) other.kill()
  first.sendAway('SHUTTING_DOWN')
  const lease = await cluster.time.until(client.acquire('n'))
  t.equal(cluster.used, first)
  t.equal(lease.token, 1)
  t.equal(first.dials, 1, 'over the connection that there was')
  await cluster.time.until(client.close())
})

claim(
  'with one endpoint, there is nowhere to go: its refusals are waited out',
  async (t, cluster) => {
    const client = cluster.client()
    await client.ready()
    const [only] = cluster.members as [FakeMember]
    only.sendAway('NO_QUORUM')
    only.refuse('NO_QUORUM')
    const acquired = client.acquire('n')
    await cluster.time.advance(300)
    only.serve()
    await cluster.time.until(acquired)
    t.equal(only.dials, 1)
    await cluster.time.until(client.close())
  },
  1,
)

claim('no member has a quorum for a while: nothing fails, and the pace is bounded', async (t, cluster) => {
  const client = cluster.client()
  await client.ready()
  const before = cluster.dials
  for (const member of cluster.members) member.refuse('NO_QUORUM')
  const all = Promise.all(Array.from({ length: 50 }, (_, i) => client.acquire(`n/${i}`)))
  await cluster.time.advance(3_000)
  const tried = cluster.dials - before
  t.ok(tried <= 15, `${tried} connections in 3 s`)
  for (const member of cluster.members) member.serve()
  await cluster.time.until(all)
  t.equal(cluster.state.executed.length, 50)
  await cluster.time.until(client.close())
})

claim('nobody is there: the error says so, and that nothing was executed', async (t, cluster) => {
  const client = cluster.client({ timeout: '2s' })
  for (const member of cluster.members) member.kill()
  const away = await cluster.time.until(failure(client.acquire('n')))
  t.same([away.code, away.executed], ['UNREACHABLE', 'no'])
  for (const member of cluster.members) t.ok(member.dials > 0, 'every endpoint was tried')
  t.ok(cluster.dials <= 15, `${cluster.dials} tries in 2 s`)
  await cluster.time.until(client.close())
})

claim('an outcome that no member tells is unknown', async (t, cluster) => {
  const client = cluster.client({ timeout: '3s' })
  await client.ready()
  for (const member of cluster.members) member.mute()
  const lost = await cluster.time.until(failure(client.acquire('n')))
  t.same([lost.code, lost.executed], ['UNREACHABLE', 'unknown'])
  await cluster.time.until(client.close())
})

claim('an endpoint that failed lately is tried last', async (t, cluster) => {
  const client = cluster.client()
  await client.ready()
  const [a, b, c] = [cluster.used, ...cluster.unused] as [FakeMember, FakeMember, FakeMember]
  a.kill()
  await cluster.time.until(client.acquire('1'))
  a.listening = true
  const second = cluster.used
  const third = second === b ? c : b
  second.kill()
  await cluster.time.until(client.acquire('2'))
  t.equal(cluster.used, third)
  await cluster.time.advance(2_000)
  second.listening = true
  third.kill()
  await cluster.time.until(client.acquire('3'))
  t.equal(cluster.used, a, 'the one whose failure is the longest ago')
  await cluster.time.until(client.close())
})

claim('a connection that breaks again and again is not hammered', async (t, cluster) => {
  const client = cluster.client({ timeout: '10s' })
  for (const member of cluster.members)
    member.answer = (request) => {
      cluster.time.soon(() => request.connection.close())
      return request.op === OP.time ? cluster.state.execute(request) : null
    }
  const lost = await cluster.time.until(failure(client.acquire('n')))
  t.equal(lost.executed, 'unknown')
  t.ok(cluster.dials <= 40, `${cluster.dials} connections in 10 s`)
  await cluster.time.until(client.close())
})

claim('a greeting that does not come is given up after a second, and another member greets', async (t, cluster) => {
  const probe = cluster.client()
  await cluster.time.until(probe.ready())
  const first = cluster.used
  await cluster.time.until(probe.close())
  for (const silent of cluster.members) if (silent === first) silent.greet = () => {}
  const startMs = cluster.time.nowMs
  await cluster.time.until(Promise.all(Array.from({ length: 8 }, () => cluster.client().ready())))
  t.ok(cluster.time.nowMs - startMs <= 1_100)
})

claim('a member that turns sessions away for now is passed over', async (t, cluster) => {
  for (const full of cluster.members.slice(1)) full.greet = (connection) => connection.refuse('LIMIT_REACHED')
  const client = cluster.client()
  await cluster.time.until(client.acquire('n'))
  t.equal(cluster.used, cluster.members[0])
  t.ok(cluster.time.nowMs <= 200)
  await cluster.time.until(client.close())
})
