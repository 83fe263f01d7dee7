/** The ledgers of batches on their way: what waits at a leader, and what an origin may say of what it sent. */
import { type ClientCommand, encodeCommands, fencingToken, OP, run, term } from '@leasehold/protocol'
import {
  Batch,
  FORWARD,
  type ForwardedBatch,
  type ForwardRefusal,
  InboundQueue,
  Origin,
  REFUSAL,
  REPLICA_LIMITS,
} from '@leasehold/server/replica'
import t from 'tap'
import { Recorder, renewal } from './fakes.js'

const NEVER = Number.POSITIVE_INFINITY
const command: ClientCommand = { op: OP.renew, principal: 'p', name: 'a', token: fencingToken(1) }
const batch = (over: Partial<ForwardedBatch> = {}): ForwardedBatch => ({
  kind: FORWARD.batch,
  term: term(5),
  member: 'n1',
  run: run(2),
  batch: 1,
  body: encodeCommands([command]),
  ...over,
})

function leaderOf(of: number) {
  const refused: [string, ForwardRefusal][] = []
  const queue = new InboundQueue((to, refusal) => refused.push([to, refusal]))
  queue.lead(term(of))
  return { queue, refused }
}

t.test('a leader takes batches of its own term alone, and says which it did not take', async (t) => {
  const { queue, refused } = leaderOf(5)
  t.equal(queue.offer('n1@d', batch()), true)
  t.equal(queue.offer('n1@d', batch({ term: term(4), batch: 2 })), false, 'one that was long on its way')
  t.equal(queue.offer('n1@d', batch({ term: term(6), batch: 3 })), false)
  t.same(
    refused.map(([to, { term, batch, reason }]) => [to, term, batch, reason]),
    [
      ['n1@d', 4, 2, REFUSAL.notLeading],
      ['n1@d', 6, 3, REFUSAL.notLeading],
    ],
  )
  t.same(
    queue.take().map((one) => one.commands),
    [[command]],
  )
  t.equal(queue.empty, true)
})

t.test('what has not been appended when a reign ends is refused, and never appended', async (t) => {
  const { queue, refused } = leaderOf(5)
  queue.offer('n1@d', batch())
  queue.follow()
  t.equal(refused[0]![1].reason, REFUSAL.notLeading)
  t.same(queue.take(), [])
  t.equal(queue.offer('n1@d', batch()), false)
  queue.lead(term(7))
  t.same(queue.take(), [])
})

t.test('what waits at a leader is bounded in count and bytes', async (t) => {
  const { queue, refused } = leaderOf(5)
  for (let n = 1; n <= REPLICA_LIMITS.inboundMax; n++) t.equal(queue.offer('n1@d', batch({ batch: n })), true)
  t.equal(queue.offer('n1@d', batch({ batch: 9_999 })), false)
  t.equal(refused[0]![1].reason, REFUSAL.full)
  queue.take()
  const large = { ...batch(), body: new Uint8Array(REPLICA_LIMITS.inboundBytesMax + 1) }
  t.equal(queue.offer('n1@d', large), false)
})

t.test('nobody speaks for another member', async (t) => {
  const { queue } = leaderOf(5)
  t.throws(() => queue.offer('n2@d', batch()), { code: 'INVALID_ARGUMENT' })
  t.throws(() => queue.offer('n1@d', batch({ body: new Uint8Array([1, 2, 3]) })), { code: 'INVALID_ARGUMENT' })
  t.equal(queue.empty, true)
})

function sent(count: number) {
  const origin = new Origin()
  for (let n = 1; n <= count; n++) {
    const one = new Batch(n)
    one.add(renewal(), 10, new Recorder(), n, 1, NEVER)
    one.close(0, () => {})
    origin.close(one, [])
  }
  const numbers: number[] = []
  const send = (room = NEVER) =>
    origin.send(({ number }) => {
      if (numbers.length >= room) return false
      numbers.push(number)
      return true
    })
  return { origin, numbers, send }
}

t.test(
  'batches are sent in order, as far as there is room, and again from the first when the way is lost',
  async (t) => {
    const { origin, numbers, send } = sent(4)
    send(2)
    t.same(numbers, [1, 2])
    send()
    t.same(numbers, [1, 2, 3, 4])
    t.equal(origin.allSent, true)
    origin.lost()
    numbers.length = 0
    send()
    t.same(numbers, [1, 2, 3, 4])
  },
)

t.test('only what was sent once, and refused, was surely not executed', async (t) => {
  const { origin, send } = sent(3)
  send()
  t.equal(origin.refused(2, true)?.number, 2, 'sent once')
  origin.lost()
  send()
  t.equal(origin.refused(1, true), null, 'in doubt: it may have come into a log before')
  t.equal(origin.allSent, false, 'and is sent again')
  send()
  t.equal(origin.refused(3, false), null)
  t.equal(origin.refused(7, true), null)
  t.equal(origin.count, 2)
})

t.test('a batch that is applied settles itself and all in front of it', async (t) => {
  const { origin, send } = sent(4)
  send()
  const { done, never } = origin.applied(3)
  t.equal(done?.number, 3)
  t.same(
    never.map(({ number }) => number),
    [1, 2],
  )
  t.same(origin.applied(3), { done: null, never: [] }, 'once')
  t.equal(origin.count, 1)
  t.equal(origin.sentCount, 1)
  t.same(
    origin.through(9).map(({ number }) => number),
    [4],
  )
  t.equal(origin.allSent, true)
})
