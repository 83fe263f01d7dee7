/** The replica of real parts over a disk in RAM: what was acknowledged survives, what fails is never acknowledged. */
import { type ClientCommand, ERRORS, fencingToken, OFFERED, OK, QUEUED, type Reply } from '@leasehold/protocol'
import { ChainCheck } from '@leasehold/server/cli'
import fc from 'fast-check'
import t from 'tap'
import { Inbox, World } from '../support/world.js'
import { acquire, history, release, renew, request, tokenOf } from './commands.js'

async function ask(world: World, command: ClientCommand): Promise<Reply> {
  const { last } = new Inbox().ask(world.replica, command)
  await world.clock.settle()
  return last
}

async function chainIsWhole(world: World): Promise<string | null> {
  const check = new ChainCheck()
  for (const event of await history(world)) check.add({ ...event, at: new Date(event.wallMs).toISOString() })
  return check.broken === null ? null : `event ${check.broken.seq}: ${check.broken.why}`
}

t.test('after a crash everything acknowledged is there, tokens grow, the audit verifies', async (t) => {
  const world = await World.serving()
  let highest = 0
  const held = new Map<string, number>()
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 40; i++) {
      const name = `n/${(round * 7 + i) % 25}`
      const token = held.get(name)
      if (token !== undefined && i % 3 === 0) {
        t.equal((await ask(world, release(name, token))).code, OK)
        held.delete(name)
      } else if (token === undefined) {
        const reply = await ask(world, acquire(name, `h${i}`))
        t.equal(reply.code, OK)
        t.ok(tokenOf(reply) > highest, 'tokens only grow')
        highest = tokenOf(reply)
        held.set(name, highest)
      }
      if (i % 10 === 0) await world.clock.run(90)
    }
    const before = await history(world)
    const timeMs = world.replica.status.clusterMs
    await world.restart()
    t.same((await history(world)).slice(0, before.length), before, 'the history is the same')
    t.equal(await chainIsWhole(world), null)
    t.ok(world.replica.status.clusterMs >= timeMs, 'cluster time does not go back')
    t.equal(world.replica.status.term, round + 2, 'each run has a term of its own')
    for (const [name, token] of held) t.equal(world.replica.getLease(name)?.[2], token)
    t.equal(world.replica.status.leases, held.size)
  }
  await world.close()
  t.same(world.fatals, [])
})

t.test('a crash at any step of the disk loses no acknowledged grant (generated)', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 60 }), async (crashAt, commands) => {
      const world = await World.serving()
      const inbox = new Inbox()
      let steps = 0
      let crashed = false
      world.disk.before = () => {
        if (++steps >= crashAt) crashed = true
        if (crashed) throw new Error('the process is gone')
      }
      for (let i = 0; i < commands && !crashed; i++) {
        inbox.ask(world.replica, acquire(`n/${i}`, 'h'))
        if (i % 3 === 0) await world.clock.run(20)
      }
      await world.clock.settle()
      const acknowledged = inbox.replies.map(({ reply }) => tokenOf(reply))
      world.disk.before = () => {}
      await world.restart()
      const there = new Set(
        world.replica.listLeases({ prefix: 'n/', after: null, limit: 1_000 }).leases.map((l) => l[2]),
      )
      for (const token of acknowledged) if (!there.has(fencingToken(token))) return false
      return (await chainIsWhole(world)) === null
    }),
    { numRuns: 60 },
  )
  t.pass('over 60 generated crashes')
})

t.test('a reply waits for the commit of its own batch, which began after it was submitted', async (t) => {
  const world = await World.serving()
  await world.clock.run(500)
  const began: number[] = []
  let open: (() => void) | null = null
  let order = 0
  world.disk.before = (step) => {
    if (step.kind !== 'commit') return
    began.push(++order)
    return new Promise<void>((resolve) => {
      open = resolve
    })
  }
  const inbox = new Inbox()
  const submitted = ++order
  inbox.ask(world.replica, acquire('a', 'h'))
  await world.clock.settle()
  t.same(inbox.replies, [], 'held at the commit: no reply')
  const early = began[0]!
  t.ok(early > submitted)
  const late = ++order
  inbox.ask(world.replica, acquire('b', 'h'))
  await world.clock.settle()
  t.equal(began.length, 1, 'one flush at a time')
  open!()
  await world.clock.settle()
  t.equal(inbox.replies.length, 1, 'the late one is not carried by the commit that began before it')
  t.ok(began[1]! > late)
  open!()
  await world.clock.settle()
  t.equal(inbox.replies.length, 2)
  world.disk.before = () => {}
  open!()
  await world.close()
})

t.test('a failing commit is fatal, and nobody gets an answer', async (t) => {
  const world = await World.serving()
  world.disk.before = (step) => {
    if (step.kind === 'commit') throw new Error('EIO')
  }
  const inbox = new Inbox()
  inbox.ask(world.replica, acquire('a', 'h'))
  await world.clock.settle()
  inbox.ask(world.replica, acquire('b', 'h'))
  await world.clock.run(2_000)
  t.match(world.fatals, [/EIO/])
  t.same(inbox.replies, [])
  world.disk.before = () => {}
  await world.restart()
  t.equal(world.replica.getLease('a'), null)
})

t.test('a retry after a crash has its first outcome', async (t) => {
  const world = await World.serving()
  const first = await ask(world, acquire('a', 'h', { request: request(1) }))
  await world.restart()
  const again = await ask(world, acquire('a', 'h', { request: request(1) }))
  t.same([again.code, tokenOf(again), again.fields[3]], [OK, tokenOf(first), true])
})

t.test(
  'a waiter survives a crash: the same request comes back to its place, and who does not is forgotten',
  async (t) => {
    const world = await World.serving()
    const token = tokenOf(await ask(world, acquire('a', 'h')))
    const wait = { waitMs: 3_600_000 }
    const before = new Inbox()
    before.ask(world.replica, acquire('a', 'gone', { ...wait, request: request(1) }))
    before.ask(world.replica, acquire('a', 'back', { ...wait, request: request(2) }))
    await world.clock.run(5)
    t.same(
      before.replies.map(({ reply }) => reply.code),
      [QUEUED, QUEUED],
    )
    await world.restart()
    t.equal(world.replica.status.waiters, 2)
    await world.clock.run(2_000)
    const after = new Inbox()
    const { last } = after.ask(world.replica, acquire('a', 'back', { ...wait, request: request(2) }), 2)
    await world.clock.run(6_000)
    t.equal(world.replica.status.waiters, 1, 'the other one was kept 5 s')
    await ask(world, release('a', token))
    const offer = await last
    t.equal(offer.code, OFFERED)
    t.equal((await ask(world, renew('a', tokenOf(offer)))).code, OK)
    t.equal(before.replies.length, 2, 'the lost connection heard nothing more')
  },
)

t.test('a lease outlives a restart by the time that was lost, and then ends', async (t) => {
  const world = await World.serving()
  await world.clock.run(1_500)
  await ask(world, acquire('a', 'h', { ttlMs: 2_000 }))
  await world.clock.run(1_000)
  await world.crash()
  world.clock.stall(60_000)
  await world.start()
  t.equal(world.replica.getLease('a')?.[1], 'h', 'an hour of outage ends nothing by itself')
  await world.clock.run(4_000)
  t.equal(world.replica.getLease('a'), null, 'rest of the ttl, one beat, one hold')
})

t.test('the watch feed has the order of the history, over a busy second', async (t) => {
  const world = await World.serving()
  await world.clock.run(1_500)
  const fed: number[] = []
  world.replica.subscribe({ events: (events) => fed.push(...events.map(({ seq }) => seq)) })
  const from = world.replica.audit.last
  const inbox = new Inbox()
  for (let i = 0; i < 300; i++) {
    inbox.ask(world.replica, acquire(`n/${i % 20}`, `h${i}`, { ttlMs: 100 }))
    if (i % 4 === 0) await world.clock.run(13)
  }
  await world.clock.run(2_000)
  const stored = (await history(world)).map(({ seq }) => seq).filter((seq) => seq > from)
  t.ok(stored.length > 200)
  t.same(fed, stored)
})

t.test('shutting down under load: what was accepted is answered and kept, what comes is refused', async (t) => {
  const world = await World.serving()
  const inbox = new Inbox()
  const asked = Array.from({ length: 500 }, (_, i) => inbox.ask(world.replica, acquire(`n/${i}`, 'h')))
  const closing = world.replica.close()
  const refused = inbox.ask(world.replica, acquire('late', 'h'))
  await world.clock.settle()
  await closing
  const replies = await Promise.all(asked.map(({ last }) => last))
  t.ok(replies.every((reply) => reply.code === OK))
  t.equal((await refused.last).code, ERRORS.SHUTTING_DOWN.wire)
  await world.start()
  t.equal(world.replica.status.leases, 500)
  t.equal(world.replica.status.appliedIndex, world.replica.status.lastIndex)
  t.equal(await chainIsWhole(world), null)
  await world.close()
})

t.test('twelve thousand leases that end together are swept entry by entry', async (t) => {
  const world = await World.serving()
  await world.clock.run(1_500)
  const inbox = new Inbox()
  for (let i = 0; i < 12_000; i++) world.replica.submit(acquire(`n/${i}`, 'h', { ttlMs: 5_000 }), inbox, i, 1, 1e12)
  await world.clock.settle()
  t.equal(world.replica.status.leases, 12_000)
  await world.clock.run(5_400)
  t.equal(world.replica.status.leases, 0)
  await world.close()
})
