/** A member that has much to catch up with leaves time to others, and is never deaf meanwhile. */
import { CHANNEL } from '@leasehold/server/ports'
import { REPLICA_LIMITS, type ReplicaOptions } from '@leasehold/server/replica'
import t from 'tap'
import { Cluster, type Member } from './cluster.js'
import { acquire, agree } from './commands.js'

const { applyBytes, behindEntries, breathMsMax, snapshotRest, snapshotRestMsMax, snapshotStallMsMax } = REPLICA_LIMITS
const TOGETHER = 20

/** Three members; one of them was cut off while so many large batches were committed, and is back. */
async function missed(batches: number, options: Partial<ReplicaOptions> = {}) {
  const cluster = await Cluster.of(3, 1, options)
  const [behind, other] = cluster.followers as [Member, Member]
  const { leader } = cluster
  for (const one of [leader, other]) cluster.network.cut(behind.peer, one.peer)
  for (let batch = 0; batch < batches; batch++) {
    const name = (i: number) => `${batch}/${i}/`.padEnd(200, 'x')
    const asked = Array.from({ length: TOGETHER }, (_, i) => leader.ask(acquire(name(i))))
    await cluster.until(asked.at(-1)!.last)
  }
  await cluster.run(400)
  return { cluster, behind }
}

async function upToDate(cluster: Cluster, { replica }: Member): Promise<void> {
  const { commitIndex } = cluster.leader.replica.status
  while (replica.status.appliedIndex < commitIndex) await cluster.run(20)
}

/** The member's clock, on which work takes time. */
function busyClock({ clock }: Member) {
  const real = clock.monotonicMs.bind(clock)
  let workedMs = 0
  clock.monotonicMs = () => real() + workedMs
  const work = (ms: number) => {
    workedMs += ms
  }
  return { real, work }
}

interface Share {
  readonly atMs: number
  bytes: number
  entries: number
}

/** What a member applies without letting others speak, an entry in a millisecond. */
function sharesOf(member: Member): Share[] {
  const shares: Share[] = []
  const { real, work } = busyClock(member)
  const { machine } = member
  const apply = machine.apply.bind(machine)
  let share: Share | null = null
  machine.apply = (entry) => {
    if (share === null) {
      share = { atMs: real(), bytes: 0, entries: 0 }
      shares.push(share)
      queueMicrotask(() => (share = null))
    }
    share.bytes += (entry as unknown as { bytes: number }).bytes
    share.entries++
    work(1)
    return apply(entry)
  }
  return shares
}

t.test('what was committed meanwhile is applied a share at a time, with a rest after each', async (t) => {
  const batches = 2 * behindEntries
  const { cluster, behind } = await missed(batches)
  const shares = sharesOf(behind)
  cluster.network.heal()
  await upToDate(cluster, behind)
  let left = batches
  let rests = 0
  for (const [i, { atMs, entries, bytes }] of shares.entries()) {
    left -= entries
    // Whoever is nearly there is in a hurry again.
    if (left < behindEntries) break
    if (entries === 1) continue
    t.ok(bytes <= applyBytes, `${bytes} bytes`)
    const restMs = shares[i + 1]!.atMs - atMs
    t.ok(restMs >= Math.min(entries, breathMsMax), `${restMs} ms after ${entries} entries`)
    rests++
  }
  t.ok(rests >= 3)
  await agree(t, cluster)
  await cluster.close()
})

/** The pieces of snapshots as a member takes them, each of which takes it so long; a millisecond where nothing is said. */
function piecesOf(member: Member, took: readonly number[]) {
  const { real, work } = busyClock(member)
  const { store } = member
  const receive = store.receiveSnapshot.bind(store)
  const taken: { atMs: number; tookMs: number }[] = []
  store.receiveSnapshot = () => {
    const incoming = receive()
    const add = incoming.add.bind(incoming)
    incoming.add = async (chunk) => {
      const tookMs = took[taken.length] ?? 1
      taken.push({ atMs: real(), tookMs })
      work(tookMs)
      await add(chunk)
    }
    return incoming
  }
  return taken
}

t.test('after each chunk of a snapshot its receiver rests, twice as long as it worked', async (t) => {
  const { cluster, behind } = await missed(80, { tailEntries: 8 })
  const took = [4, 4, 500]
  const taken = piecesOf(behind, took)
  cluster.network.heal()
  await upToDate(cluster, behind)
  t.ok(taken.length > took.length + 1, `${taken.length} chunks`)
  for (const [i, { atMs, tookMs }] of taken.slice(0, -1).entries()) {
    const restMs = taken[i + 1]!.atMs - atMs
    t.ok(restMs >= Math.min(snapshotRest * tookMs, snapshotRestMsMax), `${restMs} ms after ${tookMs}`)
    t.ok(restMs < 2 * snapshotRestMsMax)
  }
  await agree(t, cluster)
  await cluster.close()
})

t.test('a late piece of a snapshot from who led before makes nobody wait', async (t) => {
  const { cluster, behind } = await missed(80, { tailEntries: 8 })
  const late = cluster.followers.find((one) => one !== behind)!
  piecesOf(behind, [4, 4, 4])
  let came = false
  cluster.network.swallow = ({ from, to, channel, bytes }) => {
    if (to !== behind.peer || channel !== CHANNEL.bulk || came) return false
    came = true
    // The first piece again, as another member would have sent it, just after the leader's.
    behind.clock.after(1, () => cluster.network.deliver({ from: late.peer, to, channel, bytes }))
    t.equal(from, cluster.leader.peer)
    return false
  }
  cluster.network.heal()
  const healedMs = behind.clock.monotonicMs()
  await upToDate(cluster, behind)
  const tookMs = behind.clock.monotonicMs() - healedMs
  t.ok(came)
  t.ok(tookMs < snapshotStallMsMax / 4, `${tookMs} ms`)
  await agree(t, cluster)
  await cluster.close()
})
