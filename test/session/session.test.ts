import { ERRORS, OFFERED, OK, OP, QUEUED, waiterId } from '@leasehold/protocol'
import { createIntake } from '@leasehold/server/intake'
import { createSessions } from '@leasehold/server/session'
import t, { type Test } from 'tap'
import { FakeReplica } from '../http/fake.js'
import { hello, Peer } from '../support/pair.js'
import { Remembered } from '../support/real.js'
import { VirtualClock } from '../support/virtualclock.js'

const turn = () => new Promise((resolve) => setImmediate(resolve))

function world(t: Test) {
  const clock = new VirtualClock()
  const replica = new FakeReplica()
  const telemetry = new Remembered()
  const random = { next: () => 0.5, bytes: (count: number) => new Uint8Array(count) }
  const intake = createIntake({ replica, clock, random, telemetry })
  const sessions = createSessions({ replica, intake, clock, telemetry, info: { leaderUrl: 'http://here' } })
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
