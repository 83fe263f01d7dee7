/** What travels in one frame, and when it leaves. */
import t from 'tap'
import { FakeWorld } from './fake.js'

t.test('requests of one turn travel in one frame, and connect only then', async (t) => {
  const world = new FakeWorld()
  const client = world.client()
  await world.time.advance(60_000)
  t.equal(world.connections.length, 0, 'a client that is not used opens nothing')
  t.equal(world.time.pending, 0, 'and starts no timer')
  const leases = await Promise.all(Array.from({ length: 500 }, (_, i) => client.acquire(`n/${i}`)))
  t.equal(world.frames, 1)
  t.equal(world.connections.length, 1)
  t.same(world.connections[0]!.hello!.clientName, 'billing')
  await Promise.all(leases.map((lease) => lease.renew()))
  t.equal(world.frames, 2, 'renewals of many leases, too')
  t.equal(new Set(world.received.map((request) => request.id)).size, 1_000, 'each under a number of its own')
  await world.time.until(client.close())
})

t.test('after a request that was alone the next leaves at once; what follows it waits for the turn', async (t) => {
  const world = new FakeWorld()
  const client = world.client()
  const { machine } = world
  let atOnce = 0
  machine.next = (task) => {
    atOnce++
    machine.soon(task)
  }
  const lease = await client.acquire('n')
  t.equal(atOnce, 0, 'nothing is known yet')
  await lease.renew()
  t.equal(atOnce, 1)
  await Promise.all([lease.renew(), client.acquire('a'), client.acquire('b')])
  t.equal(atOnce, 2, 'all of them travel in this frame')
  t.equal(world.frames, 3)
  await lease.renew()
  t.equal(atOnce, 2, 'there was company')
  world.answer = () => null
  const first = t.rejects(lease.renew(), { code: 'CLOSED' })
  await world.time.settle()
  t.equal(atOnce, 3)
  const others = ['c', 'd'].map((name) => t.rejects(client.acquire(name), { code: 'CLOSED' }))
  await world.time.settle()
  t.equal(atOnce, 3, 'another is under way')
  t.equal(world.frames, 6)
  await world.time.until(client.close())
  await Promise.all([first, ...others])
})
