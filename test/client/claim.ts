/** Claims about the client against the server's own code in memory, each with a cluster of its own. */
import type { LeaseholdError } from '@leasehold/client'
import { createTestCluster, type TestCluster } from '@leasehold/client/testing'
import t, { type Test } from 'tap'

/** What the promise rejects with. */
export const failure = (promise: Promise<unknown>): Promise<LeaseholdError> =>
  promise.then(
    () => {
      throw new Error('it was expected to fail')
    },
    (reason) => reason,
  )

/** A claim with a cluster of its own, closed at its end. */
export function claim(name: string, check: (t: Test, cluster: TestCluster) => Promise<void>): void {
  t.test(name, async (t) => {
    const cluster = await createTestCluster()
    try {
      await check(t, cluster)
    } finally {
      await cluster.close()
    }
    t.equal(cluster.network.connections, 0, 'nothing is left open')
  })
}
