/** A member whose directory comes back older than what it acknowledged is told so by its leader, and takes no part any more. */
import { OK } from '@leasehold/protocol'
import t from 'tap'
import { Cluster, type Member } from './cluster.js'
import { acquire, agree } from './commands.js'

/** A follower whose directory was copied before the cluster went on, and which is down. */
async function copied() {
  const cluster = await Cluster.of(3)
  const { leader } = cluster
  const [one, other] = cluster.followers as [Member, Member]
  t.equal((await leader.call(acquire('before'))).code, OK)
  await cluster.run(100)
  const copy = one.disk.copy({ unsynced: 'kept' })
  t.equal((await leader.call(acquire('after'))).code, OK)
  await cluster.run(300)
  await one.kill()
  return { cluster, leader, one, other, copy }
}

/** Runs until a member ends by itself; resolves to the error. */
async function ending(cluster: Cluster): Promise<Error> {
  for (let ms = 0; ms < 10_000 && cluster.fatals.length === 0; ms += 10) await cluster.run(10).catch(() => {})
  return cluster.fatals.splice(0)[0]!
}

t.test(
  'a copy of a directory is put back: the member ends, says what to do, and refuses at every later start',
  async (t) => {
    const { cluster, leader, one, copy } = await copied()
    const term = leader.replica.status.term
    one.disk = copy
    await one.start()
    const refusal = await ending(cluster)
    t.match(refusal, {
      code: 'BEHIND',
      message: /came back older.*leader "n\d@d-n\d".*Remove this member.*empty directory/s,
    })
    t.not(one.replica.status.role, 'leader')
    const seen = leader.replica.status.peers.find(({ peer }) => peer === one.peer)
    t.match(seen, { match: 0, active: false }, 'its leader counts it no more')
    await one.kill()
    for (const _ of [1, 2]) await t.rejects(one.start(), { code: 'BEHIND', message: refusal.message })
    t.equal((await leader.call(acquire('later'))).code, OK, 'the others go on')
    t.equal(leader.replica.status.term, term, 'under the same leader')
    await cluster.close()
  },
)

t.test('what it acknowledged before counts no more: with it and the leader alone nothing is committed', async (t) => {
  const { cluster, leader, one, other, copy } = await copied()
  await other.kill()
  one.disk = copy
  await one.start()
  const asked = leader.ask(acquire('alone'))
  const refusal = await ending(cluster)
  t.match(refusal, { code: 'BEHIND' })
  t.equal(leader.replica.getLease('alone'), null, 'not granted')
  await one.kill()
  await other.start()
  t.equal((await cluster.until(asked.last)).code, OK, 'as soon as another one is there')
  await cluster.close()
})

t.test('a directory that lost nothing is never accused, however often its member is killed and cut off', async (t) => {
  const cluster = await Cluster.of(3)
  for (let round = 0; round < 12; round++) {
    const member = cluster.followers[round % 2]!
    const asked = cluster.leader.ask(acquire(`round/${round}`))
    await cluster.run(round % 5)
    if (round % 3 === 0) for (const one of cluster.members) cluster.network.cut(member.peer, one.peer)
    else await member.kill()
    await cluster.run(50)
    cluster.network.heal()
    if (!member.up) await member.start()
    await cluster.until(asked.last)
  }
  await cluster.settled()
  await agree(t, cluster)
  await cluster.close()
})
