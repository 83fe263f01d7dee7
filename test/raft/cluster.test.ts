/** The normal course of things. */
import t from 'tap'
import { IdealCluster } from './cluster.js'

const of = (...voters: string[]) => ({ voters, outgoing: [], learners: [] })

t.test('a single voter leads after its first tick, and commits what is on its own disk', async (t) => {
  const alone = new IdealCluster(of('a'))
  alone.tick()
  t.match(alone.leader?.status, { id: 'a', term: 2 })
  alone.propose('x', 'y')
  t.same(alone.applied.get('a'), ['x', 'y'])
  t.equal(alone.leader!.quorumFresh, true)
  alone.leader!.readIndex(1)
  t.same(alone.leader!.takeReads(), [{ read: 1, index: 3 }])
})

t.test('three elect one leader, and all apply the same in the same order', async (t) => {
  const three = new IdealCluster(of('a', 'b', 'c'))
  three.tick(21)
  t.equal([...three.cores.values()].filter(({ status }) => status.role === 'leader').length, 1)
  three.propose('x')
  three.propose('y', 'z')
  for (const id of ['a', 'b', 'c']) t.same(three.applied.get(id), ['x', 'y', 'z'], id)
  const { term } = three.leader!.status
  three.tick(100)
  t.equal(three.leader!.status.term, term, 'and stays in office')
})

t.test('two of three go on without the third, which catches up when it is back', async (t) => {
  const three = new IdealCluster(of('a', 'b', 'c'))
  three.tick(21)
  three.propose('x')
  const old = three.leader!
  three.cut.add(old.status.id)
  three.tick(60)
  t.not(old.status.role, 'leader', 'it steps down without a quorum')
  three.propose('y')
  three.cut.clear()
  three.tick(30)
  for (const id of ['a', 'b', 'c']) t.same(three.applied.get(id), ['x', 'y'], id)
})

t.test('a follower whose link to the leader closes campaigns within three ticks', async (t) => {
  const three = new IdealCluster(of('a', 'b', 'c'))
  three.tick(21)
  three.propose('x')
  const { id, term } = three.leader!.status
  three.cut.add(id)
  for (const core of three.cores.values()) if (core.status.id !== id) core.linkDown(id)
  three.tick(3)
  t.equal(three.leader?.status.term, term + 1)
})
