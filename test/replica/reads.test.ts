/** Rounds of reads: shared, never begun before the call, and refused in bounded time. */
import { logIndex } from '@leasehold/protocol'
import { REPLICA_LIMITS, Reads } from '@leasehold/server/replica'
import t from 'tap'

function reads() {
  const world = { nowMs: 0, applied: 0, asked: [] as number[] }
  const all = new Reads({
    from: 100,
    nowMs: () => world.nowMs,
    ask: (read) => world.asked.push(read),
    applied: () => world.applied,
  })
  return { world, reads: all }
}

/** Whether the promise is settled by now. */
async function done(promise: Promise<void>): Promise<boolean> {
  let settled = false
  promise.finally(() => (settled = true)).catch(() => {})
  await new Promise(setImmediate)
  return settled
}

t.test('whoever comes while a round is under way joins the next one, all in one', async (t) => {
  const { world, reads: r } = reads()
  const first = r.barrier()
  const late = r.barrier()
  t.equal(r.barrier(), late)
  t.same(world.asked, [101], 'one round at a time')
  r.answered([{ read: 101, index: logIndex(0) }])
  t.equal(await done(first), false, 'refused: it is asked again')
  r.answered([{ read: 101, index: logIndex(3) }])
  t.same(world.asked, [101, 102])
  t.equal(await done(first), false, 'known, and not yet applied')
  world.applied = 3
  r.applied()
  t.equal(await done(first), true)
  t.equal(await done(late), false, 'the round that began before it says nothing of it')
  r.answered([{ read: 102, index: logIndex(3) }])
  t.equal(await done(late), true)
})

t.test('a round without an answer is asked again, under a number of its own; any of its answers serves', async (t) => {
  const { world, reads: r } = reads()
  const barrier = r.barrier()
  world.nowMs = REPLICA_LIMITS.readAgainMs
  r.tick()
  t.same(world.asked, [101, 102])
  r.answered([{ read: 100, index: logIndex(1) }])
  t.equal(await done(barrier), false, 'an answer to another process is none')
  r.answered([{ read: 102, index: logIndex(0) }])
  r.answered([{ read: 101, index: logIndex(0) }])
  world.applied = 9
  r.answered([{ read: 101, index: logIndex(9) }])
  t.equal(await done(barrier), true)
})

t.test('nobody waits for ever: for an answer, for the apply, or for a log that is closed', async (t) => {
  const { world, reads: r } = reads()
  const landing = r.barrier()
  r.answered([{ read: 101, index: logIndex(5) }])
  const asked = r.barrier()
  const next = r.barrier()
  world.nowMs = REPLICA_LIMITS.readMsMax
  r.tick()
  await t.rejects(landing, { code: 'NO_QUORUM' })
  await t.rejects(asked, { code: 'NO_QUORUM' })
  const last = r.barrier()
  r.close()
  await t.rejects(last, { code: 'NO_QUORUM' })
  await t.rejects(next, { code: 'NO_QUORUM' })
})
