/** Buckets in memory, against a plain model of token buckets, and what their bounded number means. */
import { checkQuotaSpec, type QuotaView } from '@leasehold/protocol'
import { SoftBuckets } from '@leasehold/server/quota'
import fc from 'fast-check'
import t from 'tap'

const viewOf = (bandwidths: readonly object[], version = 1, name = 'q'): QuotaView => {
  return { name, version, spec: checkQuotaSpec({ bandwidths, perKey: true }), available: 0, outstanding: 0 }
}
const wanted = (tokens: number, least = tokens) => ({ least, wanted: tokens, back: 0, taken: 0 })
const SHARE = 0.995

t.test('a bucket gives what a plain token bucket gives, to a token', async () => {
  const bandwidths = fc.uniqueArray(
    fc.record({
      tokens: fc.integer({ min: 1, max: 500 }),
      perMs: fc.integer({ min: 1, max: 5_000 }),
      burst: fc.integer({ min: 1, max: 500 }),
    }),
    { minLength: 1, maxLength: 3, selector: ({ perMs }) => perMs },
  )
  const steps = fc.array(fc.record({ ms: fc.integer({ min: 0, max: 500 }), tokens: fc.integer({ min: 1, max: 60 }) }), {
    maxLength: 80,
  })
  fc.assert(
    fc.property(bandwidths, steps, (limits, all) => {
      const buckets = new SoftBuckets(4)
      const view = viewOf(limits)
      const levels = limits.map(({ burst }) => burst)
      let nowMs = 0
      for (const { ms, tokens } of all) {
        nowMs += ms
        for (const [at, { tokens: per, perMs, burst }] of limits.entries())
          levels[at] = Math.min(burst, levels[at]! + (ms * per * SHARE) / perMs)
        const { granted, retryAfterMs } = buckets.ask(view, 'k', wanted(tokens), 0, nowMs)
        if (granted !== 0 && granted !== tokens) return false
        const least = Math.min(...levels)
        // Whole tokens: what a rounded number may be off by is no token.
        if (granted > least + 1e-3 || (granted === 0 && tokens <= least - 1e-3)) return false
        if ((granted === 0) !== retryAfterMs > 0) return false
        for (const at of levels.keys()) levels[at]! -= granted
      }
      return true
    }),
    { numRuns: 500 },
  )
})

t.test('what is there is shared: a part where that will do, and what comes back is there again', async (t) => {
  const buckets = new SoftBuckets(4)
  const view = viewOf([{ tokens: 10, perMs: 1_000, burst: 10 }])
  t.match(buckets.ask(view, 'k', wanted(7), 0, 0), { granted: 7, retryAfterMs: 0, remaining: 3 })
  t.match(buckets.ask(view, 'k', wanted(5, 5), 0, 0), { granted: 0, remaining: 3 })
  t.match(buckets.ask(view, 'k', wanted(5, 1), 0, 0), { granted: 3, remaining: 0 })
  const { granted, retryAfterMs } = buckets.ask(view, 'k', wanted(2, 1), 0, 0)
  t.equal(granted, 0)
  t.equal(retryAfterMs, Math.ceil(100 / SHARE), 'one token later')
  t.match(buckets.ask(view, 'k', { ...wanted(2), back: 2 }, 0, 0), { granted: 2 })
  t.match(buckets.ask(view, 'k', { least: 0, wanted: 0, back: 4, taken: 0 }, 0, 0), {
    granted: 0,
    retryAfterMs: 0,
    remaining: 4,
  })
})

t.test('a key that took much before it had a bucket does not begin with a full one', async (t) => {
  const buckets = new SoftBuckets(4)
  const view = viewOf([{ tokens: 10, perMs: 1_000, burst: 10 }])
  t.match(buckets.ask(view, 'a', { ...wanted(1), taken: 3 }, 5, 0), { granted: 1, remaining: 6 })
  t.match(buckets.ask(view, 'b', { ...wanted(1), taken: 900 }, 5, 0), { granted: 1, remaining: 4 }, 'no more than half')
})

t.test('the fullest make way, whatever their level; full ones are let go', async (t) => {
  const buckets = new SoftBuckets(3)
  const view = viewOf([{ tokens: 10, perMs: 1_000, burst: 10 }])
  for (const [key, tokens] of [
    ['a', 9],
    ['b', 2],
    ['c', 5],
  ] as const)
    buckets.ask(view, key, wanted(tokens), 0, 0)
  buckets.ask(view, 'd', wanted(1), 0, 0)
  t.same([...buckets.keys()].map(([, key]) => key).sort(), ['a', 'c', 'd'])
  t.equal(buckets.evicted, 1)
  buckets.ask(view, 'd', wanted(9), 0, 0)
  buckets.ask(view, 'e', wanted(1), 0, 0)
  t.same([...buckets.keys()].map(([, key]) => key).sort(), ['a', 'd', 'e'], 'one that was taken from since stays')
  for (let n = 0; n < 1_000; n++) buckets.ask(view, `flood-${n}`, wanted(1), 0, 1)
  t.ok(buckets.has('q', 'a') && buckets.has('q', 'd'), 'a flood of light keys does not displace the heavy ones')
  t.equal(buckets.count, 3)
  buckets.sweep(500)
  t.same([...buckets.keys()].map(([, key]) => key).sort(), ['a', 'd'])
  buckets.sweep(2_000)
  t.equal(buckets.count, 0)
  const evicted = buckets.evicted
  for (const key of ['a', 'b', 'c', 'd']) buckets.ask(view, key, wanted(1), 0, 3_000)
  t.equal(buckets.evicted, evicted + 1)
  buckets.ask(view, 'x', wanted(1), 0, 9_000)
  t.equal(buckets.evicted, evicted + 1, 'a full one is not lost')
  buckets.clear()
  t.equal(buckets.count, 0)
  t.notOk(buckets.has('q', 'x'))
})

t.test('a changed specification adds nothing to what is left', async (t) => {
  const buckets = new SoftBuckets(3)
  const small = [{ tokens: 10, perMs: 1_000, burst: 10 }]
  buckets.ask(viewOf(small), 'k', wanted(10), 0, 0)
  const large = viewOf([{ tokens: 100, perMs: 1_000, burst: 100 }], 2)
  t.match(buckets.ask(large, 'k', wanted(91), 0, 0), { granted: 0, remaining: 90 }, 'ten are taken of a hundred')
  t.match(buckets.ask(viewOf(small, 3), 'k', wanted(1), 0, 0), { granted: 0, remaining: 0 })
  const other = viewOf([...small, { tokens: 20, perMs: 60_000, burst: 20 }], 4)
  t.match(
    buckets.ask(other, 'k', wanted(1), 0, 1_100),
    { granted: 1, remaining: 9 },
    'a new bandwidth begins with what was taken',
  )
})
