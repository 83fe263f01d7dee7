import {
  type AuditEvent,
  auditSeq,
  type ChainedEvent,
  clusterMs,
  ERRORS,
  fencingToken,
  INTERNAL_OP,
  logIndex,
  OK,
  ProtocolError,
  QUEUED,
  term,
  waiterId,
  wallMs,
} from '@leasehold/protocol'
import { assertReplicaLimits, LogTail, REPLICA_LIMITS, Retention } from '@leasehold/server/replica'
import { Headroom } from '@leasehold/server/storage'
import t from 'tap'
import { fakeWorld, Recorder, renewal, waitingFor } from './fakes.js'

const NEVER = Number.POSITIVE_INFINITY

const event = (seq: number, over: Partial<AuditEvent> = {}): AuditEvent => ({
  seq: auditSeq(seq),
  type: 'granted',
  name: 'a',
  holder: 'h',
  token: fencingToken(seq),
  reason: null,
  cause: 'acquire',
  principal: 'p',
  wallMs: wallMs(0),
  clusterMs: clusterMs(seq),
  member: 'm',
  term: term(1),
  renewals: 0,
  vacant: false,
  ...over,
})

t.test('limits that disagree are refused at import', async (t) => {
  t.throws(() => assertReplicaLimits({ ...REPLICA_LIMITS, gainMsMax: 61 }), /two ticks/)
})

t.test('changed rows wait for up to 100 ms and then travel with the next entry', async (t) => {
  const { clock, store, replica, machine } = await fakeWorld()
  await clock.run(200)
  const before = store.checkpoints.length
  machine.tables[0]!.changeCount = 10
  const r = new Recorder()
  for (let i = 0; i < 20; i++) {
    replica.submit(renewal(), r, i, 1, NEVER)
    await clock.run(10)
  }
  const made = store.checkpoints.length - before
  t.ok(made >= 1 && made <= 3, `${made} checkpoints in 200 ms of 20 entries`)
})

t.test('many changed rows do not wait', async (t) => {
  const { clock, store, replica, machine } = await fakeWorld({ checkpointRows: 100 })
  await clock.run(200)
  const before = store.checkpoints.length
  for (let id = 1; id <= 2; id++) {
    machine.tables[0]!.changeCount = 100
    replica.submit(renewal(), new Recorder(), id, 1, NEVER)
    await clock.settle()
  }
  t.same(store.checkpoints.slice(before), [2], 'the first entry went down with the second')
})

t.test('rows that would not coalesce travel as they come, others wait', async (t) => {
  const { clock, store, replica, machine } = await fakeWorld()
  await clock.run(200)
  const before = store.checkpoints.length
  const burst = async (rows: number, stored = rows) => {
    for (let id = 1; id <= 600; id++) replica.submit(renewal(), new Recorder(), id, 1, NEVER)
    await clock.settle()
    machine.tables[0]!.changeCount = rows
    machine.tables[0]!.storedChangeCount = stored
    // By then nobody waits any more for those who were answered.
    await clock.run(REPLICA_LIMITS.returningMs)
    replica.submit(renewal(), new Recorder(), 1, 1, NEVER)
    await clock.settle()
  }
  await burst(400)
  t.equal(store.checkpoints.length, before, '400 rows of 600 commands wait for more')
  await burst(1_200, 600)
  t.equal(
    store.checkpoints.length,
    before,
    '1,200 rows, half of them fresh, wait: these may be gone before they are due',
  )
  machine.tables[0]!.changeCount = machine.tables[0]!.storedChangeCount = 0
  await clock.run(200)
  const later = store.checkpoints.length
  await burst(600)
  t.equal(store.checkpoints.length, later + 1, '600 rows of 600 commands do not')
})

t.test('an idle member writes down what changed within 100 ms, once', async (t) => {
  const { clock, store, replica, log } = await fakeWorld()
  await clock.run(200)
  log.length = 0
  replica.submit(renewal(), new Recorder(), 1, 1, NEVER)
  await clock.run(100)
  t.same(
    log.filter((line) => line === 'flush'),
    ['flush', 'flush'],
    'the entry, then its rows',
  )
  t.equal(store.checkpoints.at(-1), 2)
  await clock.run(5_000)
  t.equal(log.filter((line) => line === 'flush').length, 2)
})

t.test('beats alone do not make extra flushes; the checkpoint still moves with them now and then', async (t) => {
  const { clock, store, machine, log } = await fakeWorld()
  await clock.run(200)
  machine.timed = true
  log.length = 0
  await clock.run(60_000)
  const flushes = log.filter((line) => line === 'flush').length
  t.ok(flushes >= 240 && flushes <= 255, `${flushes} flushes in a minute`)
  const before = store.checkpoints.length
  await clock.run(300_000)
  t.ok(store.checkpoints.length > before)
})

t.test('the log is trimmed below a synced checkpoint alone, and a tail is kept', async (t) => {
  const tailEntries = 100
  const { clock, store, replica } = await fakeWorld({ tailEntries })
  const r = new Recorder()
  for (let i = 0; i < tailEntries + 200; i++) {
    replica.submit(renewal(), r, i, 1, NEVER)
    await clock.settle()
    if (i % 20 === 0) await clock.run(120)
  }
  await clock.run(500)
  t.ok(store.trims.length > 0)
  const last = store.entriesSeen.at(-1)!.index
  const first = store.trims.at(-1)!
  t.ok(last - first + 1 >= tailEntries, 'the tail is kept')
  t.ok(last - first + 1 <= tailEntries + 40, 'and not much more')
  for (const trim of store.trims) t.ok(store.checkpoints.some((index) => index >= trim - 1))
})

t.test('the tail is bounded in bytes too', async (t) => {
  const tail = new LogTail(logIndex(1), logIndex(0), 100, 1_000)
  for (let index = 1; index <= 50; index++) tail.add(logIndex(index), 100)
  t.equal(tail.trimmable(logIndex(50)), 40)
  t.equal(tail.trimmable(logIndex(7)), 7, 'never above the checkpoint')
  const restarted = new LogTail(logIndex(1), logIndex(500), 100, 1_000)
  restarted.add(logIndex(501), 10)
  t.equal(restarted.trimmable(logIndex(501)), 401)
  restarted.add(logIndex(502), 5_000)
  t.equal(restarted.trimmable(logIndex(502)), 502, 'one entry over the bound is not kept')
})

t.test('the feed hands out committed events in order; who throws is dropped and told', async (t) => {
  const { clock, replica, machine } = await fakeWorld()
  const seen: number[] = []
  const dropped: string[] = []
  const stop = replica.subscribe({ events: (events) => seen.push(...events.map(({ seq }) => seq)) })
  replica.subscribe({
    events: () => {
      throw new Error('it lags')
    },
    dropped: (error) => dropped.push(error.message),
  })
  const revoked: unknown[] = []
  replica.onRevoked((...told) => revoked.push(told))
  const told = { principal: 'p', name: 'a', token: fencingToken(3), reason: 'revoked' } as const
  machine.next = { events: [event(1), event(2), event(3, { type: 'revoked', principal: 'operator' })], revoked: [told] }
  replica.submit(renewal(), new Recorder(), 1, 1, NEVER)
  await clock.settle()
  machine.next = { events: [event(4)] }
  replica.submit(renewal(), new Recorder(), 2, 1, NEVER)
  await clock.settle()
  t.same(seen, [1, 2, 3, 4])
  t.same(dropped, ['it lags'])
  t.same(revoked, [['p', 'a', 3, 'revoked']])
  stop()
  stop()
  machine.next = { events: [event(5)] }
  replica.submit(renewal(), new Recorder(), 3, 1, NEVER)
  await clock.settle()
  t.equal(seen.length, 4)
})

t.test('the audit is trimmed by age and by size, in bounded steps, through the log', async (t) => {
  const events = Array.from({ length: 1_000 }, (_, i) => ({ ...event(i + 1), previousHash: '', hash: '' }))
  const store = {
    audit: { first: auditSeq(1), last: auditSeq(1_000), bytes: 100_000, oldestMs: clusterMs(1) },
    readEvents: async ({ after, limit }: { after: number; limit: number }) => ({
      events: events.slice(after, after + limit) as ChainedEvent[],
      next: null,
    }),
  }
  const byAge = new Retention(store, { auditAgeMs: 5_000 })
  t.equal(await byAge.due(5_000), null, 'the oldest is not older than the age')
  t.equal(await byAge.due(5_400), 399, 'all before the cutoff')
  t.equal(await byAge.due(9_000_000), 1_000)
  const bySize = new Retention(store, { auditBytes: 90_000 })
  t.equal(await bySize.due(0), 100)
  const both = await Promise.all([byAge.due(5_400), byAge.due(5_400)])
  t.same(both, [399, null], 'one check at a time')
  store.audit = { first: auditSeq(1_001), last: auditSeq(1_000), bytes: 0, oldestMs: clusterMs(0) }
  t.equal(await byAge.due(9_000_000), null, 'an empty audit needs no trim')
})

t.test('an audit that cannot be dated any more is trimmed by size all the same', async (t) => {
  const store = {
    audit: { first: auditSeq(1), last: auditSeq(1_000), bytes: 100_000, oldestMs: clusterMs(1) },
    readEvents: () => Promise.reject(new ProtocolError('AUDIT_CORRUPT', 'damaged')),
  }
  t.equal(await new Retention(store, { auditAgeMs: 5_000, auditBytes: 90_000 }).due(9_000_000), 100)
  const enough = new Retention(store, { auditAgeMs: 5_000, auditBytes: 100_000 })
  await t.rejects(enough.due(9_000_000), { code: 'AUDIT_CORRUPT' }, 'while there is room, it is said')
})

t.test('a trim becomes a command, and the store forgets when it is applied', async (t) => {
  const { clock, store, machine } = await fakeWorld({ auditBytes: 50 })
  store.audit = { first: auditSeq(1), last: auditSeq(10), bytes: 100, oldestMs: clusterMs(0) }
  await clock.run(1_100)
  t.same(machine.applied.at(-1)!.commands, [{ op: INTERNAL_OP.trimAudit, through: 5 }])
  t.same(store.auditTrims, [5])
})

t.test(
  'close finishes what was accepted, refuses what comes, tells the waiters, and writes everything down',
  async (t) => {
    const { clock, store, replica, machine } = await fakeWorld()
    const waiter = new Recorder()
    replica.submit(waitingFor('x'), waiter, 1, 1, NEVER)
    await clock.settle()
    store.held = true
    const r = new Recorder()
    replica.submit(renewal(), r, 1, 1, NEVER)
    await clock.settle()
    replica.submit(renewal(), r, 2, 1, NEVER)
    const closing = replica.close()
    t.equal(replica.close(), closing, 'closing twice is closing once')
    t.equal(replica.ready, false)
    replica.submit(renewal(), r, 3, 1, NEVER)
    await clock.settle()
    t.same(r.ids, [3])
    t.same(r.codes, [ERRORS.SHUTTING_DOWN.wire])
    store.held = false
    store.release()
    await clock.settle()
    await closing
    t.same(
      r.replies.map(({ id, code }) => [id, code]),
      [
        [3, ERRORS.SHUTTING_DOWN.wire],
        [1, OK],
        [2, OK],
      ],
    )
    t.same(waiter.codes, [QUEUED, ERRORS.OUTCOME_UNKNOWN.wire])
    t.notMatch(waiter.replies.at(-1)!.fields[0], /nothing was executed/i, 'it stands in the queue, and may have it yet')
    t.ok(waiter.flushes >= 2, 'and it was sent')
    t.equal(store.checkpoints.at(-1), machine.applied.at(-1)!.index, 'the last checkpoint has everything')
    t.equal(store.staged, false)
    t.equal(store.closed, 1)
    t.equal(clock.timers, 0, 'no timer is left')
    replica.submit(renewal(), r, 4, 1, NEVER)
    await clock.settle()
    t.equal(r.codes.at(-1), ERRORS.SHUTTING_DOWN.wire)
  },
)

t.test('a waiter that is granted while the member drains gets its grant, not a refusal', async (t) => {
  const { clock, store, replica, machine } = await fakeWorld()
  const waiter = new Recorder()
  replica.submit(waitingFor('x'), waiter, 1, 1, NEVER)
  await clock.settle()
  store.held = true
  replica.submit(renewal(), new Recorder(), 1, 1, NEVER)
  await clock.settle()
  machine.next = { settled: [{ waiter: waiterId(1), reply: { code: OK, fields: [] } }] }
  const closing = replica.close()
  store.held = false
  store.release()
  await clock.settle()
  await closing
  t.same(waiter.codes, [QUEUED, OK])
})

t.test('close is bounded in time: a disk that hangs makes it fail, not wait', async (t) => {
  const { clock, store, replica } = await fakeWorld()
  store.held = true
  replica.submit(renewal(), new Recorder(), 1, 1, NEVER)
  await clock.settle()
  const failed = t.rejects(replica.close(), /not closed within/)
  await clock.run(REPLICA_LIMITS.closeMsMax + 10)
  await failed
  t.equal(clock.timers, 0)
})

t.test('stages are reported once per batch', async (t) => {
  const stages: string[] = []
  const flushed: number[] = []
  const gauges = new Set<string>()
  const { clock, replica } = await fakeWorld(
    {},
    {
      log() {},
      request() {},
      stage: (stage) => stages.push(stage),
      gauge: (name) => gauges.add(name),
      flush: (_seconds, commands) => flushed.push(commands),
    },
  )
  await clock.run(1_100)
  stages.length = flushed.length = 0
  for (let id = 0; id < 50; id++) replica.submit(renewal(), new Recorder(), id, 1, NEVER)
  await clock.settle()
  t.same(stages, ['queue', 'apply', 'reply'])
  t.same(flushed, [50])
  t.same([...gauges].sort(), ['apply_lag', 'leases', 'log_entries', 'waiters'])
})

t.test('status names the member, its cluster and where it stands', async (t) => {
  const { replica } = await fakeWorld()
  t.match(replica.status, { clusterId: 'c', memberId: 'm', leader: 'm', term: 1, appliedIndex: 1, commitIndex: 1 })
  await replica.readBarrier()
})

t.test(
  'a disk that is nearly full refuses what grows, and takes what gives room back; it recovers at a higher mark',
  async (t) => {
    let free = Number.POSITIVE_INFINITY
    const headroom = new Headroom(async () => free, { lowBytes: 1_000, enoughBytes: 1_250 })
    const { clock, replica } = await fakeWorld({ headroom })
    const r = new Recorder()
    await clock.run(1_100)
    free = 999
    await clock.run(1_100)
    t.equal(replica.ready, false)
    replica.submit(waitingFor('x'), r, 1, 1, NEVER)
    replica.submit(renewal(), r, 2, 1, NEVER)
    await clock.settle()
    t.same(
      new Map(r.replies.map(({ id, code }) => [id, code])),
      new Map([
        [1, ERRORS.OVERLOADED.wire],
        [2, OK],
      ]),
    )
    free = 1_100
    await clock.run(1_100)
    t.equal(replica.ready, false, 'a little more room is not enough')
    free = 1_300
    await clock.run(1_100)
    t.equal(replica.ready, true)
    headroom.check = () => Promise.reject(new Error('EIO'))
    await clock.run(1_100)
    t.equal(replica.ready, true, 'what is not known is not held against it')
  },
)
