/** The contract, held by three real servers: every connection is at another one, and comes back at the next. */
import t from 'tap'
import { TestCluster } from '../cli/cluster.js'
import { leaseContract } from './leases.js'
import { WireWorld } from './wire.js'

const NAMES = ['n1', 'n2', 'n3'] as const

t.setTimeout(180_000)

t.test('three real servers keep the contract of leases', async (t) => {
  const cluster = new TestCluster(t)
  await cluster.plan(...NAMES)
  for (const name of NAMES) cluster.start(name)
  await cluster.settled(...NAMES)
  const urls = NAMES.map((name) => cluster.url(name))
  const open = () => WireWorld.open(urls, () => Promise.all(NAMES.map((name) => cluster.kill(name, 'SIGTERM'))))
  await leaseContract(t, open, 32)
})
