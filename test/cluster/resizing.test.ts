/**
 * One real server becomes a cluster of three, of five, of three again, and of one that did not exist in the beginning, by the commands
 * of docs/operations.md, while clients of the library go on: none of them sees an error, and nothing they were told is lost.
 */
import { type Client, createClient } from '@leasehold/client'
import t, { type Test } from 'tap'
import { wholeAudits } from '../chaos/audit.js'
import { judgeChaos } from '../chaos/judge.js'
import { TestCluster } from '../cli/cluster.js'
import { RecordedLoad } from './recordedload.js'

// Starts of real processes take their time on a machine that does much else.
t.setTimeout(180_000)

const NAMES = ['n1', 'n2', 'n3', 'n4', 'n5'] as const
const CLIENTS = 4
/** Acknowledged after each step, before the next one. */
const PROGRESS = 40

const voters = (cluster: TestCluster, at: string, names: readonly string[]) =>
  cluster.until(at, ({ members, leader }) => {
    return leader !== null && members.every(({ voter }) => voter) && members.map(({ id }) => id).join() === names.join()
  })

/** A member that the others reach makes room for the next one, which learns and then votes. */
async function grow(cluster: TestCluster, members: readonly string[], name: string): Promise<void> {
  const asked = members[members.length - 1]!
  await cluster.start(name, [...members, name]).said(/waiting to form/)
  await cluster.change(asked, 'add', `${name}=${cluster.peerAddress(name)}`)
  await cluster.change(asked, 'promote', name)
}

/** It is taken out, knows of it, and is stopped. */
async function shrink(t: Test, cluster: TestCluster, members: readonly string[], name: string): Promise<void> {
  await cluster.change(members.find((one) => one !== name)!, 'remove', name)
  await cluster.running.get(name)!.said('removed from the cluster')
  const { child, done } = cluster.running.get(name)!
  child.kill('SIGTERM')
  t.equal((await done).code, 0, `${name} ends cleanly`)
  cluster.running.delete(name)
}

t.test('one server becomes three, five, three and one under load', async (t) => {
  const cluster = new TestCluster(t)
  await cluster.plan(...NAMES)
  await cluster.startAlone('n1').said('"event":"serving"')
  const endpoints = NAMES.map((name) => cluster.url(name))
  const clients: Client[] = []
  t.teardown(() => Promise.all(clients.map((one) => one.close())))
  for (let n = 1; n <= CLIENTS; n++) clients.push(createClient({ endpoints, name: `client-${n}`, timeout: '60s' }))
  const [first] = clients as [Client]
  const held = await first.acquire('held', { ttl: '1h' })
  const load = new RecordedLoad(clients)
  await load.progress(PROGRESS)

  await cluster.kill('n1', 'SIGTERM')
  await cluster.startAlone('n1', '--peer-listen', cluster.peerAddress('n1')).said('"event":"serving"')
  let members: readonly string[] = ['n1']
  for (const name of NAMES.slice(1)) {
    await grow(cluster, members, name)
    members = [...members, name]
    for (const at of members) await voters(cluster, at, members)
    await load.progress(PROGRESS)
  }

  while (members.length > 1) {
    const { leader } = await voters(cluster, members[0]!, members)
    // By turns another one and the leader; of the last two, the one that leads.
    const goes = members.length % 2 === 0 ? leader! : members.find((name) => name !== leader)!
    await shrink(t, cluster, members, goes)
    members = members.filter((name) => name !== goes)
    for (const at of members) await voters(cluster, at, members)
    await load.progress(PROGRESS)
  }

  await load.stop()
  t.same(load.errors, [], 'no caller saw an error')
  const [last] = members as [string]
  const audits = await wholeAudits([{ name: last, url: cluster.url(last) }])
  const { asked } = load.recorder
  const { found, operations } = judgeChaos({ asked, looks: load.looks }, audits, () => performance.now())
  t.same(found, [])
  t.ok(operations > 300, `${operations} operations`)

  await cluster.kill(last, 'SIGTERM')
  await cluster.startAlone(last).said('"event":"serving"')
  await held.renew()
  t.equal((await first.get('held'))?.token, held.token, 'what was granted in the beginning is held in the end')
})
