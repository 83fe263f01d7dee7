/** A member that is not the one to ask says so, and says it to nobody for nothing. */
import { ERRORS } from '@leasehold/protocol'
import { createIntake } from '@leasehold/server/intake'
import { createSessions } from '@leasehold/server/session'
import t, { type Test } from 'tap'
import { FakeReplica } from '../http/fake.js'
import { hello, Peer } from '../support/pair.js'
import { Remembered, realRandom } from '../support/real.js'
import { VirtualClock } from '../support/virtualclock.js'

function world(t: Test) {
  const clock = new VirtualClock()
  const replica = new FakeReplica()
  const telemetry = new Remembered()
  const intake = createIntake({ replica, clock, random: realRandom, telemetry })
  const info = { leaderUrl: 'http://leader' as string | null }
  const sessions = createSessions({ replica, intake, clock, telemetry, info })
  t.teardown(() => {
    sessions.close()
    intake.close()
  })
  let count = 0
  const join = () => new Peer(sessions, hello({ sessionId: String(++count).padStart(32, '0') }))
  return { clock, replica, intake, sessions, info, join }
}

const NO_QUORUM = ['away', ERRORS.NO_QUORUM.wire, 'http://leader', 'this member has no quorum now']

t.test('a follower whose leader is gone sends nobody away while it is ready', async (t) => {
  const { clock, replica, join } = world(t)
  replica.leader = 'm2'
  const peer = join()
  clock.advance(1_000)
  for (let i = 0; i < 5; i++) {
    replica.leader = null
    clock.advance(1_100)
    replica.leader = i % 2 === 0 ? 'm3' : 'm2'
    clock.advance(200)
  }
  t.same(peer.pushes, [])
})

t.test('a member that is not ready tells every session once, also those that come later', async (t) => {
  const { clock, replica, join, info } = world(t)
  replica.leader = 'm2'
  const first = join()
  clock.advance(1_000)
  t.same(first.pushes, [])
  replica.ready = false
  clock.advance(100)
  const later = join()
  clock.advance(5_000)
  for (const peer of [first, later]) t.same(peer.pushes, [NO_QUORUM])
  replica.ready = true
  clock.advance(200)
  replica.ready = false
  info.leaderUrl = null
  clock.advance(100)
  t.equal(first.pushes.length, 2, 'and the next time again')
  t.same(first.pushes[1]?.[2], null)
})

t.test('a leader that has lost its quorum tells its sessions at once: they have waited for it already', async (t) => {
  const { clock, replica, join } = world(t)
  const peer = join()
  clock.advance(1_000)
  replica.leader = null
  clock.advance(200)
  t.same(peer.pushes, [NO_QUORUM])
  clock.advance(5_000)
  t.equal(peer.pushes.length, 1)
})

t.test('a leader that hands its office over sends nobody away', async (t) => {
  const { clock, replica, join } = world(t)
  const peer = join()
  clock.advance(950)
  replica.leader = null
  clock.advance(80)
  replica.leader = 'm2'
  clock.advance(2_000)
  replica.leader = null
  clock.advance(500)
  t.same(peer.pushes, [], 'nor does it later, as a follower')
})

t.test('a member that drains tells its sessions, and not those who have not said who they are', async (t) => {
  const { clock, replica, intake, sessions, join } = world(t)
  const peer = join()
  const nameless = new Peer(sessions, null)
  intake.drain()
  sessions.drain()
  sessions.drain()
  t.same(peer.pushes, [['away', ERRORS.SHUTTING_DOWN.wire, 'http://leader', 'this member is shutting down']])
  replica.ready = false
  clock.advance(2_000)
  t.equal(peer.pushes.length, 1, 'once is enough')
  t.same(nameless.pushes, [])
  const late = join()
  t.equal(late.refused?.code, ERRORS.SHUTTING_DOWN.wire)
})
