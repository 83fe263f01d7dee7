/** Three members act as one: whoever is asked, whoever dies. */
import { ERRORS, OFFERED, OK, QUEUED, type Reply } from '@leasehold/protocol'
import { CHANNEL } from '@leasehold/server/ports'
import { decodeForward, FORWARD, REPLICA_LIMITS } from '@leasehold/server/replica'
import t from 'tap'
import { Cluster, type Member } from './cluster.js'
import { acquire, agree, release, renew, request, tokenOf } from './commands.js'

t.test('a command at any member is executed, and seen at every other', async (t) => {
  const cluster = await Cluster.of(3)
  for (const member of cluster.members) {
    const reply = await member.call(acquire(`of/${member.id}`))
    t.equal(reply.code, OK, member.id)
  }
  for (const member of cluster.members) {
    await cluster.until(member.replica.readBarrier())
    t.equal(member.replica.status.leases, 3)
    t.match(member.replica.status, { leader: cluster.leader.id, term: cluster.leader.replica.status.term })
  }
  await agree(t, cluster)
  await cluster.close()
})

t.test('an acquire through a follower takes two round trips and a sync, no tick', async (t) => {
  const cluster = await Cluster.of(3)
  for (const member of [cluster.leader, ...cluster.followers]) {
    const beganMs = cluster.clock.monotonicMs()
    const { last } = member.ask(acquire(`of/${member.id}`))
    let ms = 0
    last.then(() => (ms = cluster.clock.monotonicMs() - beganMs))
    await cluster.run(60)
    t.ok(ms > 0 && ms <= 3, `${ms} ms`)
  }
  await cluster.close()
})

t.test('the leader is killed under load: everything is answered, and executed exactly once', async (t) => {
  for (let seed = 1; seed <= 12; seed++) {
    const cluster = await Cluster.of(3, seed)
    const survivors = cluster.followers
    const victim = cluster.leader
    const asked: { name: string; last: Promise<Reply> }[] = []
    for (let i = 0; i < 240; i++) {
      const member = survivors[i % 2]!
      const name = `n/${i}`
      asked.push({ name, last: member.ask(acquire(name, `h${i}`)).last })
      if (i % 8 === 7) await cluster.run(0.3)
      if (i === 80 + seed * 7) await victim.kill()
    }
    const killedMs = cluster.clock.monotonicMs()
    const replies = await cluster.until(Promise.all(asked.map(({ last }) => last)))
    t.ok(cluster.clock.monotonicMs() - killedMs < 1_000, 'service is back within a second')
    const granted = new Set(asked.filter((_, i) => replies[i]!.code === OK).map(({ name }) => name))
    const refused = replies.filter(({ code }) => code !== OK)
    t.ok(refused.every(({ code }) => code === ERRORS.NO_QUORUM.wire || code === ERRORS.OVERLOADED.wire))
    await victim.start()
    await cluster.settled()
    const events = (await agree(t, cluster)).filter(({ type }) => type === 'granted')
    t.equal(events.length, granted.size, `seed ${seed}: each grant once, ${refused.length} refused`)
    t.same(new Set(events.map(({ name }) => name)), granted)
    await cluster.close()
  }
})

t.test('links that break lose no command and execute none twice', async (t) => {
  for (let seed = 1; seed <= 12; seed++) {
    const cluster = await Cluster.of(3, seed)
    let sent = 0
    cluster.network.before = ({ channel, bytes }) => {
      if (channel !== CHANNEL.forward || decodeForward(bytes).kind !== FORWARD.batch) return true
      sent++
      return (sent * (seed + 7) * 2_654_435_761) % 97 > 20
    }
    const asked: Promise<Reply>[] = []
    for (let i = 0; i < 300; i++) {
      asked.push(cluster.members[i % 3]!.ask(acquire(`n/${i}`)).last)
      if (i % 5 === 0) await cluster.run(1)
    }
    const replies = await cluster.until(Promise.all(asked))
    t.ok(sent > 20, 'batches were lost')
    cluster.network.before = () => true
    t.equal(replies.filter(({ code }) => code === OK).length, 300)
    const events = (await agree(t, cluster)).filter(({ type }) => type === 'granted')
    t.equal(events.length, 300)
    await cluster.close()
  }
})

t.test('a leader that is cut off: nobody reads from it what is no longer so, and its clients are told', async (t) => {
  const cluster = await Cluster.of(3)
  const old = cluster.leader
  const token = tokenOf(await old.call(acquire('a')))
  for (const other of cluster.followers) cluster.network.cut(old.peer, other.peer, false)
  const stuck = old.ask(acquire('stuck', 'h2'))
  await cluster.run(1_500)
  const fresh = cluster.living.filter((member) => member !== old && member.replica.status.role === 'leader')[0]!
  t.ok(fresh, 'another one leads')
  t.equal((await fresh.call(release('a', token))).code, OK)
  t.ok(old.replica.getLease('a'), 'the old one does not know')
  await t.rejects(cluster.until(old.replica.readBarrier()), { code: 'NO_QUORUM' }, 'and does not pretend to')
  t.equal(old.replica.ready, false)
  t.equal((await old.call(acquire('b'))).code, ERRORS.NO_QUORUM.wire)
  cluster.network.heal()
  await cluster.settled()
  await cluster.until(old.replica.readBarrier())
  t.equal(old.replica.getLease('a'), null)
  t.equal((await cluster.until(stuck.last)).code, OK, 'what was in doubt is settled')
  const events = await agree(t, cluster)
  t.equal(events.filter(({ name, type }) => name === 'stuck' && type === 'granted').length, 1)
  await cluster.close()
})

t.test('cluster time never outruns real time, through any number of failovers, and never goes back', async (t) => {
  const cluster = await Cluster.of(3)
  await cluster.leader.call(acquire('a', 'h', { ttlMs: 600_000 }))
  const beganMs = cluster.clock.monotonicMs()
  const base = cluster.leader.replica.status.clusterMs
  let last = 0
  for (let round = 0; round < 8; round++) {
    await cluster.run(700)
    const { leader } = cluster
    if (round % 2 === 0) await leader.kill()
    else {
      leader.clock.asleep = true
      await cluster.run(900)
      leader.clock.wake()
    }
    await cluster.run(900)
    for (const member of cluster.living) {
      const timeMs = member.replica.status.clusterMs
      t.ok(timeMs - base <= cluster.clock.monotonicMs() - beganMs, 'no faster than real time')
    }
    const now = cluster.leader.replica.status.clusterMs
    t.ok(now >= last)
    last = now
    if (!leader.up) await leader.start()
    await cluster.settled()
  }
  t.ok(last - base > 5_000, `${last - base} ms of cluster time in ${cluster.clock.monotonicMs() - beganMs}`)
  await cluster.close()
})

t.test('a waiter at one member is granted through another, and a retry elsewhere takes its place over', async (t) => {
  const cluster = await Cluster.of(3)
  const [one, two] = cluster.followers as [Member, Member]
  const token = tokenOf(await cluster.leader.call(acquire('a')))
  const wait = { waitMs: 60_000, request: request(1) }
  const first = one.ask(acquire('a', 'w', wait))
  t.equal((await cluster.until(first.first)).code, QUEUED)
  const second = two.ask(acquire('a', 'w', wait), 2)
  t.equal((await cluster.until(second.first)).code, QUEUED)
  one.replica.detach(one.inbox)
  await cluster.run(8_000)
  t.equal(cluster.leader.replica.status.waiters, 1, 'it is not lost with its old connection')
  t.equal((await cluster.leader.call(release('a', token))).code, OK)
  const offer = await cluster.until(second.last)
  t.equal(offer.code, OFFERED)
  t.equal((await two.call(renew('a', tokenOf(offer)))).code, OK)
  await cluster.close()
})

t.test('waiters of a member that was killed are kept a while, then forgotten once it is back', async (t) => {
  const cluster = await Cluster.of(3)
  const [one] = cluster.followers as [Member]
  await cluster.leader.call(acquire('a'))
  t.equal((await cluster.until(one.ask(acquire('a', 'w', { waitMs: 600_000 })).first)).code, QUEUED)
  await one.kill()
  await cluster.run(1_000)
  t.equal(cluster.leader.replica.status.waiters, 1)
  await one.start()
  await cluster.run(7_000)
  t.equal(cluster.leader.replica.status.waiters, 0)
  await cluster.close()
})

t.test('a leader whose disk hangs falls silent and loses its office; its batches go on elsewhere', async (t) => {
  const cluster = await Cluster.of(3)
  const old = cluster.leader
  old.disk.before = () => new Promise(() => {})
  const stuck = old.ask(acquire('stuck'))
  await cluster.run(2_500)
  const fresh = cluster.living.find((member) => member !== old && member.replica.status.role === 'leader')
  t.ok(fresh, 'another one leads')
  t.equal((await fresh!.call(acquire('b'))).code, OK)
  t.equal(old.replica.ready, false)
  await old.kill()
  old.disk.before = () => {}
  await old.start()
  await cluster.settled()
  void stuck
  await agree(t, cluster)
  await cluster.close()
})

t.test('a leader that shuts down hands over first: clients of the others notice next to nothing', async (t) => {
  const cluster = await Cluster.of(3)
  const old = cluster.leader
  const own = Array.from({ length: 100 }, (_, i) => old.ask(acquire(`own/${i}`)).last)
  const closing = old.replica.close()
  const others = cluster.followers.map((member) => member.ask(acquire(`of/${member.id}`)).last)
  const beganMs = cluster.clock.monotonicMs()
  for (const reply of await cluster.until(Promise.all([...own, ...others]))) t.equal(reply.code, OK)
  t.ok(cluster.clock.monotonicMs() - beganMs < 300)
  old.up = false
  await cluster.until(closing)
  t.ok(cluster.clock.monotonicMs() - beganMs < REPLICA_LIMITS.closeMsMax)
  t.not(cluster.leader, old)
  await cluster.close()
})

t.test(
  'without a quorum nothing is acknowledged, and nothing is said not to have been executed that may be',
  async (t) => {
    const cluster = await Cluster.of(3)
    const { leader } = cluster
    for (const member of cluster.followers) await member.kill()
    const doubtful = leader.ask(acquire('doubtful'))
    await cluster.run(3_000)
    t.equal(leader.inbox.replies.length, 0)
    t.equal((await leader.call(acquire('late'))).code, ERRORS.NO_QUORUM.wire)
    for (const member of cluster.members) if (!member.up) await member.start()
    await cluster.settled()
    t.equal((await cluster.until(doubtful.last)).code, OK)
    await cluster.close()
  },
)

t.test('a member that is removed says so, and calls nothing that it sent unexecuted', async (t) => {
  const cluster = await Cluster.of(3)
  const [gone] = cluster.followers as [Member]
  const { leader } = cluster
  const change = leader.replica.changeMembers({ kind: 'remove', member: gone.id })
  const last = gone.ask(acquire('last')).last
  await cluster.until(change)
  const reply = await cluster.until(last)
  t.ok([OK, ERRORS.OUTCOME_UNKNOWN.wire, ERRORS.NO_QUORUM.wire].includes(reply.code), `${reply.code}`)
  await cluster.run(3_000)
  const executed = leader.replica.getLease('last') !== null
  if (executed) t.not(reply.code, ERRORS.NO_QUORUM.wire)
  t.equal(gone.replica.ready, false)
  t.equal((await gone.call(acquire('later'))).code, ERRORS.NO_QUORUM.wire)
  t.equal((await leader.call(acquire('later'))).code, OK)
  await cluster.close()
})

t.test('what a client is told stands on the disks of a majority, and on no promise of one', async (t) => {
  const cluster = await Cluster.of(3)
  const [slow, dead] = cluster.followers as [Member, Member]
  await dead.kill()
  let release = () => {}
  slow.disk.before = ({ kind }) => (kind === 'commit' ? new Promise<void>((resolve) => (release = resolve)) : undefined)
  const asked = cluster.leader.ask(acquire('a'))
  await cluster.run(200)
  t.equal(cluster.leader.inbox.replies.length, 0, 'its own disk and a promise are no majority')
  slow.disk.before = () => {}
  release()
  t.equal((await cluster.until(asked.last)).code, OK)
  await cluster.close()
})

t.test('cluster time stands still while nobody leads, and goes on from the end of the log', async (t) => {
  const cluster = await Cluster.of(3)
  await cluster.leader.call(acquire('a'))
  await cluster.run(2_000)
  for (const member of cluster.members) await member.kill()
  const before = cluster.clock.monotonicMs()
  await cluster.run(60_000)
  for (const member of cluster.members) await member.start()
  await cluster.settled()
  t.ok(cluster.clock.monotonicMs() - before > 60_000)
  await cluster.until(cluster.leader.replica.readBarrier())
  t.ok(cluster.leader.replica.status.clusterMs < 5_000, `${cluster.leader.replica.status.clusterMs} ms`)
  t.ok(cluster.leader.replica.getLease('a'))
  await cluster.close()
})
