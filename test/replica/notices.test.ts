/** When the news of a commit leaves: with the next entries, after a while, or at once where somebody elsewhere waits for it. */
import { Notices, REPLICA_LIMITS, type ReplicaEntry } from '@leasehold/server/replica'
import t from 'tap'
import { VirtualClock } from '../support/virtualclock.js'

function world() {
  const clock = new VirtualClock()
  const told = { due: 0 }
  const notices = new Notices(clock, 'n1', () => told.due++)
  return { clock, told, notices }
}

/** A batch that this member gathered. */
const of = (member: string, batch = 1) => [{ member, batch } as ReplicaEntry]

t.test('of its own batches it waits a little, once for all that are committed meanwhile', async (t) => {
  const { clock, told, notices } = world()
  notices.committed(of('n1'))
  t.ok(notices.held)
  clock.advance(REPLICA_LIMITS.noticeMs / 2)
  notices.committed(of('n1', 2))
  t.equal(clock.timers, 1)
  t.ok(notices.held)
  clock.advance(REPLICA_LIMITS.noticeMs / 2)
  t.equal(told.due, 1)
  t.notOk(notices.held, 'now')
  t.ok(notices.held, 'once')
  notices.committed(of('n1', 3))
  clock.advance(REPLICA_LIMITS.noticeMs)
  t.equal(told.due, 2)
})

t.test("another member's batch, and the leader's own words to the cluster, are told at once", async (t) => {
  for (const entries of [of('n2'), of('n1', 0), [...of('n1'), ...of('n3'), ...of('n1')]]) {
    const { clock, notices } = world()
    notices.committed(entries)
    t.notOk(notices.held)
    t.equal(clock.timers, 0)
    t.ok(notices.held)
  }
})

t.test('closed, it waits no more', async (t) => {
  const { clock, told, notices } = world()
  notices.committed(of('n1'))
  notices.close()
  notices.close()
  t.equal(clock.timers, 0)
  clock.advance(100)
  t.equal(told.due, 0)
})
