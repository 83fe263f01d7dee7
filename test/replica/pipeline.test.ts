import { clusterMs, ERRORS, INTERNAL_OP, OK, OP, QUEUED, waiterId } from '@leasehold/protocol'
import { Batch } from '@leasehold/server/replica'
import t from 'tap'
import { fakeWorld, Recorder, renewal, waitingFor } from './fakes.js'

const NEVER = Number.POSITIVE_INFINITY

t.test('a reply comes only after the commit that carries its command', async (t) => {
  const { clock, store, replica, log } = await fakeWorld()
  store.held = true
  const r = new Recorder(log)
  replica.submit(renewal(), r, 7, 1, NEVER)
  t.equal(replica.inFlight, 1)
  await clock.run(500)
  t.same(r.replies, [], 'nothing while the disk works')
  store.release()
  t.same(r.replies, [{ id: 7, attempt: 1, code: OK, fields: [] }])
  t.equal(replica.inFlight, 0)
  t.same(
    log.filter((line) => !line.startsWith('flush')),
    ['durable', 'apply 2', 'r reply 7', 'r flush'],
  )
})

t.test('all that arrived in the same turn of the loop travels together', async (t) => {
  const { clock, store, replica, machine } = await fakeWorld()
  const r = new Recorder()
  for (let id = 1; id <= 100; id++) replica.submit(renewal(), r, id, 1, NEVER)
  t.equal(store.flushing, false, 'the batch is still open in this turn')
  await clock.settle()
  t.equal(machine.applied.at(-1)!.commands.length, 100)
  t.equal(r.flushes, 1, 'one flush for all of its replies')
  t.same(
    r.ids,
    Array.from({ length: 100 }, (_, i) => i + 1),
  )
})

t.test('nothing joins a batch after its stamp: a late joiner under a slow sync gets the next one', async (t) => {
  const { clock, store, replica, machine } = await fakeWorld()
  store.held = true
  const r = new Recorder()
  replica.submit(renewal('early'), r, 1, 1, NEVER)
  await clock.settle()
  await clock.run(40)
  replica.submit(renewal('late'), r, 2, 1, NEVER)
  await clock.run(40)
  store.release()
  t.same(r.ids, [1], 'the late one is not answered by the early commit')
  store.release()
  t.same(r.ids, [1, 2])
  const [early, late] = machine.applied.slice(-2)
  t.equal(early!.commands.length, 1)
  t.equal(late!.timeMs - early!.timeMs, 80, 'its stamp is of the close of its own batch')
})

/** What happens, in its order, where a batch of `count` is on its way to the disk and another one gathers. */
async function orderOf(count: number): Promise<string[]> {
  const { clock, store, replica, log } = await fakeWorld()
  store.held = true
  const r = new Recorder(log)
  for (let id = 1; id <= count; id++) replica.submit(renewal(), r, id, 1, NEVER)
  await clock.settle()
  replica.submit(renewal(), r, 99, 1, NEVER)
  await clock.settle()
  store.release()
  store.release()
  return log.filter((line) => !line.startsWith('r reply') || line.endsWith('99'))
}

t.test('the next batch is on its way to the disk before the last one is applied', async (t) => {
  const first = ['flush', 'durable', 'flush', 'apply 2', 'r flush']
  t.same(await orderOf(9), [...first, 'durable', 'apply 3', 'r reply 99', 'r flush'])
})

t.test('a few commands are answered before the next batch is on its way', async (t) => {
  const first = ['flush', 'durable', 'apply 2', 'r flush', 'flush']
  t.same(await orderOf(8), [...first, 'durable', 'apply 3', 'r reply 99', 'r flush'])
})

t.test('a command past its deadline is refused when its batch closes, and never after it was proposed', async (t) => {
  const { clock, store, replica, machine } = await fakeWorld()
  store.held = true
  const r = new Recorder()
  const inTime = clock.monotonicMs() + 100
  replica.submit(renewal('proposed'), r, 1, 1, inTime)
  await clock.settle()
  replica.submit(renewal('too late'), r, 2, 1, inTime)
  replica.submit(renewal('patient'), r, 3, 1, NEVER)
  await clock.run(200)
  store.release()
  store.release()
  await clock.settle()
  t.same(r.replies.map(({ id, code }) => [id, code]).sort(), [
    [1, OK],
    [2, ERRORS.OVERLOADED.wire],
    [3, OK],
  ])
  t.equal(machine.applied.at(-1)!.commands.length, 1)
  t.equal(replica.inFlight, 0)
})

t.test('a closed batch takes nothing in', async (t) => {
  const batch = new Batch(1)
  batch.close(0, () => t.fail('nothing to refuse'))
  t.throws(() => batch.add(renewal(), 10, new Recorder(), 1, 1, NEVER), /after it closed/)
})

t.test('full queues refuse at once, in count and in bytes; what was accepted is answered', async (t) => {
  const { clock, store, replica, machine } = await fakeWorld({ batchCommandsMax: 10, batchesMax: 2 })
  store.held = true
  const r = new Recorder()
  replica.submit(renewal(), r, 0, 1, NEVER)
  await clock.settle()
  for (let id = 1; id <= 25; id++) replica.submit(renewal(), r, id, 1, NEVER)
  await clock.settle()
  t.same(r.ids, [21, 22, 23, 24, 25])
  t.ok(r.codes.every((code) => code === ERRORS.OVERLOADED.wire))
  t.ok(
    r.replies.every(({ fields }) => (fields[1] as number) >= 50),
    'each is told when to come back',
  )
  t.equal(r.flushes, 1)
  store.held = false
  store.release()
  await clock.settle()
  t.equal(r.replies.length, 26)
  t.ok(machine.applied.every((entry) => entry.commands.length <= 10))

  const small = await fakeWorld({ batchBytesMax: 400, batchesMax: 2 })
  small.store.held = true
  for (let id = 1; id <= 50; id++) small.replica.submit(renewal(), r, id, 1, NEVER)
  await small.clock.settle()
  t.ok(small.replica.inFlight < 20, 'bounded in bytes')
})

t.test('each recipient is flushed once per batch, replies in order', async (t) => {
  const { clock, replica, log } = await fakeWorld()
  const a = new Recorder(log, 'a')
  const b = new Recorder(log, 'b')
  for (const [to, id] of [
    [a, 1],
    [b, 1],
    [a, 2],
    [b, 2],
  ] as const)
    replica.submit(renewal(), to, id, 1, NEVER)
  await clock.settle()
  t.same(
    log.filter((line) => line.includes('reply') || line.endsWith(' flush')),
    ['a reply 1', 'b reply 1', 'a reply 2', 'b reply 2', 'a flush', 'b flush'],
  )
})

t.test('whoever has waited is told before those who only learn that their command is done', async (t) => {
  const { clock, replica, machine, log } = await fakeWorld()
  const waiting = new Recorder(log, 'waiting')
  replica.submit(waitingFor('a'), waiting, 1, 1, NEVER)
  await clock.settle()
  log.length = 0
  machine.next = { settled: [{ waiter: waiterId(1), reply: { code: OK, fields: [] } }] }
  replica.submit(renewal(), new Recorder(log, 'releasing'), 1, 1, NEVER)
  await clock.settle()
  t.same(
    log.filter((line) => /^(waiting|releasing)/.test(line)),
    ['releasing reply 1', 'waiting reply 1', 'waiting flush', 'releasing flush'],
  )
})

t.test('a recipient that throws loses its replies, nobody else does', async (t) => {
  const { clock, replica, fatals } = await fakeWorld()
  const good = new Recorder()
  let calls = 0
  const bad = {
    reply() {
      calls++
      throw new Error('broken pipe')
    },
    flush() {},
  }
  for (let id = 1; id <= 3; id++) {
    replica.submit(renewal(), bad, id, 1, NEVER)
    replica.submit(renewal(), good, id, 1, NEVER)
  }
  await clock.settle()
  t.same(good.ids, [1, 2, 3])
  t.equal(calls, 1, 'it is not asked again')
  t.same(fatals, [])
})

t.test('a detached recipient hears nothing more, its commands are executed all the same', async (t) => {
  const { clock, store, replica, machine } = await fakeWorld()
  store.held = true
  const gone = new Recorder()
  const here = new Recorder()
  replica.submit(renewal('first'), gone, 1, 1, NEVER)
  await clock.settle()
  replica.submit(renewal('second'), gone, 2, 1, NEVER)
  replica.submit(renewal('third'), here, 1, 1, NEVER)
  replica.detach(gone)
  store.release()
  store.release()
  await clock.settle()
  t.same([gone.replies, gone.flushes], [[], 0])
  t.same(here.ids, [1])
  t.equal(
    machine.applied.slice(1).reduce((sum, entry) => sum + entry.commands.length, 0),
    3,
  )
})

t.test('a waiter gets QUEUED, then its answer under the same id', async (t) => {
  const { clock, replica, machine } = await fakeWorld()
  const r = new Recorder()
  replica.submit(waitingFor('x'), r, 5, 2, NEVER)
  await clock.settle()
  t.same(r.replies, [{ id: 5, attempt: 2, code: QUEUED, fields: [1] }])
  t.equal(replica.inFlight, 0, 'a waiting command is not in flight')
  machine.next = { settled: [{ waiter: waiterId(1), reply: { code: OK, fields: ['granted'] } }] }
  replica.submit(renewal(), new Recorder(), 1, 1, NEVER)
  await clock.settle()
  t.same(r.replies.at(-1), { id: 5, attempt: 2, code: OK, fields: ['granted'] })
  machine.next = { settled: [{ waiter: waiterId(1), reply: { code: OK, fields: ['again'] } }] }
  replica.submit(renewal(), new Recorder(), 1, 1, NEVER)
  await clock.settle()
  t.equal(r.replies.length, 2, 'once')
})

t.test('waiters of a detached recipient are reported lost, also when QUEUED finds it gone', async (t) => {
  const { clock, store, replica, machine } = await fakeWorld()
  const r = new Recorder()
  replica.submit(waitingFor('x'), r, 1, 1, NEVER)
  replica.submit(waitingFor('y'), r, 2, 1, NEVER)
  await clock.settle()
  replica.detach(r)
  replica.detach(r)
  await clock.settle()
  t.same(machine.lost, [1, 2])
  store.held = true
  const late = new Recorder()
  replica.submit(waitingFor('z'), late, 3, 1, NEVER)
  await clock.settle()
  replica.detach(late)
  store.held = false
  store.release()
  await clock.settle()
  t.same(machine.lost, [1, 2, 3])
  t.same(late.replies, [])
})

t.test(
  'a lost connection is told before what its client asks for on the next one, also within one batch',
  async (t) => {
    const { clock, store, replica, machine } = await fakeWorld()
    const first = new Recorder()
    const second = new Recorder()
    replica.submit(waitingFor('x'), first, 1, 1, NEVER)
    await clock.settle()
    store.held = true
    replica.submit(renewal(), second, 1, 1, NEVER)
    await clock.settle()
    replica.submit(waitingFor('x'), second, 1, 2, NEVER)
    replica.submit(renewal(), second, 2, 1, NEVER)
    replica.detach(first)
    store.held = false
    store.release()
    await clock.settle()
    t.same(
      machine.applied.at(-1)!.commands.map(({ op }) => op),
      [INTERNAL_OP.waiterLost, OP.acquire, OP.renew],
    )
    t.same(
      second.replies.map(({ id, code }) => [id, code]),
      [
        [1, OK],
        [1, QUEUED],
        [2, OK],
      ],
      'and everybody gets the answer to his own command',
    )
  },
)

t.test('a retry takes over the answer of its waiter; somebody else who waited for it is told', async (t) => {
  const { clock, replica, machine } = await fakeWorld()
  const first = new Recorder()
  const second = new Recorder()
  replica.submit(waitingFor('x'), first, 1, 1, NEVER)
  await clock.settle()
  replica.submit(waitingFor('x'), second, 9, 2, NEVER)
  await clock.settle()
  t.same(first.codes, [QUEUED, ERRORS.OUTCOME_UNKNOWN.wire])
  replica.detach(first)
  machine.next = { settled: [{ waiter: waiterId(1), reply: { code: OK, fields: [] } }] }
  replica.submit(renewal(), new Recorder(), 1, 1, NEVER)
  await clock.settle()
  t.same(second.codes, [QUEUED, OK])
  t.same(machine.lost, [], 'the waiter that was taken over is not lost with the first attempt')
})

t.test('the first entry of a run admits it; a machine that throws ends the process unanswered', async (t) => {
  const { clock, store, replica, machine, fatals } = await fakeWorld()
  t.match(store.entriesSeen[0]!.commands, [{ op: INTERNAL_OP.admitRun, member: 'm', nonce: /./, url: '', peerUrl: '' }])
  t.equal(store.entriesSeen[0]!.term, 1)
  const r = new Recorder()
  machine.next = { throws: new Error('an invariant broke') }
  replica.submit(renewal(), r, 1, 1, NEVER)
  await clock.settle()
  t.match(fatals, [/invariant/])
  t.same(r.replies, [])
  t.equal(replica.ready, false)
})

t.test(
  'beats come about every 250 ms while anything is timed, and only where nothing else moves time on',
  async (t) => {
    const { clock, replica, machine } = await fakeWorld()
    const before = machine.applied.length
    await clock.run(2_000)
    t.equal(machine.applied.length, before, 'nothing is timed: no entry')
    machine.timed = true
    await clock.run(2_500)
    const beats = machine.applied.slice(before)
    t.ok(beats.length >= 9 && beats.length <= 11, `${beats.length} beats in 2.5 s`)
    t.ok(beats.every((entry) => entry.commands.length === 1 && entry.commands[0]!.op === INTERNAL_OP.beat))
    for (let i = 1; i < beats.length; i++) t.ok(beats[i]!.timeMs - beats[i - 1]!.timeMs <= 250)
    const r = new Recorder()
    for (let i = 0; i < 20; i++) {
      replica.submit(renewal(), r, i, 1, NEVER)
      await clock.run(50)
    }
    const busy = machine.applied.slice(before + beats.length)
    t.equal(busy.filter((entry) => entry.commands.some((command) => command.op === INTERNAL_OP.beat)).length, 0)
  },
)

t.test('an unfinished sweep is gone on with at once', async (t) => {
  const { clock, replica, machine } = await fakeWorld()
  machine.next = { moreDue: true }
  replica.submit(renewal(), new Recorder(), 1, 1, NEVER)
  await clock.settle()
  t.same(machine.applied.at(-1)!.commands, [{ op: INTERNAL_OP.sweep }])
})

t.test('a pause of the process gains two ticks of cluster time, whatever its length', async (t) => {
  const { clock, replica, machine } = await fakeWorld()
  const r = new Recorder()
  replica.submit(renewal(), r, 1, 1, NEVER)
  await clock.settle()
  const before = machine.timeMs
  clock.stall(60_000)
  replica.submit(renewal(), r, 2, 1, NEVER)
  await clock.settle()
  t.equal(machine.timeMs, clusterMs(before + 60))
})

t.test('a hung flush turns ready off after an election timeout and ends the process after 30 s', async (t) => {
  const { clock, store, replica, fatals } = await fakeWorld()
  store.held = true
  replica.submit(renewal(), new Recorder(), 1, 1, NEVER)
  await clock.run(500)
  t.equal(replica.ready, true)
  await clock.run(300)
  t.equal(replica.ready, false)
  clock.stall(3_600_000)
  await clock.run(20_000)
  t.same(fatals, [], 'waking up is no hang')
  await clock.run(10_000)
  t.match(fatals, [/flush hangs/])
  t.equal(fatals.length, 1)
})

t.test('a slow flush that ends makes the member ready again', async (t) => {
  const { clock, store, replica } = await fakeWorld()
  store.held = true
  replica.submit(renewal(), new Recorder(), 1, 1, NEVER)
  await clock.run(1_000)
  t.equal(replica.ready, false)
  store.held = false
  store.release()
  t.equal(replica.ready, true)
})
