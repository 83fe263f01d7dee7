import { chainedFromFields, ERRORS, OK, OP, ProtocolError } from '@leasehold/protocol'
import { createIntake } from '@leasehold/server/intake'
import { createSessions, type SessionLimits } from '@leasehold/server/session'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { FakeReplica } from '../http/fake.js'
import { event } from '../support/event.js'
import { Peer } from '../support/pair.js'
import { Remembered, realRandom } from '../support/real.js'
import { VirtualClock } from '../support/virtualclock.js'

const MIB = 1_048_576

async function turns(count = 20): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

function world(t: Test, limits: Partial<SessionLimits> = {}) {
  const clock = new VirtualClock()
  const replica = new FakeReplica()
  const telemetry = new Remembered()
  const intake = createIntake({ replica, clock, random: realRandom, telemetry })
  const sessions = createSessions({ replica, intake, clock, telemetry, info: { leaderUrl: null }, limits })
  t.teardown(() => {
    sessions.close()
    intake.close()
  })
  return { replica, sessions, peer: new Peer(sessions) }
}

/** The sequence numbers that a watch was told of. */
const told = (peer: Peer, watch: number): number[] =>
  peer.pushes.flatMap((push) => (push[0] === 'event' && push[1] === watch ? [chainedFromFields(push[3]).seq] : []))

t.test('a watch begins now, or behind its cursor, and is told of its prefix', async (t) => {
  const { replica, peer } = world(t)
  for (let seq = 1; seq <= 700; seq++) replica.events.push(event(seq))
  peer.ask(OP.watch, 1, ['', null]).ask(OP.watch, 2, ['', 'c1.5']).ask(OP.watch, 3, ['n70', 'c1.690']).go()
  t.same(peer.replyTo(1), [1, 1, OK, ['c1.700']])
  t.same(peer.replyTo(2), [2, 1, OK, ['c1.5']])
  await turns()
  replica.publish(event(701), event(702, 'other'))
  await turns()
  t.same(told(peer, 1), [701, 702])
  t.same(
    told(peer, 2),
    Array.from({ length: 697 }, (_, i) => i + 6),
  )
  t.same(told(peer, 3), [700, 701])
  t.match(peer.pushes.at(-1), ['event', Number, /^c1\.70[12]$/, Array])
  t.same(chainedFromFields(peer.pushes[0]![3] as unknown[]), event(Number(String(peer.pushes[0]![2]).slice(3))))
  peer.ask(OP.unwatch, 4, [1]).ask(OP.unwatch, 5, [77]).go()
  t.same([peer.replyTo(4)?.[2], peer.replyTo(5)?.[2]], [OK, OK])
  replica.publish(event(703))
  t.same(told(peer, 1), [701, 702])
})

t.test('a watch that cannot begin is refused; repeating one replaces it', async (t) => {
  const { replica, peer } = world(t, { watchesPerSessionMax: 2 })
  replica.first = 10
  for (let seq = 10; seq <= 20; seq++) replica.events.push(event(seq))
  peer.ask(OP.watch, 1, ['', 'c1.3']).ask(OP.watch, 2, ['', 'c2.15']).ask(OP.watch, 3, ['', 'c1.21'])
  peer.ask(OP.watch, 4, ['a b', null]).go()
  await turns()
  for (const id of [1, 2, 3]) t.equal(peer.replyTo(id)?.[2], ERRORS.CURSOR_COMPACTED.wire)
  t.equal(peer.replyTo(4)?.[2], ERRORS.INVALID_ARGUMENT.wire)
  peer.ask(OP.watch, 5, ['', null]).ask(OP.watch, 5, ['', null], { attempt: 2 }).ask(OP.watch, 6, ['', null])
  peer.ask(OP.watch, 7, ['', null]).go()
  t.equal(peer.replyTo(7)?.[2], ERRORS.LIMIT_REACHED.wire)
  replica.publish(event(21))
  t.same(told(peer, 5), [21], 'once')
})

t.test('a cursor ahead of this member waits until it has caught up: its reader comes from another one', async (t) => {
  const { replica, peer } = world(t)
  for (let seq = 1; seq <= 3; seq++) replica.events.push(event(seq))
  let caughtUp = (): void => {}
  replica.barrier = () => new Promise((resolve) => (caughtUp = resolve))
  peer.ask(OP.watch, 1, ['', 'c1.5']).go()
  await turns()
  t.equal(peer.replyTo(1), undefined)
  replica.publish(event(4), event(5), event(6))
  caughtUp()
  await turns()
  t.same(peer.replyTo(1), [1, 1, OK, ['c1.5']])
  replica.publish(event(7))
  t.same(told(peer, 1), [6, 7], 'no gap and no duplicate')

  peer.ask(OP.watch, 2, ['', 'c1.99']).go()
  caughtUp()
  await turns()
  t.equal(peer.replyTo(2)?.[2], ERRORS.CURSOR_COMPACTED.wire, 'what nobody has is not waited for again')
  replica.barrier = () => Promise.reject(new ProtocolError('NO_QUORUM', 'alone'))
  peer.ask(OP.watch, 3, ['', 'c1.99']).go()
  replica.barrier = () => Promise.reject(new TypeError('the inside'))
  peer.ask(OP.watch, 4, ['', 'c1.99']).go()
  await turns()
  t.same([peer.replyTo(3)?.[2], peer.replyTo(4)?.[2]], [ERRORS.NO_QUORUM.wire, ERRORS.INTERNAL.wire])
})

t.test(
  'a watch that waits for this member counts, is replaced by its repetition, and ends with its session',
  async (t) => {
    const { replica, peer } = world(t, { watchesPerSessionMax: 2 })
    const waiting: (() => void)[] = []
    replica.barrier = () => new Promise((resolve) => waiting.push(resolve))
    peer.ask(OP.watch, 1, ['', 'c1.2']).ask(OP.watch, 2, ['', 'c1.2']).ask(OP.watch, 3, ['', 'c1.2']).go()
    t.equal(peer.replyTo(3)?.[2], ERRORS.LIMIT_REACHED.wire)
    peer.ask(OP.watch, 1, ['', 'c1.2'], { attempt: 2 }).ask(OP.unwatch, 4, [2]).go()
    replica.publish(event(1), event(2))
    for (const resolve of waiting) resolve()
    await turns()
    t.same(
      peer.replies.map(([id, attempt, code]) => [id, attempt, code]),
      [
        [3, 1, ERRORS.LIMIT_REACHED.wire],
        [4, 1, OK],
        [1, 2, OK],
      ],
    )
    replica.publish(event(3))
    t.same([told(peer, 1), told(peer, 2)], [[3], []])
    peer.ask(OP.watch, 5, ['', 'c1.9']).go()
    peer.handle.closed()
    for (const resolve of waiting) resolve()
    await turns()
    t.equal(peer.replyTo(5), undefined)
  },
)

t.test('a watch that falls behind what is kept is told and ended', async (t) => {
  const { replica, peer } = world(t)
  peer.ask(OP.watch, 1, ['', null]).go()
  peer.bufferedBytes = 3 * MIB
  replica.publish(event(1))
  replica.publish(event(2))
  replica.first = 2
  peer.bufferedBytes = 0
  peer.ask(OP.time, 2, []).go()
  await turns()
  t.match(peer.pushes, [['watchEnd', 1, ERRORS.CURSOR_COMPACTED.wire, String]])
  replica.publish(event(3))
  t.equal(peer.pushes.length, 1, 'nothing follows')
})

t.test('whatever the socket does, a watch skips nothing, repeats nothing, and queues nothing', async (t) => {
  const step = fc.oneof(
    fc.record({ publish: fc.integer({ min: 1, max: 400 }) }),
    fc.constant('full' as const),
    fc.constant('drain' as const),
    fc.record({ turns: fc.integer({ min: 1, max: 4 }) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.nat(50), async (steps, from) => {
      const { replica, peer, sessions } = world(t)
      for (let seq = 1; seq <= 50; seq++) replica.events.push(event(seq))
      peer.ask(OP.watch, 1, ['', `c1.${from}`]).go()
      let seq = 50
      for (const each of steps) {
        if (each === 'full') peer.bufferedBytes = 3 * MIB
        else if (each === 'drain') {
          peer.bufferedBytes = 0
          peer.handle.drained()
        } else if ('publish' in each) replica.publish(...Array.from({ length: each.publish }, () => event(++seq)))
        else await turns(each.turns)
        if (peer.bufferedBytes > 0) {
          const before = peer.pushes.length
          await turns(2)
          if (peer.pushes.length > before + 256) throw new Error('pushed to a peer that does not read')
        }
      }
      peer.bufferedBytes = 0
      peer.ask(OP.time, 2, []).go()
      await turns()
      const seen = told(peer, 1)
      if (seen.length !== seq - from || seen.some((each, i) => each !== from + 1 + i)) throw new Error(`saw ${seen}`)
      sessions.close()
    }),
    { numRuns: 60 },
  )
})

t.test('a reader that fails ends its own watch, and no other', async (t) => {
  const { replica, peer, sessions } = world(t)
  let seen = 0
  sessions.feed.open(
    { prefix: '', cursor: null },
    {
      congested: false,
      events: () => {
        seen++
        throw new TypeError('the inside')
      },
      end: () => t.fail('a reader that failed is not told'),
    },
  )
  peer.ask(OP.watch, 1, ['', null]).go()
  replica.publish(event(1))
  replica.publish(event(2))
  t.equal(seen, 1)
  t.same(told(peer, 1), [1, 2])
})
