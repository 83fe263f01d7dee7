import { OK } from '@leasehold/protocol'
import { REPLICA_LIMITS } from '@leasehold/server/replica'
import t from 'tap'
import { fakeWorld, Recorder, renewal } from './fakes.js'

const NEVER = Number.POSITIVE_INFINITY
const { returningCommands: MANY, returningShare, returningMs } = REPLICA_LIMITS
const MOST = Math.ceil(MANY * returningShare)

/** A member that has just answered so many in one batch. */
async function answered(count: number) {
  const world = await fakeWorld()
  const r = new Recorder()
  let id = 0
  const submit = (many: number) => {
    for (let i = 0; i < many; i++) world.replica.submit(renewal(`name-${++id}`), r, id, 1, NEVER)
  }
  const batches = () => world.machine.applied.slice(1).map(({ commands }) => commands.length)
  submit(count)
  await world.clock.settle()
  return { ...world, r, submit, batches }
}

t.test('who comes first after many were answered waits until most of them are there', async (t) => {
  const { clock, r, submit, batches } = await answered(MANY)
  submit(1)
  await clock.settle()
  submit(MOST - 2)
  await clock.settle()
  t.same(batches(), [MANY])
  submit(1)
  await clock.settle()
  t.same(batches(), [MANY, MOST])
  t.equal(r.replies.length, MANY + MOST)
})

t.test('he does not wait for longer than a moment after their answer', async (t) => {
  const { clock, submit, batches } = await answered(MANY)
  submit(1)
  await clock.run(returningMs / 2)
  t.same(batches(), [MANY])
  submit(1)
  await clock.run(returningMs / 2)
  t.same(batches(), [MANY, 2], 'whoever is there by then')
  submit(1)
  await clock.settle()
  t.same(batches(), [MANY, 2, 1], 'those who did not come are not waited for again')
  t.equal(clock.timers, (await answered(0)).clock.timers, 'and no timer is left')
})

t.test('who comes later than that does not wait at all', async (t) => {
  const { clock, submit, batches } = await answered(2 * MANY)
  await clock.run(returningMs)
  submit(1)
  await clock.settle()
  t.same(batches(), [2 * MANY, 1])
})

t.test('a few are not waited for', async (t) => {
  const { clock, submit, batches } = await answered(MANY - 1)
  submit(1)
  await clock.settle()
  t.same(batches(), [MANY - 1, 1])
})

t.test('who comes with as many as were answered goes at once', async (t) => {
  const { clock, store, submit, batches } = await answered(MANY)
  store.held = true
  submit(MANY)
  await clock.settle()
  submit(MANY)
  store.release()
  await clock.settle()
  store.held = false
  store.release()
  await clock.settle()
  t.same(batches(), [MANY, MANY, MANY], 'a batch that is as large as the last one goes at once')
  submit(MOST - 1)
  await clock.settle()
  t.same(batches(), [MANY, MANY, MANY])
  await clock.run(returningMs)
  t.same(batches(), [MANY, MANY, MANY, MOST - 1])
})

t.test('a member that shuts down finishes those who wait', async (t) => {
  const { clock, replica, r, submit } = await answered(MANY)
  submit(1)
  const closed = replica.close()
  await clock.run(100)
  await closed
  t.equal(r.replies.length, MANY + 1)
  t.equal(r.codes.at(-1), OK)
  t.equal(clock.timers, 0)
})
