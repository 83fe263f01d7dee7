import { type ClientCommand, OK, OP, QUEUED, waiterId } from '@leasehold/protocol'
import { REPLICA_LIMITS } from '@leasehold/server/replica'
import t from 'tap'
import { fakeWorld, Recorder, renewal, waitingFor } from './fakes.js'

const NEVER = Number.POSITIVE_INFINITY

/** A member on which somebody holds the name x. */
async function contested() {
  const world = await fakeWorld()
  world.machine.taken.add('x')
  const flushes = () => world.log.filter((line) => line === 'flush').length
  const ops = () => world.machine.applied.slice(1).map(({ commands }) => commands.map(({ op }) => op))
  return { ...world, flushes, ops, r: new Recorder() }
}

t.test('who will only stand in a queue has no flush of his own where others follow', async (t) => {
  const { clock, store, replica, r, flushes, ops } = await contested()
  store.held = true
  replica.submit(renewal(), r, 1, 1, NEVER)
  await clock.settle()
  replica.submit(waitingFor('x'), r, 2, 1, NEVER)
  await clock.run(10 * REPLICA_LIMITS.patienceMs)
  store.release()
  await clock.settle()
  t.equal(store.flushing, false, 'the disk is free for whoever comes next')
  t.equal(replica.inFlight, 1)
  store.held = false
  replica.submit(renewal('x'), r, 3, 1, NEVER)
  await clock.settle()
  t.same(ops(), [[OP.renew], [OP.acquire, OP.renew]], 'in the order in which they came')
  t.same(
    r.replies.map(({ id, code }) => [id, code]),
    [
      [1, OK],
      [2, QUEUED],
      [3, OK],
    ],
  )
  t.equal(flushes(), 2)
})

t.test('where nobody follows he is written down after a moment', async (t) => {
  const { clock, replica, r, flushes } = await contested()
  replica.submit(waitingFor('x'), r, 1, 1, NEVER)
  await clock.run(REPLICA_LIMITS.patienceMs / 2)
  t.same(r.codes, [])
  replica.submit(waitingFor('x', 'another'), r, 2, 1, NEVER)
  await clock.run(REPLICA_LIMITS.patienceMs / 2)
  t.same(r.ids, [1, 2], 'also if more like him come: the first one counts')
  t.equal(flushes(), 1)
  replica.submit(waitingFor('x', 'a third'), r, 3, 1, NEVER)
  await clock.settle()
  t.equal(flushes(), 1)
  await clock.run(REPLICA_LIMITS.patienceMs)
  t.same(r.ids, [1, 2, 3])
  t.equal(flushes(), 2)
})

t.test('who waits for a name that is free is not kept back', async (t) => {
  const { clock, store, machine, replica, r } = await contested()
  replica.submit(waitingFor('free'), r, 1, 1, NEVER)
  await clock.settle()
  t.same(r.ids, [1])
  store.held = true
  replica.submit(renewal('x'), r, 2, 1, NEVER)
  await clock.settle()
  replica.submit(waitingFor('x'), r, 3, 1, NEVER)
  machine.taken.clear()
  store.held = false
  store.release()
  await clock.settle()
  t.same(r.ids, [1, 2, 3], 'what counts is how the name stands when the disk is free')
})

t.test('who wants an answer now, or comes with many, is not kept back', async (t) => {
  const { clock, replica, r } = await contested()
  replica.submit({ ...waitingFor('x'), waitMs: 0 } as ReturnType<typeof waitingFor>, r, 1, 1, NEVER)
  await clock.settle()
  t.same(r.ids, [1])
  for (let id = 2; id <= REPLICA_LIMITS.patientCommands + 2; id++)
    replica.submit(waitingFor('x', `holder-${id}`), r, id, 1, NEVER)
  await clock.settle()
  t.equal(r.replies.length, REPLICA_LIMITS.patientCommands + 2, 'they are company enough')
})

t.test('he travels with whatever the member writes anyway', async (t) => {
  const { clock, machine, replica, r, ops } = await contested()
  const gone = new Recorder()
  replica.submit(waitingFor('free'), gone, 1, 1, NEVER)
  await clock.settle()
  replica.submit(waitingFor('x'), r, 2, 1, NEVER)
  replica.detach(gone)
  await clock.settle()
  t.equal(ops().length, 2, 'with the news of a waiter that is lost')
  t.same(machine.lost, [waiterId(1)])
  t.same(r.ids, [2])
})

t.test('a member that shuts down finishes those, too', async (t) => {
  const { clock, replica, r } = await contested()
  replica.submit(waitingFor('x'), r, 1, 1, NEVER)
  const closed = replica.close()
  await clock.run(100)
  await closed
  t.equal(r.codes[0], QUEUED)
  t.equal(clock.timers, 0)
})

t.test(
  'a command that comes alone after others that did leaves at once; in company a turn of the loop gathers',
  async (t) => {
    const { clock, replica, r, ops } = await contested()
    const turns: string[] = []
    const { next, soon } = clock
    clock.next = (task) => {
      turns.push('next')
      next.call(clock, task)
    }
    clock.soon = (task) => {
      turns.push('soon')
      soon.call(clock, task)
    }
    const turnOf = async (...commands: ClientCommand[]) => {
      turns.length = 0
      commands.forEach((command, id) => void replica.submit(command, r, id, 1, NEVER))
      const [turn] = turns
      await clock.run(2 * REPLICA_LIMITS.patienceMs)
      return turn
    }
    t.equal(await turnOf(renewal()), 'soon', 'nothing is known yet')
    t.equal(
      await turnOf(renewal(), renewal()),
      'next',
      'the first of them leaves, or both where they came in one frame',
    )
    t.equal(await turnOf(renewal()), 'soon', 'there was company')
    t.equal(await turnOf(waitingFor('x'), renewal()), 'next')
    t.equal(await turnOf(renewal()), 'next', 'who only waits is no company')
    t.same(
      ops().map(({ length }) => length),
      [1, 2, 1, 2, 1],
    )
  },
)
