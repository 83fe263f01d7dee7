/** A member's desk over a replica that does what the test says: who waits for a draw, what he gets of it, and what is told of it. */
import { ERRORS, OK, TAKE } from '@leasehold/protocol'
import { QUOTA_LIMITS } from '@leasehold/server/quota'
import t from 'tap'
import { isDenied, KeyWorld } from './keyworld.js'

const PLAIN = { bandwidths: [{ tokens: 100, perMs: 1_000, burst: 100 }] }

function world() {
  const w = new KeyWorld(1)
  w.set('q', PLAIN)
  w.set('r', PLAIN)
  const [replica] = w.replicas as [(typeof w.replicas)[0]]
  const take = (cost: number, mode?: (typeof TAKE)[keyof typeof TAKE], withinMs?: number) =>
    w.take(0, [['q', null, cost]], {
      ...(mode === undefined ? {} : { mode }),
      ...(withinMs === undefined ? {} : { withinMs }),
    })
  return { w, replica, take }
}

t.test('all who wait are in one draw, and share what comes: fairly, and whole where they need it whole', async (t) => {
  const { w, replica, take } = world()
  const asked = [take(10), take(2), take(50, TAKE.upTo), take(30)]
  w.clock.advance(QUOTA_LIMITS.drawGatherMs)
  t.same(replica.wants, [
    {
      quota: 'q',
      claims: [
        [10, 1],
        [2, 1],
        [50, 1],
        [30, 1],
      ],
    },
  ])
  replica.executed({ q: 40 }, 300)
  const [ten, two, upTo, thirty] = asked.map(({ outcome }) => outcome!)
  t.match(
    [ten, two],
    [
      { code: OK, fields: [10] },
      { code: OK, fields: [2] },
    ],
  )
  t.match(upTo, { code: OK, fields: [14] }, 'its fair share of 40: as much as who wants thirty')
  t.ok(isDenied(thirty!), 'a part is of no use to it')
  t.match(replica.wants, [{ quota: 'q' }], 'one draw')
  t.equal(w.draws, 1)
})

t.test('who is denied hears when to come back; until then nobody draws, and what is free is spent', async (t) => {
  const { w, replica, take } = world()
  take(20)
  w.clock.advance(QUOTA_LIMITS.drawGatherMs)
  replica.executed({ q: 15 }, 700)
  const later = take(20)
  t.ok(isDenied(later.outcome!), 'at once')
  const [, retryAfterMs] = later.outcome!.fields as [string, number]
  t.ok(retryAfterMs > 600 && retryAfterMs <= 700 * (1 + QUOTA_LIMITS.jitterShare), `${retryAfterMs}`)
  t.match(take(15).outcome, { code: OK, fields: [15] }, 'those that were granted are here')
  t.equal(w.draws, 1)
  w.clock.advance(750)
  take(1)
  w.clock.advance(QUOTA_LIMITS.drawGatherMs)
  t.ok(w.draws > 1)
  t.match(replica.reports, [{ quota: 'q', tab: 1, spent: 15, returned: 0 }])
})

t.test('what nobody asks for any more goes back, and so does all at the end', async (t) => {
  const { w, replica, take } = world()
  take(5)
  w.clock.advance(QUOTA_LIMITS.drawGatherMs)
  replica.executed({ q: 9 })
  w.clock.advance(200)
  t.same(replica.reports, [{ quota: 'q', tab: 1, spent: 5, returned: 0 }])
  replica.executed({})
  w.clock.advance(QUOTA_LIMITS.idleMs + 200)
  t.same(replica.reports, [{ quota: 'q', tab: 1, spent: 5, returned: 4 }])
  replica.executed({})
  take(8)
  w.clock.advance(QUOTA_LIMITS.drawGatherMs)
  replica.executed({ q: 10 })
  const closed = w.desks[0]!.close(w.nowMs + 1_000)
  t.same(replica.reports, [{ quota: 'q', tab: 1, spent: 13, returned: 6 }])
  t.match(take(1).outcome, { code: ERRORS.SHUTTING_DOWN.wire })
  replica.executed({})
  await closed
  t.equal(w.clock.timers, 0)
})

t.test(
  'a snapshot in between loses what was drawn and not heard of, and those who wait are asked for again',
  async (t) => {
    const { w, replica, take } = world()
    const asked = take(5)
    w.clock.advance(QUOTA_LIMITS.drawGatherMs)
    replica.executed(null)
    t.equal(asked.outcome, null)
    w.clock.advance(50)
    t.equal(w.draws, 2)
    t.same(replica.wants, [{ quota: 'q', claims: [[5, 1]] }])
    replica.executed({ q: 5 })
    t.match(asked.outcome, { code: OK, fields: [5] })
  },
)

t.test('of several quotas all are taken, or none; and the time that a request has is kept', async (t) => {
  const { w, replica, take } = world()
  const both = w.take(0, [
    ['q', null, 5],
    ['r', null, 5],
    ['q', null, 2],
  ])
  w.clock.advance(QUOTA_LIMITS.drawGatherMs)
  t.same(replica.wants, [
    { quota: 'q', claims: [[7, 1]] },
    { quota: 'r', claims: [[5, 1]] },
  ])
  replica.executed({ q: 7, r: 4 }, 100)
  t.ok(isDenied(both.outcome!))
  t.match(take(7).outcome, { code: OK }, 'what the one had is there for others')
  w.clock.advance(150)
  const late = take(3, TAKE.all, 60)
  w.clock.advance(200)
  t.match(late.outcome, { code: ERRORS.OVERLOADED.wire }, 'its draw was not executed in time')
  const lost = w.take(0, [['r', null, 50]])
  w.clock.advance(QUOTA_LIMITS.unavailableMs + 100)
  t.match(lost.outcome, { code: ERRORS.NO_QUORUM.wire }, 'nobody executes anything')
})
