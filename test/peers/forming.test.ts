import { type Facts, Forming, type Poll } from '@leasehold/server/peers'
import fc from 'fast-check'
import t from 'tap'
import { holds } from '../protocol/support.js'
import { FormingWorld } from './formingworld.js'

const facts = (clusterId: string, names: readonly string[]): Facts => ({ clusterId, names, founding: null })
const THREE = ['n1', 'n2', 'n3']

t.test('a single member founds at once', async (t) => {
  const one = new Forming({ self: 'n1@d1', members: ['n1'] })
  t.same(one.round(), [])
  t.same(one.decision, { kind: 'found', peers: ['n1@d1'] })
})

t.test('the lowest founds when all have answered in one round that they are empty, and not before', async (t) => {
  const one = new Forming({ self: 'n1@d1', members: THREE })
  const [first, late] = one.round() as [Poll, Poll]
  one.answered(first, { kind: 'empty', peer: 'n2@d2' })
  t.equal(one.decision, null)
  const [second] = one.round() as [Poll, Poll]
  one.answered(second, { kind: 'empty', peer: 'n2@d2' })
  one.answered(late, { kind: 'empty', peer: 'n3@d3' })
  t.equal(one.decision, null, 'an answer of an earlier round says nothing of now')
  const [a, b] = one.round() as [Poll, Poll]
  one.answered(b, { kind: 'empty', peer: 'n3@d3' })
  t.equal(one.decision, null, 'n2 has not answered in this round')
  one.answered(a, { kind: 'empty', peer: 'n2@d2' })
  t.same(one.decision, { kind: 'found', peers: ['n1@d1', 'n2@d2', 'n3@d3'] })
  t.same(one.round(), [])
  const asked = { versions: { min: 1, max: 1 }, peer: 'n2@d2', members: THREE, founds: false }
  t.equal(one.asked(asked).kind, 'busy')
  one.formed(facts('c', ['n1@d1']))
  t.same(one.asked(asked), { kind: 'formed', peer: 'n1@d1', facts: facts('c', ['n1@d1']) })
})

t.test('a wiped founder that has met a cluster neither founds nor says so, until that is gone, too', async (t) => {
  const one = new Forming({ self: 'n1@d9', members: THREE })
  const [a, b] = one.round() as [Poll, Poll]
  t.ok(a.ask.founds)
  one.answered(b, { kind: 'formed', peer: 'n3@d3', facts: facts('c', ['n1@d1', 'n2@d2', 'n3@d3']) })
  const [c, d] = one.round() as [Poll, Poll]
  t.notOk(c.ask.founds)
  one.answered(c, { kind: 'empty', peer: 'n2@d2' })
  one.answered(d, { kind: 'empty', peer: 'n3@d8' })
  t.equal(one.decision, null, 'they were not told that it might found')
  const again = one.round() as [Poll, Poll]
  for (const poll of again) one.answered(poll, { kind: 'empty', peer: `${poll.to}@d8` })
  t.equal(one.decision?.kind, 'found')
})

t.test('nobody but the lowest founds', async (t) => {
  const two = new Forming({ self: 'n2@d2', members: THREE })
  for (const poll of two.round()) two.answered(poll, { kind: 'empty', peer: `${poll.to}@d` })
  t.equal(two.decision, null)
})

t.test('who is named by a formed cluster joins it; who is not waits, and says what can be done', async (t) => {
  const two = new Forming({ self: 'n2@d9', members: THREE })
  const [poll] = two.round() as [Poll]
  two.answered(poll, { kind: 'formed', peer: 'n1@d1', facts: facts('c', ['n1@d1', 'n2@d2', 'n3@d3']) })
  t.equal(two.decision, null)
  t.ok(two.stranger)
  t.match(
    two.waitingFor,
    /n1@d1 belongs to the cluster c, which does not name n2@d9.*cluster add.*empty data directory/,
  )
  const [again] = two.round() as [Poll]
  const added = facts('c', ['n1@d1', 'n2@d9', 'n3@d3'])
  two.answered(again, { kind: 'formed', peer: 'n1@d1', facts: added })
  t.same(two.decision, { kind: 'join', facts: added }, 'it was added meanwhile')
})

t.test('what was asked before a founder was told "empty" is not copied', async (t) => {
  const two = new Forming({ self: 'n2@d2', members: THREE })
  const [before] = two.round() as [Poll]
  t.equal(two.asked({ versions: { min: 1, max: 1 }, peer: 'n1@d9', members: THREE, founds: true }).kind, 'empty')
  const answer = { kind: 'formed', peer: 'n1@d1', facts: facts('c', ['n1@d1', 'n2@d2']) } as const
  two.answered(before, answer)
  t.equal(two.decision, null)
  const [after] = two.round() as [Poll]
  two.answered(after, answer)
  t.equal(two.decision?.kind, 'join')
})

t.test('lists and formats that differ are named, and nobody founds on them', async (t) => {
  const one = new Forming({ self: 'n1@d1', members: THREE })
  const ask = { versions: { min: 1, max: 1 }, peer: 'n2@d2', members: ['n1', 'n2'], founds: false }
  t.match(one.asked(ask), { kind: 'differs', detail: 'n1 lists the members n1, n2, n3; n2 lists n1, n2' })
  t.match(one.asked({ ...ask, members: THREE, versions: { min: 3, max: 4 } }), { kind: 'differs', detail: /formats/ })
  const [a, b] = one.round() as [Poll, Poll]
  one.answered(a, { kind: 'differs', peer: 'n2@d2', detail: 'n2 lists others' })
  one.answered(b, { kind: 'empty', peer: 'n2@d2' })
  t.equal(one.waitingFor, 'n2 lists others; the address of n3 leads to n2@d2')
  t.equal(one.decision, null)
  t.throws(() => new Forming({ self: 'n4@d4', members: THREE }), /lacks n4/)
})

const steps = fc.array(fc.nat(1_000_000), { minLength: 50, maxLength: 300, size: 'max' })
const histories = fc.tuple(fc.integer({ min: 1, max: 3 }), steps)

t.test('whatever is lost, crashes, starts late or is wiped: never two clusters', async (t) => {
  let formed = 0
  let wiped = 0
  holds(
    t,
    fc.property(histories, ([size, steps]) => {
      const world = new FormingWorld(size)
      for (const step of steps) {
        world.step(step)
        if (world.clusters.size > 1) return false
      }
      formed += world.clusters.size
      wiped += world.wiped
      return true
    }),
    15_000,
  )
  t.ok(formed > 300 && wiped > 300, `${formed} clusters were formed, ${wiped} directories wiped`)
})

t.test('once all are up and nothing is lost, there is one cluster, and all that it names are in it', async (t) => {
  holds(
    t,
    fc.property(histories, ([size, steps]) => {
      const world = new FormingWorld(size)
      for (const step of steps) world.step(step)
      world.settle()
      return world.clusters.size === 1 && world.waiting.every((forming) => forming.stranger)
    }),
    1_500,
  )
})

t.test('without wipes nobody is left out', async (t) => {
  holds(
    t,
    fc.property(histories, ([size, steps]) => {
      const world = new FormingWorld(size, 0)
      for (const step of steps) world.step(step)
      world.settle()
      return world.clusters.size === 1 && world.waiting.length === 0
    }),
    1_500,
  )
})
