import { clusterMs, INTERNAL_OP, logIndex, term } from '@leasehold/protocol'
import { silent } from '@leasehold/server/ports'
import { type LogFollower, SingleLog } from '@leasehold/server/replica'
import t from 'tap'
import { VirtualClock } from '../support/virtualclock.js'
import { FakeStore } from './fakes.js'

const BEAT = [{ op: INTERNAL_OP.beat }] as const

async function leading() {
  const told: string[] = []
  const follower: LogFollower = {
    apply: (entry) => told.push(`apply ${entry.index}`),
    lead: (leads, baseMs) => told.push(`lead ${leads} at ${baseMs}`),
    follow: () => told.push('follow'),
    settled: (index, committed) => told.push(`settled ${index} ${committed}`),
  }
  const store = new FakeStore()
  const log = new SingleLog({ store, clock: new VirtualClock(), telemetry: silent, memberId: 'm' })
  return { told, follower, store, log }
}

t.test('it leads a term of its own once that term is on disk', async (t) => {
  const { told, follower, store, log } = await leading()
  store.held = true
  const starting = log.start(follower)
  t.equal(log.status.leader, null)
  t.equal(log.ready, false)
  await t.rejects(log.readBarrier(), { code: 'NO_QUORUM' })
  store.release()
  await starting
  t.same(told, ['lead 1 at 0'])
  t.same(log.status, { term: term(1), leader: 'm', commitIndex: 0, lastIndex: 0 })
  await log.readBarrier()
  await t.rejects(log.start(follower), /once/)
})

t.test('one append is under way at a time, and its outcome comes before it is applied', async (t) => {
  const { told, follower, store, log } = await leading()
  await log.start(follower)
  store.held = true
  told.length = 0
  t.equal(log.append({ timeMs: clusterMs(5), wallMs: 0, commands: BEAT }), 1)
  t.equal(log.ready, false)
  t.throws(() => log.append({ timeMs: clusterMs(6), wallMs: 0, commands: BEAT }), /one batch at a time/)
  t.same(told, [], 'nothing from within the call')
  store.release()
  t.same(told, ['settled 1 true', 'apply 1'])
  t.throws(() => log.append({ timeMs: clusterMs(4), wallMs: 0, commands: BEAT }), /never goes back/)
})

t.test('another flush of the same store keeps it from taking a batch', async (t) => {
  const { follower, store, log } = await leading()
  await log.start(follower)
  store.held = true
  store.flush(() => {})
  t.equal(log.ready, false)
  store.release()
  t.equal(log.ready, true)
})

t.test('closing waits for the append under way; it leads no more', async (t) => {
  const { told, follower, store, log } = await leading()
  await log.start(follower)
  store.held = true
  log.append({ timeMs: clusterMs(5), wallMs: 0, commands: BEAT })
  let closed = false
  const closing = log.close().then(() => {
    closed = true
  })
  await new Promise(setImmediate)
  t.equal(closed, false)
  store.release()
  await closing
  t.equal(told.at(-1), 'apply 1')
  t.equal(log.ready, false)
  await log.close()
})

t.test('trimming forgets the entries up to and including the one named', async (t) => {
  const { follower, store, log } = await leading()
  await log.start(follower)
  log.trim(logIndex(7))
  t.same(store.trims, [8])
})

t.test('a log that ends before its last index is refused', async (t) => {
  const { follower, store } = await leading()
  const short = Object.assign(store, { recovered: { ...store.recovered, lastIndex: logIndex(3) } })
  const log = new SingleLog({ store: short, clock: new VirtualClock(), telemetry: silent, memberId: 'm' })
  await t.rejects(log.start(follower), /ends before/)
})
