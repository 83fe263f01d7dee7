/**
 * A cluster goes from this version to a made-up next one member by member, and back while it can. What is held: nothing that is
 * new is written before every member has said that it knows it, by the entry that says so; members of both versions hold the same; who is too
 * old for what is in use says so and does not stand still in silence.
 */
import { logIndex, OK } from '@leasehold/protocol'
import { foundingEntry } from '@leasehold/server/machine'
import { CHANNEL } from '@leasehold/server/ports'
import { MESSAGE } from '@leasehold/server/raft'
import { carried, encodeMessage } from '@leasehold/server/replica'
import t, { type Test } from 'tap'
import { Cluster, type Member } from './cluster.js'
import { acquire, agree, renew, tokenOf } from './commands.js'
import { nextVersion, TALLY, THIS, type Version } from './nextversion.js'

const NEXT = await nextVersion(t)
/** The log is kept for so few entries that who is away needs a snapshot. */
const SHORT = { tailEntries: 8 }
const HOUR = { ttlMs: 3_600_000 }

/** What clients were told is theirs. */
type Acknowledged = Map<string, number>

let asked = 0
/** Asks at every living member by turns, for leases and for renewals; not every answer comes. */
async function load(cluster: Cluster, acknowledged: Acknowledged, rounds = 40): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    const member = cluster.living[i % cluster.living.length]!
    const name = `lease/${asked++ % 200}`
    const token = acknowledged.get(name)
    const command = token === undefined ? acquire(name, 'h', HOUR) : renew(name, token)
    member.ask(command).last.then(
      (reply) => {
        if (reply.code === OK && token === undefined) acknowledged.set(name, tokenOf(reply))
      },
      () => {},
    )
    await cluster.run(4)
  }
}

/** Ends the member's process under load, and starts it as this version. */
async function roll(cluster: Cluster, member: Member, version: Version, acknowledged: Acknowledged): Promise<void> {
  await load(cluster, acknowledged)
  await member.kill()
  await load(cluster, acknowledged)
  member.version = version
  await member.start(SHORT)
  await load(cluster, acknowledged)
  await cluster.settled()
}

/** All rows of each member's state, as they are written down, once all have applied as much. */
async function states(cluster: Cluster): Promise<readonly unknown[]> {
  const { living } = cluster
  for (let ms = 0; new Set(living.map(({ replica }) => replica.status.appliedIndex)).size > 1; ms++) {
    if (ms > 2_000) throw new Error('they do not come to the same entry')
    await cluster.run(1)
  }
  return living.map(({ machine }) =>
    machine.tables.map((table) => [...table.rows()].map(([key, row]) => [key, table.encode(row)]).sort()),
  )
}

/** Members hold the same, audits and states to the last field, and all that was acknowledged. */
async function whole(t: Test, cluster: Cluster, acknowledged: Acknowledged, format: number): Promise<void> {
  await agree(t, cluster)
  const [first, ...rest] = await states(cluster)
  for (const state of rest) t.same(state, first, 'the same rows')
  for (const { machine, replica, id } of cluster.living) {
    t.same([machine.format, replica.status.format], [format, format], `the format that ${id} has in use`)
    const lost = [...acknowledged].filter(([name, token]) => machine.lease(name)?.[2] !== token)
    t.same(lost, [], 'what was acknowledged is there')
  }
}

/** Whether the log of the member has commands that this version does not know. */
function tallies(member: Member): number {
  let sum = 0
  for (const table of member.machine.tables) {
    if (table.name !== 'leases') continue
    for (const [, row] of table.rows()) sum += (row as unknown as { tally?: number }).tally ?? 0
  }
  return sum
}

async function leads(cluster: Cluster, member: Member): Promise<void> {
  for (let ms = 0; cluster.leader !== member; ms += 100) {
    if (ms > 5_000) throw new Error(`${member.id} does not lead`)
    cluster.leader.replica.transferLeadership(member.id)
    await cluster.run(100)
  }
  await cluster.settled()
}

/** The last one comes along, and all is well to the end. */
async function comes(t: Test, cluster: Cluster, member: Member, acknowledged: Acknowledged): Promise<void> {
  member.version = NEXT
  await member.start(SHORT)
  await cluster.settled()
  await whole(t, cluster, acknowledged, 3)
  await cluster.close()
}

/** The leader hands its state over to a member that was away for too long. */
async function handOver(
  t: Test,
  cluster: Cluster,
  from: Member,
  to: Member,
  acknowledged: Acknowledged,
): Promise<void> {
  await leads(cluster, from)
  await to.kill()
  await load(cluster, acknowledged, 100)
  await cluster.run(500)
  const stood = to.replica.status.appliedIndex
  const kept = async () => {
    for await (const _ of from.store.entries(logIndex(stood + 1), logIndex(stood + 1))) return
  }
  await t.rejects(kept(), /not within/, 'the log does not reach back')
  await to.start(SHORT)
  await cluster.settled()
}

/** Three members of this version, under load. */
async function cluster(t: Test): Promise<{ cluster: Cluster; acknowledged: Acknowledged; members: Member[] }> {
  const cluster = await Cluster.of(3, 1, SHORT)
  const acknowledged: Acknowledged = new Map()
  await load(cluster, acknowledged)
  await whole(t, cluster, acknowledged, 2)
  return { cluster, acknowledged, members: [...cluster.members] }
}

t.test(
  'a cluster goes on to the next version member by member under load, back, and on again; nothing is lost',
  async (t) => {
    const { cluster: c, acknowledged, members } = await cluster(t)
    const [n1, n2, n3] = members as [Member, Member, Member]
    let more = 0
    c.network.before = ({ channel, bytes }) => {
      if (channel === CHANNEL.raft && bytes.at(-1) === 'e'.charCodeAt(0)) more++
      return true
    }
    await roll(c, n1, NEXT, acknowledged)
    await whole(t, c, acknowledged, 2)
    await roll(c, n2, NEXT, acknowledged)
    await whole(t, c, acknowledged, 2)
    await handOver(t, c, n1, n3, acknowledged)
    await whole(t, c, acknowledged, 2)
    await handOver(t, c, n3, n1, acknowledged)
    await whole(t, c, acknowledged, 2)
    t.ok(more > 0, 'members of this version were sent fields that it does not know')
    await roll(c, n2, THIS, acknowledged)
    await roll(c, n1, THIS, acknowledged)
    await whole(t, c, acknowledged, 2)
    t.ok(members.every((member) => tallies(member) === 0))

    for (const member of [n3, n1, n2]) await roll(c, member, NEXT, acknowledged)
    await load(c, acknowledged)
    await whole(t, c, acknowledged, 3)
    t.ok(tallies(n1) > 0, 'what is new is in use')
    await handOver(t, c, n1, n2, acknowledged)
    await whole(t, c, acknowledged, 3)
    for (const member of members) await roll(c, member, NEXT, acknowledged)
    await whole(t, c, acknowledged, 3)
    await c.close()
  },
)

t.test('who goes back before the format is in use holds it back; nobody can after', async (t) => {
  const { cluster: c, acknowledged, members } = await cluster(t)
  const [n1, n2, n3] = members as [Member, Member, Member]
  await roll(c, n1, NEXT, acknowledged)
  await roll(c, n2, NEXT, acknowledged)
  await roll(c, n1, THIS, acknowledged)
  await roll(c, n3, NEXT, acknowledged)
  await whole(t, c, acknowledged, 2)
  await roll(c, n1, NEXT, acknowledged)
  await whole(t, c, acknowledged, 3)
  await c.until(n3.replica.close())
  n3.up = false
  const before = n3.disk.rows()
  n3.version = THIS
  for (let start = 0; start < 2; start++)
    await t.rejects(n3.start(SHORT), {
      code: 'NEWER_VERSION',
      message: /uses format 3.*knows formats up to 2|does not understand a row/,
    })
  t.same(n3.disk.rows(), before, 'its directory is left as it is')
  await comes(t, c, n3, acknowledged)
})

t.test(
  'who went back while the format came into use is refused by the others with a word, and serves nobody',
  async (t) => {
    const { cluster: c, acknowledged, members } = await cluster(t)
    const [n1, n2, n3] = members as [Member, Member, Member]
    await roll(c, n3, NEXT, acknowledged)
    await roll(c, n2, NEXT, acknowledged)
    await n3.kill()
    await roll(c, n1, NEXT, acknowledged)
    await whole(t, c, acknowledged, 3)
    n3.version = THIS
    await n3.start(SHORT)
    await load(c, acknowledged)
    await c.run(3_000)
    t.notOk(n3.replica.ready)
    t.ok(c.network.refused.includes(`${n1.peer}|${n3.peer}`))
    t.ok(c.network.refused.includes(`${n2.peer}|${n3.peer}`))
    await n3.kill()
    await comes(t, c, n3, acknowledged)
  },
)

t.test('who went back, and could not say so in time, loses its links to those who go on', async (t) => {
  const { cluster: c, acknowledged, members } = await cluster(t)
  const [n1, n2, n3] = members as [Member, Member, Member]
  await roll(c, n3, NEXT, acknowledged)
  await roll(c, n2, NEXT, acknowledged)
  await leads(c, n2)
  await n3.kill()
  c.network.swallow = ({ from, channel }) => from === n3.peer && channel === CHANNEL.forward
  n3.version = THIS
  await n3.start(SHORT)
  await c.run(500)
  t.equal(n3.replica.status.leader, n2.id, 'it follows')
  await n1.kill()
  n1.version = NEXT
  await n1.start(SHORT)
  await c.run(3_000)
  t.ok(n1.replica.ready && n2.replica.ready)
  t.same([n1.machine.format, n2.machine.format, n3.machine.format], [3, 3, 2])
  t.notOk(n3.replica.ready)
  t.equal(n3.replica.status.leader, null)
  t.ok(c.network.refused.includes(`${n2.peer}|${n3.peer}`))
  c.network.swallow = () => false
  await n3.kill()
  await comes(t, c, n3, acknowledged)
})

t.test('a member that is sent an entry that it does not understand ends, and says why', async (t) => {
  for (const entry of [
    { ...carried(foundingEntry(CONFIGURATION)), body: Uint8Array.of(0x91, 0x92, TALLY, 0xa1, 0x61) },
    { ...carried(foundingEntry(CONFIGURATION)), body: Uint8Array.of(0x91, 0x92, 64, 0) },
  ]) {
    const cluster = await Cluster.of(3)
    const { leader } = cluster
    const [follower] = cluster.followers as [Member, Member]
    const { term, lastIndex } = leader.replica.status
    const previous = { previousIndex: lastIndex, previousTerm: term }
    const message = { kind: MESSAGE.append, term, ...previous, commit: lastIndex, entries: [entry] }
    cluster.network.deliver({
      from: leader.peer,
      to: follower.peer,
      channel: CHANNEL.raft,
      bytes: encodeMessage(message),
    })
    await t.rejects(
      cluster.run(50),
      /sent an entry that this version of Leasehold does not understand.*start the newer/,
    )
    cluster.fatals.length = 0
    await follower.kill()
    await follower.start()
    await cluster.settled()
    await agree(t, cluster)
    await cluster.close()
  }
})

const CONFIGURATION = { voters: ['n1@d-n1'], outgoing: [], learners: [], addresses: { 'n1@d-n1': 'h:1' } }
