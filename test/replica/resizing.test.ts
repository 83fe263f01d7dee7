/**
 * A cluster grows from one member to three and to five, and shrinks back to one, under load: learners first, one member at a time, the
 * leader itself removed as well, members killed in the midst of a change. What is held: nothing that was acknowledged is lost, tokens
 * only grow, and service goes on at every step.
 */
import { ERRORS, memberOf } from '@leasehold/protocol'
import t, { type Test } from 'tap'
import { judgeChaos } from '../chaos/judge.js'
import { Cluster, type Member } from './cluster.js'
import { acquire, agree } from './commands.js'
import { change, ResizedClients } from './resizing.js'

/** The log is kept for so few entries that most who join need a snapshot. */
const SHORT = { tailEntries: 64 }
/** Half of the shortest election timeout: a change that nobody dies in costs less than the loss of a leader does. */
const GAP_MS_MAX = 150

const voters = (cluster: Cluster) => cluster.leader.replica.configuration!.voters.map(memberOf).sort().join()
const adding = (id: string) => ({ kind: 'add', peer: `${id}@d-${id}`, address: `${id}:1` }) as const

/** Starts a member and makes it a learner, then a voter. */
async function add(cluster: Cluster, id: string): Promise<void> {
  await change(cluster, adding(id))
  await cluster.join(id, SHORT)
  await change(cluster, { kind: 'promote', member: id })
}

/** Takes a member out, and ends its process a moment later, when it knows. */
async function remove(t: Test, cluster: Cluster, member: Member): Promise<void> {
  await change(cluster, { kind: 'remove', member: member.id })
  await cluster.run(40)
  const { code, fields } = await cluster.until(member.ask(acquire('late')).last, 5)
  t.equal(code, ERRORS.NO_QUORUM.wire)
  t.match(fields.join(), /was removed from its cluster/, `${member.id} knows, and lets its clients go at once`)
  await stop(cluster, member)
}

async function stop(cluster: Cluster, member: Member): Promise<void> {
  member.up = false
  await cluster.until(member.replica.close())
  member.clock.dead = true
}

/** Every member acknowledges changes again, within a second. */
async function goesOn(t: Test, cluster: Cluster, clients: ResizedClients, when: string): Promise<void> {
  await cluster.settled(3_000)
  clients.served.clear()
  const all = () => cluster.living.every((member) => (clients.served.get(member) ?? 0) >= 3)
  for (let ms = 0; ms < 1_000 && !all(); ms += 20) await cluster.run(20)
  t.ok(all(), `${when}: every member serves`)
}

/** All of what clients were told, against the audits of all members. */
async function judged(t: Test, cluster: Cluster, clients: ResizedClients): Promise<void> {
  await clients.stop()
  const events = await agree(t, cluster)
  const { asked } = clients.recorder
  const audits = new Map([['all', events]])
  const { found, operations } = judgeChaos({ asked, looks: clients.looks }, audits, () => performance.now())
  t.same(found, [])
  t.ok(operations > 500, `${operations} operations`)
}

/** The one that is left has it all on its disk. */
async function startsAgain(t: Test, cluster: Cluster): Promise<void> {
  const [last] = cluster.living
  const { leases } = last!.replica.status
  await last!.kill()
  await last!.start(SHORT)
  await cluster.settled()
  t.equal(last!.replica.status.leases, leases, 'and it is there after a start')
}

for (const seed of [1, 2, 3, 4]) {
  t.test(`one, three, five, three, one, and service never pauses (seed ${seed})`, async (t) => {
    const cluster = await Cluster.of(1, seed, SHORT)
    const clients = new ResizedClients(cluster)
    await goesOn(t, cluster, clients, 'alone')
    for (const id of ['n2', 'n3', 'n4', 'n5']) {
      await add(cluster, id)
      await goesOn(t, cluster, clients, `with ${id}`)
    }
    t.equal(voters(cluster), 'n1,n2,n3,n4,n5')
    for (let left = 4; left >= 1; left--) {
      const { leader, followers } = cluster
      // By turns the leader and another one; of the last two, the one that leads.
      const goes = left % 2 === 0 || left === 1 ? leader : followers[seed % followers.length]!
      await remove(t, cluster, goes)
      await goesOn(t, cluster, clients, `without ${goes.id}`)
      t.equal(voters(cluster).split(',').length, left)
    }
    t.not(voters(cluster), 'n1', 'nobody is left of those who began')
    t.ok(clients.gapMs < GAP_MS_MAX, `${clients.gapMs} ms without an acknowledgement`)
    await judged(t, cluster, clients)
    await startsAgain(t, cluster)
    await cluster.close()
  })
}

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  t.test(`members are killed in the midst of changes (seed ${seed})`, async (t) => {
    const cluster = await Cluster.of(1, seed, SHORT)
    const clients = new ResizedClients(cluster)
    /** Another moment in each world: before the first step is written down, between the two steps, after them. */
    const moment = () => cluster.run(0.4 * seed)
    await add(cluster, 'n2')
    await change(cluster, adding('n3'))
    const learner = await cluster.join('n3', SHORT)
    await moment()
    await learner.kill()
    await goesOn(t, cluster, clients, 'while the learner is gone')
    await learner.start(SHORT)
    await change(cluster, { kind: 'promote', member: 'n3' })
    await goesOn(t, cluster, clients, 'with n3')

    await change(cluster, adding('n4'))
    await cluster.join('n4', SHORT)
    const { leader } = cluster
    const promoted = change(cluster, { kind: 'promote', member: 'n4' })
    await moment()
    await leader.kill()
    await promoted
    await goesOn(t, cluster, clients, 'without the leader that began the change')
    t.equal(voters(cluster), 'n1,n2,n3,n4')
    await leader.start(SHORT)
    await add(cluster, 'n5')
    await goesOn(t, cluster, clients, 'with n5')

    const [bystander, gone] = cluster.followers as [Member, Member]
    const removed = change(cluster, { kind: 'remove', member: gone.id })
    await moment()
    await bystander.kill()
    await removed
    await cluster.run(50)
    await stop(cluster, gone)
    await goesOn(t, cluster, clients, 'without a follower, and one that was killed meanwhile')
    await bystander.start(SHORT)

    await cluster.settled()
    const last = cluster.leader
    const leaves = change(cluster, { kind: 'remove', member: last.id })
    await moment()
    await last.kill()
    await leaves
    await goesOn(t, cluster, clients, 'without the leader, killed while it was removed')
    t.same(voters(cluster).split(','), cluster.living.map(({ id }) => id).sort())
    t.equal(cluster.living.length, 3)
    for (let left = 2; left >= 1; left--) {
      await remove(t, cluster, cluster.leader)
      await goesOn(t, cluster, clients, `${left} left`)
    }
    await judged(t, cluster, clients)
    await startsAgain(t, cluster)
    await cluster.close()
  })
}

t.test('who joins gets a long log from a leader that the first configurations do not name', async (t) => {
  const cluster = await Cluster.of(1)
  const clients = new ResizedClients(cluster)
  await cluster.run(900)
  for (const id of ['n2', 'n3']) {
    await change(cluster, adding(id))
    await cluster.join(id)
    await change(cluster, { kind: 'promote', member: id })
    await cluster.run(900)
  }
  const [founder] = cluster.members
  await remove(t, cluster, founder!)
  await goesOn(t, cluster, clients, 'without the founder')
  await change(cluster, adding('n4'))
  await cluster.join('n4')
  await goesOn(t, cluster, clients, 'with a learner that had to get it all')
  await change(cluster, { kind: 'promote', member: 'n4' })
  t.equal(voters(cluster), 'n2,n3,n4')
  await judged(t, cluster, clients)
  await cluster.close()
})
