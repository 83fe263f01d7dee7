/** Disks that are nearly full: what grows is refused wherever it comes in, the rest goes on, and leadership goes only to where there is room. */
import { type ClientCommand, ERRORS, OK, type Reply } from '@leasehold/protocol'
import { CHANNEL } from '@leasehold/server/ports'
import { MESSAGE } from '@leasehold/server/raft'
import { decodeForward, decodeMessage, FORWARD, REPLICA_LIMITS } from '@leasehold/server/replica'
import t, { type Test } from 'tap'
import { Cluster, type Member } from './cluster.js'
import { acquire, agree, release, renew, request, tokenOf } from './commands.js'
import type { Sent } from './network.js'

const { gaugeMs, handoverAgainMs } = REPLICA_LIMITS
/** The mark of these members is 1 MB, and 2 MB are enough again. */
const LOW_BYTES = 500_000
/** Until everybody has looked, and everybody was told. */
const TOLD_MS = 2 * gaugeMs + 100

async function fill(member: Member, freeBytes = LOW_BYTES): Promise<void> {
  member.disk.capacityBytes = Number.MAX_SAFE_INTEGER
  member.disk.capacityBytes -= (await member.store.freeBytes()) - freeBytes
}

function makeRoom(...members: readonly Member[]): void {
  for (const { disk } of members) disk.capacityBytes = Number.POSITIVE_INFINITY
}

const isHandover = ({ channel, bytes }: Sent): boolean =>
  channel === CHANNEL.raft && decodeMessage(bytes).kind === MESSAGE.timeoutNow
const isStanding = ({ channel, bytes }: Sent): boolean =>
  channel === CHANNEL.forward && decodeForward(bytes).kind === FORWARD.standing

/** From now on nobody is told how the others' disks are, and nobody hands over. */
function untold(cluster: Cluster): void {
  cluster.network.swallow = (sent) => isStanding(sent) || isHandover(sent)
}

function refused(t: Test, reply: Reply, message: string): void {
  t.equal(reply.code, ERRORS.OVERLOADED.wire, message)
  t.match(reply.fields[0], /nearly full.*nothing was executed/)
}

t.test('all disks are low: leadership settles, what grows is refused everywhere, the rest goes on', async (t) => {
  const cluster = await Cluster.of(3)
  const token = tokenOf(await cluster.leader.call(acquire('kept')))
  for (const member of cluster.members) await fill(member)
  await cluster.run(3 * TOLD_MS)
  const { leader } = cluster
  const { term } = leader.replica.status
  await cluster.run(3 * handoverAgainMs)
  t.equal(cluster.leader.id, leader.id)
  t.equal(leader.replica.status.term, term, 'nobody hands over to who has no room either')
  for (const member of cluster.members) {
    t.equal(member.replica.ready, false)
    refused(t, await member.call(acquire(`of/${member.id}`)), member.id)
    refused(t, await member.call(acquire('kept', 'other', { waitMs: 1_000 })), 'nor is there room to wait')
    t.equal((await member.call(renew('kept', token))).code, OK)
    await cluster.until(member.replica.readBarrier())
    t.same([member.replica.status.leases, member.replica.status.waiters], [1, 0])
  }
  t.equal((await cluster.followers[0]!.call(release('kept', token))).code, OK)
  makeRoom(...cluster.members)
  await cluster.run(TOLD_MS)
  for (const member of cluster.members) t.equal((await member.call(acquire(`of/${member.id}`))).code, OK)
  t.equal(leader.replica.status.term, term)
  await agree(t, cluster)
  await cluster.close()
})

t.test('disks that fill up one by one: leadership goes to the last one, and to who first has room again', async (t) => {
  const cluster = await Cluster.of(3)
  const { term } = cluster.leader.replica.status
  const first = cluster.leader
  await fill(first)
  await cluster.run(TOLD_MS)
  const second = cluster.leader
  t.not(second, first)
  t.equal(first.replica.ready, false)
  for (const member of cluster.members) {
    t.equal((await member.call(acquire(`one/${member.id}`))).code, OK, 'one low disk among three is not in the way')
  }
  await fill(second)
  await cluster.run(TOLD_MS)
  const third = cluster.leader
  t.notOk([first, second].includes(third))
  for (const member of cluster.members) refused(t, await member.call(acquire('two')), 'two are: they are the majority')
  await fill(third)
  await cluster.run(handoverAgainMs)
  t.equal(cluster.leader.id, third.id)
  t.equal(third.replica.status.term, term + 2)
  makeRoom(first)
  await cluster.run(TOLD_MS)
  t.equal(cluster.leader.id, first.id)
  refused(t, await first.call(acquire('three')), 'a leader with room alone is no majority')
  makeRoom(second)
  await cluster.run(TOLD_MS)
  for (const member of cluster.members) t.equal((await member.call(acquire(`four/${member.id}`))).code, OK)
  t.equal(cluster.leader.id, first.id)
  t.equal(first.replica.status.term, term + 3)
  await cluster.close()
})

t.test('a member that is away has no room: what is left is protected', async (t) => {
  const cluster = await Cluster.of(3)
  const [low, away] = cluster.followers as [Member, Member]
  const { leader } = cluster
  await fill(low)
  await cluster.run(TOLD_MS)
  t.equal((await leader.call(acquire('a'))).code, OK)
  await away.kill()
  await cluster.run(TOLD_MS)
  for (const member of cluster.living) refused(t, await member.call(acquire('b')), member.id)
  await away.start()
  await cluster.run(TOLD_MS)
  for (const member of cluster.living) t.equal((await member.call(acquire(`b/${member.id}`))).code, OK)
  await cluster.close()
})

t.test(
  'what a follower has sent on before it knows: refused one by one, and what is with it is executed',
  async (t) => {
    const cluster = await Cluster.of(3)
    const { leader } = cluster
    const token = tokenOf(await leader.call(acquire('kept')))
    const gone = tokenOf(await leader.call(acquire('gone')))
    untold(cluster)
    await fill(leader)
    await cluster.run(TOLD_MS)
    t.equal(cluster.leader.id, leader.id)
    const [follower] = cluster.followers as [Member]
    const commands: ClientCommand[] = [
      ...[acquire('a'), renew('kept', token), acquire('b', 'h', { request: request(1) })],
      ...[release('gone', gone), acquire('kept', 'other', { waitMs: 1_000 }), renew('gone', gone)],
    ]
    const asked = commands.map((command) => follower.ask(command).last)
    const replies = await cluster.until(Promise.all(asked))
    for (const at of [0, 2, 4]) refused(t, replies[at]!, `${at}`)
    t.same(
      [1, 3, 5].map((at) => replies[at]!.code),
      [OK, OK, ERRORS.LEASE_LOST.wire],
    )
    t.equal(leader.replica.status.waiters, 0)
    makeRoom(leader)
    await cluster.run(TOLD_MS)
    const again = await follower.call(acquire('b', 'h', { request: request(1) }))
    t.equal(again.code, OK, 'the same request, once there is room')
    const granted = (await agree(t, cluster)).filter(({ type }) => type === 'granted').map(({ name }) => name)
    t.same(granted, ['kept', 'gone', 'b'])
    await cluster.close()
  },
)

t.test(
  'batches in doubt between leaders with room and without: each is executed once, as the answer says',
  async (t) => {
    for (let seed = 1; seed <= 12; seed++) {
      const cluster = await Cluster.of(3, seed)
      const tokens = await Promise.all(
        [0, 1, 2].map(async (n) => tokenOf(await cluster.until(cluster.leader.ask(acquire(`kept/${n}`)).last))),
      )
      untold(cluster)
      // Whoever leads next may be low, or not; nobody knows it of the other.
      for (const member of cluster.members) if (Number(member.id.slice(1)) % 2 === seed % 2) await fill(member)
      await cluster.run(TOLD_MS)
      const victim = cluster.leader
      const survivors = cluster.followers
      const asked: { name: string; last: Promise<Reply> }[] = []
      const renewed: Promise<Reply>[] = []
      for (let i = 0; i < 120; i++) {
        const member = survivors[i % 2]!
        asked.push({ name: `n/${i}`, last: member.ask(acquire(`n/${i}`)).last })
        if (i % 10 === 0) renewed.push(member.ask(renew(`kept/${i % 3}`, tokens[i % 3]!)).last)
        if (i % 4 === 3) await cluster.run(0.3)
        if (i === 30 + seed * 5) await victim.kill()
      }
      const replies = await cluster.until(Promise.all(asked.map(({ last }) => last)))
      const others = (await cluster.until(Promise.all(renewed))).map(({ code }) => code)
      t.ok(
        others.every((code) => code === OK || code === ERRORS.NO_QUORUM.wire),
        `renewals are not refused: ${others}`,
      )
      const told = new Set(asked.filter((_, i) => replies[i]!.code === OK).map(({ name }) => name))
      makeRoom(...cluster.members)
      cluster.network.swallow = () => false
      await victim.start()
      await cluster.settled()
      const events = (await agree(t, cluster)).filter(({ type, name }) => type === 'granted' && name.startsWith('n/'))
      t.equal(events.length, told.size, `seed ${seed}: ${told.size} granted`)
      t.same(new Set(events.map(({ name }) => name)), told)
      await cluster.close()
    }
  },
)

t.test('who cannot hand over does not try all the time', async (t) => {
  const cluster = await Cluster.of(3)
  const { leader } = cluster
  const token = tokenOf(await leader.call(acquire('kept')))
  let tries = 0
  cluster.network.swallow = (sent) => {
    if (!isHandover(sent)) return false
    tries++
    return true
  }
  await fill(leader)
  await cluster.run(handoverAgainMs + TOLD_MS)
  t.equal(tries, 2)
  t.equal(cluster.leader.id, leader.id)
  refused(t, await leader.call(acquire('a')), 'while it leads')
  t.equal((await leader.call(renew('kept', token))).code, OK)
  cluster.network.swallow = () => false
  await cluster.run(handoverAgainMs)
  t.not(cluster.leader.id, leader.id)
  await cluster.close()
})
