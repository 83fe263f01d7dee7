import { clusterMs } from '@leasehold/protocol'
import { ClusterClock } from '@leasehold/server/replica'
import fc from 'fast-check'
import t from 'tap'
import { VirtualClock } from '../support/virtualclock.js'

const GAIN_MS_MAX = 60
/** How long after the last gathering something happens, and whether it is a tick or the close of a batch. */
const step = fc.record({
  ms: fc.oneof(
    fc.double({ min: 0, max: 30, noNaN: true }),
    fc.double({ min: -5_000, max: 60_000, noNaN: true }),
    fc.constant(30),
  ),
  close: fc.boolean(),
})

t.test('a stamp never outruns real time, never goes back, and forgets pauses', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), fc.nat(1_000_000), (steps, base) => {
      const clock = new VirtualClock()
      const cluster = new ClusterClock(clock, () => true)
      cluster.lead(clusterMs(base))
      let last = base
      let livedMs = 0
      let realMs = 0
      for (const { ms, close } of steps) {
        clock.setMonotonic(clock.monotonicMs() + ms)
        realMs += Math.max(0, ms)
        livedMs += Math.min(Math.max(0, ms), GAIN_MS_MAX)
        if (!close) {
          cluster.gather()
          continue
        }
        const stamp = cluster.stamp()
        if (stamp < last || !Number.isSafeInteger(stamp)) return false
        if (stamp > base + realMs + 1e-6) return false
        if (stamp > base + livedMs + 1e-6 || stamp < base + livedMs - 1 - 1e-6) return false
        last = stamp
      }
      return true
    }),
    { numRuns: 2_000 },
  )
  t.pass('over 2,000 generated lives')
})

t.test('fractions are carried: many short gatherings lose nothing', async (t) => {
  const clock = new VirtualClock()
  const cluster = new ClusterClock(clock, () => true)
  cluster.lead(clusterMs(500))
  for (let i = 0; i < 10_000; i++) {
    clock.advance(0.25)
    cluster.stamp()
  }
  t.equal(cluster.stamp(), 500 + 2_500)
})

t.test('elapsed time starts at the moment of leading, and only a leader stamps', async (t) => {
  const clock = new VirtualClock()
  const cluster = new ClusterClock(clock, () => true)
  t.throws(() => cluster.stamp(), /leader/)
  clock.advance(50)
  cluster.lead(clusterMs(7))
  t.equal(cluster.stamp(), 7)
  clock.advance(40)
  t.equal(cluster.stamp(), 47)
  cluster.follow()
  clock.advance(40)
  t.equal(cluster.gather(), 0)
  t.throws(() => cluster.stamp(), /leader/)
  cluster.lead(clusterMs(60))
  t.equal(cluster.stamp(), 60, 'the time between two reigns is not counted')
})

t.test('a pause of an hour gains two ticks', async (t) => {
  const clock = new VirtualClock()
  const cluster = new ClusterClock(clock, () => true)
  cluster.lead(clusterMs(0))
  clock.stall(3_600_000)
  t.equal(cluster.gather(), GAIN_MS_MAX)
  t.equal(cluster.stamp(), GAIN_MS_MAX)
})

t.test('what elapses while no quorum answers is forgotten', async (t) => {
  const clock = new VirtualClock()
  let fresh = true
  const cluster = new ClusterClock(clock, () => fresh)
  cluster.lead(clusterMs(0))
  clock.advance(50)
  t.equal(cluster.gather(), 50)
  fresh = false
  clock.advance(50)
  t.equal(cluster.gather(), 0)
  fresh = true
  clock.advance(10)
  t.equal(cluster.stamp(), 60, 'and is not made up for')
})
