/** A member that was away for longer than the log is kept takes a snapshot over. */
import { ERRORS, logIndex, OK } from '@leasehold/protocol'
import { CHANNEL, silent } from '@leasehold/server/ports'
import { REPLICA_LIMITS, Resigning, type ResigningHooks } from '@leasehold/server/replica'
import t, { type Test } from 'tap'
import { VirtualClock } from '../support/virtualclock.js'
import { Cluster, type Member } from './cluster.js'
import { acquire, agree, release, tokenOf } from './commands.js'

/** The kind of a bulk message that says that a snapshot was given up. */
const REFUSED = 3

/** Writes down and forgets the log until it no longer reaches back to where this member stands. */
async function outrun(cluster: Cluster, behind: Member): Promise<void> {
  const { leader } = cluster
  const stood = behind.replica.status.appliedIndex
  for (let i = 0; i < 60; i++) {
    const token = tokenOf(await leader.call(acquire(`busy/${i}`)))
    if (i % 2 === 0) await leader.call(release(`busy/${i}`, token))
    await cluster.run(10)
  }
  await cluster.run(400)
  await leader.call(acquire('last'))
  await cluster.run(400)
  for await (const _ of leader.store.entries(logIndex(stood + 1), logIndex(stood + 1))) throw new Error('still there')
}

/** Three members, one of them cut off for longer than the log is kept. */
async function oneBehind(t: Test) {
  const cluster = await Cluster.of(3, 1, { tailEntries: 8 })
  const [behind, other] = cluster.followers as [Member, Member]
  const { leader } = cluster
  for (const one of [leader, other]) cluster.network.cut(behind.peer, one.peer)
  await t.rejects(outrun(cluster, behind), /not within/)
  return { cluster, leader, behind, other }
}

for (const stopped of ['killed', 'cut off']) {
  t.test(
    `a member that was ${stopped} for longer than the log is kept takes a snapshot over, and serves on`,
    async (t) => {
      const cluster = await Cluster.of(3, 1, { tailEntries: 8 })
      const [behind, other] = cluster.followers as [Member, Member]
      const { leader } = cluster
      const waiting = behind.ask(acquire('a', 'w0'))
      await cluster.until(waiting.last)
      const waiter = behind.ask(acquire('a', 'w1', { waitMs: 60_000 }))
      await cluster.until(waiter.first)
      if (stopped === 'killed') await behind.kill()
      else for (const one of [leader, other]) cluster.network.cut(behind.peer, one.peer)
      await t.rejects(outrun(cluster, behind), /not within/)
      if (stopped === 'killed') await behind.start({ tailEntries: 8 })
      else cluster.network.heal()
      // The leader is never idle meanwhile: a flush is nearly always under way when one is asked for.
      for (let i = 0; i < 200; i++) {
        leader.ask(acquire(`load/${i}`))
        await cluster.run(0.4)
      }
      await cluster.settled()
      const events = await agree(t, cluster)
      t.ok(events.length > 60)
      t.equal(behind.replica.status.leases, leader.replica.status.leases)
      t.ok(behind.replica.status.appliedIndex > 60)
      if (stopped === 'cut off') t.equal((await cluster.until(waiter.last)).code, ERRORS.OUTCOME_UNKNOWN.wire)
      t.equal((await behind.call(acquire('after'))).code, OK)
      await behind.kill()
      await behind.start()
      await cluster.settled()
      await agree(t, cluster)
      await leader.kill()
      await cluster.settled()
      t.equal((await behind.call(acquire('later'))).code, OK, 'and after the loss of the leader')
      await cluster.close()
    },
  )
}

t.test('a batch that was executed while its member was away is not called unexecuted', async (t) => {
  const cluster = await Cluster.of(3, 1, { tailEntries: 8 })
  const [behind, other] = cluster.followers as [Member, Member]
  const { leader } = cluster
  const asked = behind.ask(acquire('mine'))
  await cluster.run(0.6)
  for (const one of [leader, other]) cluster.network.cut(behind.peer, one.peer)
  await cluster.run(50)
  t.equal(leader.replica.getLease('mine')?.[1], 'h', 'it arrived')
  t.equal(behind.inbox.replies.length, 0, 'and was not seen here')
  await t.rejects(outrun(cluster, behind), /not within/)
  cluster.network.heal()
  t.equal((await cluster.until(asked.last)).code, ERRORS.OUTCOME_UNKNOWN.wire)
  await agree(t, cluster)
  await cluster.close()
})

/** A row that every snapshot reads, of the first segment of the audit, is damaged under a member that runs. */
function damage(member: Member): void {
  const [key, value] = member.disk.rows().find(([row]) => row[1] === 'a'.charCodeAt(0))!
  const flipped = Uint8Array.from(value)
  flipped[flipped.length - 1]! ^= 4
  member.disk.damageRow(key, flipped)
}

t.test('a leader whose own data is damaged hands its office to a member that can serve, and ends', async (t) => {
  const { cluster, leader, behind, other } = await oneBehind(t)
  damage(leader)
  cluster.network.heal()
  await t.rejects(cluster.run(2_000), { code: 'DAMAGED' }, 'the process ends, and says why')
  t.equal(other.replica.status.role, 'leader', 'somebody else led by then')
  cluster.fatals.splice(0)
  await leader.kill()
  await cluster.settled()
  t.ok(behind.replica.status.appliedIndex > 60, 'the member that was behind is served by the new leader')
  t.equal((await behind.call(acquire('after'))).code, OK)
  // What is damaged stops no start of its own: its history is whole elsewhere.
  await leader.start({ tailEntries: 8 })
  await cluster.settled()
  t.equal((await leader.call(acquire('later'))).code, OK)
  await cluster.close()
})

t.test('a leader whose own data is damaged ends also where nobody can take over', async (t) => {
  const { cluster, leader, behind, other } = await oneBehind(t)
  await other.kill()
  damage(leader)
  cluster.network.heal()
  await t.rejects(cluster.run(2_000), { code: 'DAMAGED' })
  cluster.fatals.splice(0)
  await leader.kill()
  await other.start({ tailEntries: 8 })
  await cluster.settled()
  t.ok(behind.replica.status.appliedIndex > 60)
  t.equal((await behind.call(acquire('after'))).code, OK)
  await cluster.close()
})

t.test('a refusal that is lost on its way keeps no member behind', async (t) => {
  const { cluster, behind } = await oneBehind(t)
  let refused = 0
  cluster.network.swallow = ({ from, channel, bytes }) => {
    const lost = from === behind.peer && channel === CHANNEL.bulk && bytes[0] === REFUSED && refused === 0
    if (lost) refused++
    return lost
  }
  // The copy does not verify there, once.
  const { receiveSnapshot } = behind.store
  behind.store.receiveSnapshot = () => {
    behind.store.receiveSnapshot = receiveSnapshot
    const incoming = receiveSnapshot.call(behind.store)
    incoming.install = () => Promise.reject(new Error('it does not verify'))
    return incoming
  }
  cluster.network.heal()
  await cluster.run(REPLICA_LIMITS.snapshotInstallMsMax + 5_000)
  t.equal(refused, 1)
  t.ok(behind.replica.status.appliedIndex > 60)
  await agree(t, cluster)
  await cluster.close()
})

type Status = NonNullable<ReturnType<ResigningHooks['status']>>

/** A leader (of n1@a) in such a configuration, under a clock that the test moves. `up`: who answers, and has everything or not. */
function office(
  clock: VirtualClock,
  voters: string[],
  outgoing: string[],
  up: Record<string, 'replicate' | 'snapshot'>,
) {
  const said: string[] = []
  const configuration = { voters, outgoing, learners: ['n9@d'], addresses: {} }
  const progress = Object.entries(up).map(([peer, state]) => ({ peer, state, active: true }))
  const status = { id: 'n1@a', role: 'leader', leader: 'n1@a' as string | null, configuration, progress }
  const resigning = new Resigning(
    { clock, telemetry: silent },
    {
      status: () => status as unknown as Status,
      handOver: () => said.push('hand over'),
      fatal: ({ message }) => said.push(message),
    },
  )
  return { said, resigning, status }
}

t.test('who finds its own data damaged hands over, waits for who takes over, and ends', async (t) => {
  const clock = new VirtualClock()
  for (const [voters, outgoing, up] of [
    [['n1@a', 'n2@b', 'n3@c'], [], { 'n2@b': 'replicate', 'n3@c': 'snapshot' }],
    [['n1@a', 'n2@b', 'n3@c'], [], { 'n3@c': 'snapshot' }],
    [['n1@a', 'n2@b'], [], {}],
    [['n2@b', 'n3@c'], ['n1@a', 'n2@b', 'n3@c'], { 'n2@b': 'replicate', 'n3@c': 'replicate' }],
    [['n1@a', 'n2@b'], ['n1@a'], {}],
  ] as const) {
    const one = office(clock, [...voters], [...outgoing], up)
    t.equal(one.resigning.broken(new Error('damaged')), true)
    t.equal(one.resigning.broken(new Error('again')), true)
    await clock.run(REPLICA_LIMITS.handoverMsMax - 1)
    one.resigning.tick()
    t.same(one.said, ['hand over', 'hand over'], 'it tries for a while')
    await clock.run(1)
    one.resigning.tick()
    t.equal(one.said.at(-1), 'damaged')
  }
  const deposed = office(clock, ['n1@a', 'n2@b', 'n3@c'], [], {})
  deposed.resigning.broken(new Error('damaged'))
  Object.assign(deposed.status, { role: 'follower', leader: null })
  deposed.resigning.tick()
  t.notMatch(deposed.said, ['damaged'], 'its vote may be needed')
  deposed.status.leader = 'n2@b'
  deposed.resigning.tick()
  t.equal(deposed.said.at(-1), 'damaged')
})

t.test('who finds its own data damaged goes on where service needs it', async (t) => {
  const clock = new VirtualClock()
  for (const [voters, outgoing, up] of [
    [['n1@a'], [], { 'n9@d': 'snapshot' }],
    [['n1@a', 'n2@b'], [], { 'n2@b': 'replicate', 'n9@d': 'snapshot' }],
    [['n1@a', 'n2@b', 'n3@c'], [], { 'n2@b': 'replicate', 'n9@d': 'snapshot' }],
    [['n2@b', 'n3@c'], ['n1@a'], { 'n2@b': 'replicate', 'n3@c': 'replicate', 'n9@d': 'snapshot' }],
  ] as const) {
    const one = office(clock, [...voters], [...outgoing], up)
    t.equal(one.resigning.broken(new Error('damaged')), false)
    t.same(one.said, ['hand over'], 'somebody else may serve who cannot be served here')
    await clock.run(REPLICA_LIMITS.handoverMsMax)
    for (let i = 0; i < 3; i++) one.resigning.tick()
    t.same(one.said, ['hand over'])
    t.equal(one.resigning.broken(new Error('damaged')), false)
    t.same(one.said, ['hand over', 'hand over'], 'and so at each try')
  }
})

t.test('a leader whose reads hang is no better than one whose data is damaged; one that was paused is', async (t) => {
  const { cluster, leader, behind, other } = await oneBehind(t)
  leader.disk.beforeRead = () => new Promise<void>(() => {})
  cluster.network.heal()
  await cluster.run(REPLICA_LIMITS.snapshotStallMsMax - 200)
  leader.clock.asleep = true
  await cluster.run(250)
  leader.clock.wake()
  await cluster.run(40)
  t.equal(cluster.leader, leader, 'the pause is no part of the 30 s')
  await t.rejects(cluster.run(3_000), /a read hangs for 30 s/)
  t.equal(other.replica.status.role, 'leader')
  cluster.fatals.splice(0)
  await leader.kill()
  await cluster.settled()
  t.ok(behind.replica.status.appliedIndex > 60)
  await cluster.close()
})

t.test('what a member has already, and could not acknowledge, is not offered to it for ever', async (t) => {
  const cluster = await Cluster.of(3, 1, { tailEntries: 8 })
  const [behind, other] = cluster.followers as [Member, Member]
  const { leader } = cluster
  await cluster.run(1_000)
  const stood = leader.replica.status.lastIndex
  // Its disk hangs while it is sent everything, and its link breaks before it can say that all of it is there.
  let go = () => {}
  behind.disk.before = () => new Promise<void>((resolve) => (go = resolve))
  for (let i = 0; i < 20; i++) {
    const token = tokenOf(await leader.call(acquire(`busy/${i}`)))
    await leader.call(release(`busy/${i}`, token))
  }
  const token = tokenOf(await leader.call(acquire('last')))
  const before = leader.replica.status.lastIndex
  leader.ask(release('last', token))
  while (leader.replica.status.lastIndex === before) await cluster.run(0.1)
  // The news that it is committed is lost.
  cluster.network.swallow = ({ from, to }) => from === leader.peer && to === behind.peer
  await cluster.run(200)
  for (const one of [leader, other]) cluster.network.cut(behind.peer, one.peer)
  cluster.network.swallow = () => false
  behind.disk.before = () => {}
  go()
  await cluster.run(100)
  const last = leader.replica.status.lastIndex
  t.equal(behind.replica.status.lastIndex, last, 'it has everything')
  t.ok(behind.replica.status.appliedIndex < last, 'and does not know that it stands')
  await t.rejects(async () => {
    for await (const _ of leader.store.entries(logIndex(stood + 1), logIndex(stood + 1)));
  }, 'the leader has forgotten some of it')
  cluster.network.heal()
  await cluster.run(3_000)
  t.equal(leader.replica.status.lastIndex, last, 'nothing comes after it that would help')
  t.equal(behind.replica.status.appliedIndex, last)
  await cluster.close()
})
