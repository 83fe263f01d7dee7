/** Watches over connections that break, readers that are slow, and members that end them. */
import type { LeaseEvent } from '@leasehold/client'
import {
  auditSeq,
  type ChainedEvent,
  chainedFields,
  clusterMs,
  ERRORS,
  fencingToken,
  OP,
  type Push,
  term,
  wallMs,
} from '@leasehold/protocol'
import t from 'tap'
import { failure } from './claim.js'
import { FakeWorld, type Received } from './fake.js'

const event = (seq: number): ChainedEvent => ({
  ...{ seq: auditSeq(seq), type: 'granted', name: 'n', holder: 'h', token: fencingToken(seq), reason: null },
  ...{ cause: 'acquire', principal: 'p', wallMs: wallMs(1), clusterMs: clusterMs(1), member: 'm', term: term(1) },
  ...{ renewals: 0, vacant: false, previousHash: '00', hash: '00' },
})

const push = (request: Received, seq: number): Push => ['event', request.id, `c1.${seq}`, chainedFields(event(seq))]
const seqOf = (result: IteratorResult<LeaseEvent, undefined>) => result.value?.seq

t.test('after a lost connection it goes on from the last event that was read', async (t) => {
  const world = new FakeWorld()
  const client = world.client()
  const watch = client.watch({ prefix: 'n', after: 'c1.5' })
  const first = watch.next()
  await world.time.settle()
  const [opened] = world.got(OP.watch) as [Received]
  t.same(opened.fields, ['n', 'c1.5'])
  opened.connection.push(push(opened, 6), push(opened, 7))
  t.equal(seqOf(await first), 6)
  world.network.cut()
  await world.time.advance(10_000)
  t.equal(world.got(OP.watch).length, 1, 'nobody waits: nobody connects')
  t.equal(seqOf(await watch.next()), 7, 'what had arrived is still there')
  t.equal(watch.cursor, 'c1.7')
  const next = watch.next()
  await world.time.advance(1_000)
  const again = world.got(OP.watch)[1]!
  t.same(again.fields, ['n', 'c1.7'])
  again.connection.push(push(again, 7), push(again, 8))
  t.equal(seqOf(await next), 8, 'an event that comes twice is told once')
  await watch.return()
  await world.time.settle()
  t.same(world.got(OP.unwatch)[0]!.fields, [again.id])
  await world.time.until(client.close())
})

t.test('a watch that begins now resumes from where it began, also before its first event', async (t) => {
  const world = new FakeWorld()
  const client = world.client()
  const watch = client.watch()
  const next = watch.next()
  await world.time.settle()
  t.equal(watch.cursor, 'c1.0')
  world.network.cut()
  await world.time.advance(1_000)
  const again = world.got(OP.watch)[1]!
  t.same(again.fields, ['', 'c1.0'])
  again.connection.push(push(again, 1))
  t.equal(seqOf(await next), 1)
  await watch.return()
  await world.time.until(client.close())
})

t.test('a slow reader keeps a bounded number of events, and misses none', async (t) => {
  const world = new FakeWorld()
  const client = world.client()
  const watch = client.watch()
  const first = watch.next()
  await world.time.settle()
  const opened = world.got(OP.watch)[0]!
  for (let seq = 1; seq <= 6_000; seq += 500)
    opened.connection.push(...Array.from({ length: 500 }, (_, i) => push(opened, seq + i)))
  await world.time.settle()
  t.equal(world.got(OP.unwatch).length, 1, 'the watch was given up when the buffer was full')
  t.equal(seqOf(await first), 1)
  for (let seq = 2; seq <= 4_097; seq++) if (seqOf(await watch.next()) !== seq) return t.fail(`event ${seq} is missing`)
  const next = watch.next()
  await world.time.settle()
  const again = world.got(OP.watch)[1]!
  t.same(again.fields, ['', 'c1.4097'], 'and taken up again where it was left')
  again.connection.push(push(again, 4_098))
  t.equal(seqOf(await next), 4_098)
  await watch.return()
  await world.time.until(client.close())
})

t.test(
  'a member that ends a watch is asked again after a pause, unless it says that there is no going on',
  async (t) => {
    const world = new FakeWorld()
    const client = world.client()
    const watch = client.watch()
    const next = failure(watch.next())
    await world.time.settle()
    const wire = ERRORS.LIMIT_REACHED.wire
    world.answer = (request) => {
      if (request.op === OP.watch)
        world.time.soon(() => request.connection.push(['watchEnd', request.id, wire, 'full']))
      return world.obliging(request)
    }
    const opened = world.got(OP.watch)[0]!
    opened.connection.push(['watchEnd', opened.id, wire, 'full'])
    await world.time.advance(20_000)
    const tries = world.got(OP.watch).length
    t.ok(tries > 5 && tries < 60, `${tries} tries in 20 s`)
    world.answer = (request) => world.obliging(request)
    await world.time.advance(15_000)
    const last = world.got(OP.watch).at(-1)!
    last.connection.push(['watchEnd', last.id, ERRORS.CURSOR_COMPACTED.wire, 'trimmed'])
    t.match(await next, { code: 'CURSOR_COMPACTED', message: 'trimmed' })
    t.same(await watch.next(), { done: true, value: undefined }, 'after that it is over')
    await world.time.until(client.close())
  },
)

t.test('several may wait for the next event, and all are told when it ends', async (t) => {
  const world = new FakeWorld()
  const client = world.client()
  const stop = new AbortController()
  const watch = client.watch({ signal: stop.signal })
  const [one, two, three] = [watch.next(), watch.next(), failure(watch.next())]
  await world.time.settle()
  const opened = world.got(OP.watch)[0]!
  opened.connection.push(push(opened, 1), push(opened, 2))
  t.same([seqOf(await one), seqOf(await two)], [1, 2])
  stop.abort()
  t.equal((await three).code, 'ABORTED')
  t.throws(() => client.watch({ prefix: '//' }), { code: 'INVALID_ARGUMENT' })
  await world.time.until(client.close())
})
