/** What is known of a request once it has stood in a queue, whatever the members say to it afterwards. */
import { OP, QUEUED } from '@leasehold/protocol'
import t from 'tap'
import { failure } from './claim.js'
import { type Answer, error, FakeWorld, type Received } from './fake.js'

t.test(
  'a refusal after QUEUED takes nothing back: it is asked for again, and never said not to be executed',
  async (t) => {
    for (const code of ['SHUTTING_DOWN', 'OVERLOADED'] as const) {
      const world = new FakeWorld()
      const client = world.client()
      await client.ready()
      const queue = (request: Received): Answer | null =>
        request.op === OP.acquire ? [QUEUED, 5] : world.obliging(request)
      const last = () => world.got(OP.acquire).at(-1)!
      const refuse = ({ connection, id, attempt }: Received) => {
        const [wire, ...fields] = error(code)
        connection.reply([id, attempt, wire, fields])
      }
      world.answer = queue
      const again = client.acquire('n', { wait: '1m' })
      await world.time.advance(10_000)
      world.answer = (request) => world.obliging(request)
      refuse(last())
      t.equal((await world.time.until(again)).token, 1)
      const [first, second] = world.got(OP.acquire)
      t.equal(second!.fields[0], first!.fields[0], `${code}: as the same request`)

      world.answer = queue
      const failed = failure(client.acquire('m', { wait: '1s' }))
      await world.time.advance(3_000)
      const queued = last()
      world.answer = (request) => (request.op === OP.acquire ? error(code) : world.obliging(request))
      // The patience with its place has just ended: the refusal comes to an attempt that is not the last one any more.
      await world.time.advance(10)
      refuse(queued)
      t.same([(await world.time.until(failed)).executed, world.got(OP.cancelWait).length], ['unknown', 1], code)
      t.ok(last().attempt > 1)
      await world.time.until(client.close())
    }
  },
)
