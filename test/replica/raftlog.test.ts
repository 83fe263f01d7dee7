import { clusterMs, INTERNAL_OP, logIndex, run, term, wallMs } from '@leasehold/protocol'
import { silent } from '@leasehold/server/ports'
import { type Draft, type LogFollower, RaftLog } from '@leasehold/server/replica'
import t from 'tap'
import { realRandom } from '../support/real.js'
import { VirtualClock } from '../support/virtualclock.js'
import { FakeStore } from './fakes.js'

const beat = (timeMs: number): Draft => ({
  timeMs: clusterMs(timeMs),
  wallMs: wallMs(0),
  member: 'm',
  run: run(0),
  batch: 0,
  commands: [{ op: INTERNAL_OP.beat }],
})

/** A log of one member over a store whose flushes end when the test says so. */
function alone(store = new FakeStore()) {
  const told: string[] = []
  const fatals: Error[] = []
  const follower: LogFollower = {
    configuration: null,
    format: 1,
    apply: (entry) => told.push(`apply ${entry.index}`),
    lead: (leads, baseMs) => told.push(`lead ${leads} at ${baseMs}`),
    follow: (_term, leader) => told.push(`follow ${leader}`),
    room: () => told.push('room'),
    flushing: () => {},
    flushed: () => {},
    forwarded: () => {},
    linked: () => {},
    checkpoint: () => {},
    replacement: () => [],
    installed: () => {},
  }
  const fatal = (error: Error) => void fatals.push(error)
  const parts = { store, clock: new VirtualClock(), random: realRandom, telemetry: silent, transport: null, fatal }
  return { told, fatals, follower, store, log: new RaftLog(parts) }
}

/** Leads, with its first entry applied. */
async function leading() {
  const world = alone()
  world.store.held = true
  await world.log.start(world.follower)
  world.store.release()
  world.log.append([beat(1)])
  world.store.release()
  world.told.length = 0
  return world
}

t.test('it leads a term of its own once that term is on disk', async (t) => {
  const { told, follower, store, log } = alone()
  store.held = true
  await t.rejects(log.readBarrier(), { code: 'NO_QUORUM' })
  await log.start(follower)
  t.equal(log.leading, false)
  t.equal(log.ready, false)
  t.throws(() => log.append([beat(0)]), /only a leader/)
  store.release()
  t.same(
    told.filter((line) => line.startsWith('lead')),
    ['lead 1 at 0'],
  )
  t.match(log.status, { term: term(1), role: 'leader', leader: 'm', commitIndex: 0, lastIndex: 0 })
  await t.rejects(log.start(follower), /once/)
})

t.test('a read waits until a term has an entry of its own that is committed', async (t) => {
  const { follower, store, log } = alone()
  await log.start(follower)
  store.held = true
  store.release()
  let done = false
  const barrier = log.readBarrier().then(() => {
    done = true
  })
  await new Promise(setImmediate)
  t.equal(done, false)
  log.append([beat(1)])
  store.release()
  log.tick()
  log.tick()
  log.tick()
  log.tick()
  await barrier
  await log.readBarrier()
})

t.test(
  'there is room for the next batch before the last one is applied; one flush carries all of a batch',
  async (t) => {
    const { told, store, log } = await leading()
    const drafts = Array.from({ length: 20 }, () => beat(5))
    t.equal(log.append([...drafts, beat(6)]), 2)
    t.equal(log.ready, false)
    t.same(told, [], 'nothing from within the call')
    store.release()
    t.same(told, ['room', ...Array.from({ length: 21 }, (_, i) => `apply ${i + 2}`)])
    t.throws(() => log.append([beat(4)]), /never goes back/)
  },
)

t.test('a few commands are applied before there is room', async (t) => {
  const { told, store, log } = await leading()
  log.append([beat(5), beat(6)])
  store.release()
  t.same(told, ['apply 2', 'apply 3', 'room'])
})

t.test('another flush of the same store keeps it from being ready', async (t) => {
  const { store, log } = await leading()
  t.equal(log.ready, true)
  store.flush(() => {})
  t.equal(log.ready, false)
  store.release()
  t.equal(log.ready, true)
})

t.test('closing waits for the append under way; it leads no more', async (t) => {
  const { told, store, log } = await leading()
  log.append([beat(5)])
  let closed = false
  const closing = log.close().then(() => {
    closed = true
  })
  await new Promise(setImmediate)
  t.equal(closed, false)
  store.release()
  await closing
  t.same(told, ['apply 2', 'room'])
  t.equal(log.ready, false)
  await log.close()
})

t.test('trimming forgets the entries up to and including the one named', async (t) => {
  const { store, log } = await leading()
  for (let i = 0; i < 8; i++) {
    log.append([beat(5)])
    store.release()
  }
  log.trim(logIndex(7))
  t.same(store.trims, [8])
})

t.test('a log that ends before its last index is fatal', async (t) => {
  const short = new FakeStore()
  Object.assign(short, {
    recovered: {
      ...short.recovered,
      hardState: { term: term(1), votedFor: null },
      checkpointIndex: logIndex(1),
      lastIndex: logIndex(3),
      terms: [
        { term: term(0), from: logIndex(0) },
        { term: term(1), from: logIndex(1) },
      ],
    },
  })
  const { log, follower, fatals } = alone(short)
  await log.start(follower)
  await new Promise(setImmediate)
  if (log.leading) log.append([beat(1)])
  for (let i = 0; i < 5; i++) await new Promise(setImmediate)
  t.match(fatals, [/ends before/])
})
