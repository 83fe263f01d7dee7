import { ERRORS, fencingToken, OFFERED, OK, OP, ProtocolError, QUEUED, waiterId } from '@leasehold/protocol'
import { createIntake, type IntakeLimits } from '@leasehold/server/intake'
import { createSessions, type SessionLimits } from '@leasehold/server/session'
import t, { type Test } from 'tap'
import { FakeReplica } from '../http/fake.js'
import { hello, Peer } from '../support/pair.js'
import { Remembered } from '../support/real.js'
import { VirtualClock } from '../support/virtualclock.js'

const turn = () => new Promise((resolve) => setImmediate(resolve))

function world(t: Test, limits: Partial<IntakeLimits> = {}, sessionLimits: Partial<SessionLimits> = {}) {
  const clock = new VirtualClock()
  const replica = new FakeReplica()
  const telemetry = new Remembered()
  const random = { next: () => 0.5, bytes: (count: number) => new Uint8Array(count) }
  const intake = createIntake({ replica, clock, random, telemetry, limits })
  const info = { leaderUrl: 'http://here' }
  const sessions = createSessions({ replica, intake, clock, telemetry, info, limits: sessionLimits })
  t.teardown(() => {
    sessions.close()
    intake.close()
  })
  return { clock, replica, telemetry, intake, sessions }
}

const acquire = (seq: number, name: string, waitMs = 0) => [seq, 1, 0, name, 'host-1', 10_000, waitMs, 0, 0, null]

t.test('a session greets, asks and is answered, in frames', async (t) => {
  const { sessions, replica, telemetry } = world(t)
  const peer = new Peer(sessions)
  t.match(peer.welcome, { clusterId: 'c1', memberId: 'm1', leaderUrl: 'http://here', limits: { inFlightMax: 4_096 } })
  peer.ask(OP.acquire, 1, acquire(1, 'a')).ask(OP.renew, 2, ['a', 7]).ask(OP.release, 3, ['a', 7]).go()
  await turn()
  t.same(peer.replyTo(1), [1, 1, OK, [7, 10_000, 10_000, false, 'host-1']])
  t.same(peer.replyTo(2)?.[2], OK)
  t.same(peer.replyTo(3), [3, 1, OK, [false]])
  t.same(replica.submitted[0]?.command, {
    op: OP.acquire,
    principal: 'billing',
    name: 'a',
    holder: 'host-1',
    ttlMs: 10_000,
    waitMs: 0,
    priority: 0,
    lockDelayMs: 0,
    meta: null,
    request: { scope: 's:00112233445566778899aabbccddeeff', key: 1, lowest: 1, knownMs: 0 },
  })
  t.same(telemetry.requests, [
    ['acquire', 'ok', ''],
    ['renew', 'ok', ''],
    ['release', 'ok', ''],
  ])
})

t.test('a waiting acquire is told that it is queued, and later how it went', async (t) => {
  const { sessions, replica, intake } = world(t)
  replica.respond = () => null
  const peer = new Peer(sessions)
  peer.ask(OP.acquire, 9, acquire(1, 'a', 60_000)).go()
  t.equal(intake.inFlight, 1)
  replica.answer(QUEUED, [waiterId(3)])
  t.same([intake.inFlight, intake.waiting], [0, 1])
  replica.answer(OFFERED, [8, 3_000, 10_000, false])
  t.same(peer.replies, [
    [9, 1, QUEUED, [3]],
    [9, 1, OFFERED, [8, 3_000, 10_000, false]],
  ])
  t.same([intake.inFlight, intake.waiting], [0, 0])
})

t.test('one bad request in a frame is answered for itself, the others are executed', async (t) => {
  const { sessions } = world(t)
  const peer = new Peer(sessions)
  peer
    .ask(OP.renew, 1, ['a', 0])
    .ask(99, 2, [])
    .ask(OP.renew, 3, ['a', 7], { remainingMs: 0 })
    .ask(OP.renew, 4, ['a', 7])
    .go()
  await turn()
  t.same(peer.replyTo(1)?.[2], ERRORS.INVALID_ARGUMENT.wire)
  t.match(peer.replyTo(1)?.[3], [/token/, 0])
  t.same(peer.replyTo(2)?.[2], ERRORS.INVALID_ARGUMENT.wire)
  t.same(peer.replyTo(3)?.[2], ERRORS.OVERLOADED.wire)
  t.same(peer.replyTo(4)?.[2], OK)
  t.equal(peer.closedWith, null)
})

t.test('a reconnect takes the session over', async (t) => {
  const { sessions, replica } = world(t)
  replica.respond = () => null
  const older = new Peer(sessions)
  older.ask(OP.acquire, 1, acquire(1, 'a', 60_000)).go()
  const newer = new Peer(sessions)
  t.equal(older.closedWith, 1008)
  t.equal(newer.closedWith, null)
  t.equal(replica.detached.length, 1)
  t.equal(sessions.count, 1)
  const other = new Peer(sessions, hello({ sessionId: 'ffffffffffffffffffffffffffffffff' }))
  t.equal(other.closedWith, null)
  t.equal(sessions.count, 2)
})

t.test('a retry of a queued acquire takes its place over; giving up frees it', async (t) => {
  const { sessions, replica, intake } = world(t)
  replica.respond = () => null
  const peer = new Peer(sessions)
  peer.ask(OP.acquire, 1, acquire(1, 'a', 60_000)).go()
  replica.answer(QUEUED, [waiterId(3)])
  peer.ask(OP.acquire, 2, acquire(1, 'a', 60_000), { attempt: 2 }).go()
  replica.answer(QUEUED, [waiterId(3)])
  t.same([intake.inFlight, intake.waiting], [0, 1], 'one place, not two')
  replica.answer(OFFERED, [8, 3_000, 10_000, false], 0)
  t.equal(peer.replies.length, 2, 'the first attempt is answered by the second')
  peer.ask(OP.cancelWait, 3, [1]).go()
  replica.answer(OK, [])
  t.same(peer.replies.at(-1), [3, 1, OK, []])
  t.same([intake.inFlight, intake.waiting], [0, 0])
  replica.answer(OFFERED, [8, 3_000, 10_000, false], 1)
  t.equal(peer.replies.length, 3, 'an answer that comes after the end reaches nobody')
})

t.test('an answer to a request that was dropped never reaches the next one in its slot', async (t) => {
  const { sessions, replica } = world(t)
  replica.respond = () => null
  const peer = new Peer(sessions)
  peer.ask(OP.renew, 1, ['a', 1]).go()
  replica.answer(OK, [1, 10, 10, false, 'h'], 0)
  peer.ask(OP.renew, 2, ['a', 2]).go()
  replica.answer(OK, [1, 10, 10, false, 'h'], 0)
  t.equal(peer.replies.length, 1)
  replica.answer(OK, [2, 10, 10, false, 'h'], 1)
  t.same(peer.replyTo(2)?.[3], [2, 10, 10, false, 'h'])
})

t.test('a session that has all it may in flight is not read from, until there is room', async (t) => {
  const { sessions, replica, intake } = world(t, { inFlightPerLaneMax: 1_024 })
  replica.respond = () => null
  const peer = new Peer(sessions)
  for (let id = 0; id < 1_024; id++) peer.ask(OP.renew, id, ['a', 1])
  peer.go()
  t.equal(peer.paused, true)
  peer.ask(OP.renew, 5_000, ['a', 1]).go()
  t.match(peer.replyTo(5_000), [5_000, 1, ERRORS.OVERLOADED.wire, [/in flight/, Number]])
  replica.answer(OK, [1, 10, 10, false, 'h'], 0)
  t.equal(peer.paused, false)
  t.equal(intake.inFlight, 1_023)
  peer.handle.closed()
  t.same([intake.inFlight, intake.inFlightBytes], [0, 0], 'who leaves gives everything back')
  t.equal(replica.detached.length, 1)
})

t.test('a peer that does not read is not read from, then dropped', async (t) => {
  const { sessions, clock } = world(t)
  const peer = new Peer(sessions)
  peer.bufferedBytes = 3 * 1_048_576
  peer.ask(OP.time, 1, []).go()
  await turn()
  t.equal(peer.paused, true)
  peer.bufferedBytes = 0
  peer.handle.drained()
  t.equal(peer.paused, false)
  peer.bufferedBytes = 64 * 1_048_576
  clock.advance(1_000)
  t.equal(peer.dropped, true)
  const stuck = new Peer(sessions)
  stuck.bufferedBytes = 3 * 1_048_576
  clock.advance(30_000)
  t.equal(stuck.dropped, false)
  clock.advance(2_000)
  t.equal(stuck.dropped, true, 'a connection that says nothing of it does not help')
  t.equal(sessions.count, 0)
})

t.test('who does not greet in time is told and closed, who is one too many at once', async (t) => {
  const { sessions, clock, intake } = world(t, {}, { sessionsMax: 2 })
  const slow = new Peer(sessions, null)
  const prompt = new Peer(sessions)
  clock.advance(4_000)
  t.equal(slow.closedWith, null)
  const third = new Peer(sessions, null)
  t.equal(third.closedWith, 1013)
  t.match(third.refused, { code: ERRORS.LIMIT_REACHED.wire })
  clock.advance(2_000)
  t.equal(slow.closedWith, 1008)
  t.match(slow.refused, { detail: /greeting within 5000 ms/ })
  t.equal(prompt.closedWith, null)
  intake.drain()
  const late = new Peer(sessions, null)
  t.equal(late.closedWith, 1001)
  sessions.close()
  sessions.close()
  t.equal(prompt.closedWith, 1001)
})

t.test('while draining, requests are refused and giving up is let in', async (t) => {
  const { sessions, intake } = world(t)
  const peer = new Peer(sessions)
  intake.drain()
  peer.ask(OP.renew, 1, ['a', 1]).ask(OP.get, 2, ['a']).ask(OP.watch, 3, ['', null]).ask(OP.cancelWait, 4, [1]).go()
  await turn()
  for (const id of [1, 2, 3]) t.match(peer.replyTo(id), [id, 1, ERRORS.SHUTTING_DOWN.wire, [String, Number]])
  t.equal(peer.replyTo(4)?.[2], OK)
})

t.test('reads of a frame share one barrier, and fail for themselves', async (t) => {
  const { sessions, replica, telemetry } = world(t)
  replica.leases.set('a', ['a', 'h', fencingToken(4), 10, 5, 'held', 0, null])
  const peer = new Peer(sessions)
  peer.ask(OP.get, 1, ['a']).ask(OP.get, 2, ['b']).ask(OP.list, 3, ['', null, 10]).ask(OP.time, 4, [])
  peer.ask(OP.history, 5, [null, null, null, 10]).ask(OP.history, 6, [null, null, 'nonsense', 10]).go()
  await turn()
  t.equal(replica.barriers, 1)
  t.same(peer.replyTo(1), [1, 1, OK, [['a', 'h', 4, 10, 5, 'held', 0, null]]])
  t.equal(peer.replyTo(2)?.[2], ERRORS.LEASE_NOT_FOUND.wire)
  t.same(peer.replyTo(3), [3, 1, OK, [[['a', 'h', 4, 10, 5, 'held', 0, null]], null]])
  t.same(peer.replyTo(4), [4, 1, OK, [5_000]])
  t.same(peer.replyTo(5), [5, 1, OK, [[], null]])
  t.equal(peer.replyTo(6)?.[2], ERRORS.INVALID_ARGUMENT.wire)
  replica.barrier = () => Promise.reject(new ProtocolError('NO_QUORUM', 'alone'))
  replica.readEvents = () => Promise.reject(new TypeError('the inside'))
  peer.ask(OP.get, 11, ['a']).ask(OP.list, 12, ['', null, 10]).ask(OP.history, 13, [null, null, null, 10]).go()
  await turn()
  t.same(peer.replyTo(11)?.slice(2), [ERRORS.NO_QUORUM.wire, ['alone', 138]])
  t.equal(peer.replyTo(12)?.[2], ERRORS.NO_QUORUM.wire, 'a listing shows the present state, too, or nothing')
  t.same(peer.replyTo(13)?.slice(2), [ERRORS.INTERNAL.wire, ['the read failed', 0]])
  t.match(telemetry.logs.at(-1) ?? {}, { event: 'request' })
  t.ok(telemetry.logs.some(({ event }) => event === 'read.failed'))
})

t.test('pages are large: a session has few of them in flight', async (t) => {
  const { sessions } = world(t)
  const peer = new Peer(sessions)
  for (let id = 0; id < 20; id++) peer.ask(OP.list, id, ['', null, 1_000])
  peer.go()
  await turn()
  const codes = Array.from({ length: 20 }, (_, id) => peer.replyTo(id)?.[2])
  t.same(codes.filter((code) => code === OK).length, 16)
  t.same(codes.filter((code) => code === ERRORS.OVERLOADED.wire).length, 4)
  peer.ask(OP.list, 99, ['', null, 1_000]).go()
  await turn()
  t.equal(peer.replyTo(99)?.[2], OK, 'and then there is room again')
})

t.test('replies are split where a frame could not hold them', async (t) => {
  const { sessions, replica } = world(t)
  for (let i = 0; i < 1_000; i++) {
    const name = `n${String(i).padStart(4, '0')}`
    replica.leases.set(name, [name, 'h'.repeat(255), fencingToken(i + 1), 10, 5, 'held', 0, 'm'.repeat(400)])
  }
  const peer = new Peer(sessions)
  for (let id = 0; id < 4; id++) peer.ask(OP.list, id, ['', null, 1_000])
  peer.go()
  await turn()
  t.equal(peer.replies.length, 4)
  t.ok(peer.frames.length >= 4)
  t.ok(peer.frames.every((frame) => frame.byteLength < 1_048_576))
})

t.test('the holder of a revoked lease is told at once, on every session of its name', async (t) => {
  const { sessions, replica } = world(t)
  const one = new Peer(sessions)
  const two = new Peer(sessions, hello({ sessionId: 'f'.repeat(32) }))
  const other = new Peer(sessions, hello({ sessionId: 'e'.repeat(32), clientName: 'other' }))
  for (const listener of replica.listeners) listener('billing', 'a', fencingToken(3), 'revoked')
  for (const peer of [one, two]) t.same(peer.pushes, [['ended', 'a', 3, 'revoked']])
  t.same(other.pushes, [])
})

t.test('the units of work of a session are sampled, errors are told', async (t) => {
  const { sessions, telemetry } = world(t)
  const peer = new Peer(sessions)
  for (let id = 0; id < 300; id++) peer.ask(OP.renew, id, ['a', 1])
  peer.ask(OP.renew, 999, ['a', 0]).go()
  await turn()
  const events = telemetry.logs.filter(({ event }) => event === 'request').map(({ fields }) => fields)
  t.equal(events.filter(({ outcome }) => outcome === 'ok').length, 3)
  t.match(
    events.find(({ outcome }) => outcome === 'refused'),
    {
      op: 'renew',
      class: 1,
      reason: 'INVALID_ARGUMENT',
      principal: 'billing',
      request: 's:00112233445566778899aabbccddeeff/999.1',
      sampled: 1,
      ms: { total: 0 },
    },
  )
  t.equal(telemetry.requests.length, 301)
})

t.test('a defect ends its session, and is logged', async (t) => {
  const { sessions, replica, telemetry } = world(t)
  const bystander = new Peer(sessions, hello({ sessionId: 'f'.repeat(32) }))
  const peer = new Peer(sessions)
  replica.respond = () => {
    throw new TypeError('the inside')
  }
  peer.ask(OP.renew, 1, ['a', 1]).go()
  t.equal(peer.closedWith, 1011)
  t.match(peer.refused, { code: ERRORS.INTERNAL.wire, detail: 'the frame could not be handled' })
  t.ok(telemetry.logs.some(({ event }) => event === 'session.defect'))
  t.equal(bystander.closedWith, null)
})

t.test('waiters are bounded; who does not wait, or takes his own place over, is let in', async (t) => {
  const { sessions, replica } = world(t, { waitingPerLaneMax: 1 })
  replica.respond = () => null
  const peer = new Peer(sessions)
  peer.ask(OP.acquire, 1, acquire(1, 'a', 60_000)).go()
  replica.answer(QUEUED, [waiterId(1)])
  peer.ask(OP.acquire, 2, acquire(2, 'b', 60_000)).ask(OP.acquire, 3, acquire(3, 'c'))
  peer.ask(OP.acquire, 4, acquire(1, 'a', 60_000), { attempt: 2 }).go()
  t.match(peer.replyTo(2), [2, 1, ERRORS.LIMIT_REACHED.wire, [/waiting/, Number]])
  t.same(
    replica.submitted.map(({ command }) => (command as { name: string }).name),
    ['a', 'c', 'a'],
  )
})
