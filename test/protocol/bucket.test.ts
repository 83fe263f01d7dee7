/** Token buckets in whole numbers, against the same in numbers of any size; and shares, against handing tokens out one by one. */
import { type Level, LIMITS, MICRO, type Rate, rateOf, refill, share, tokensIn, waitMs } from '@leasehold/protocol'
import fc from 'fast-check'
import t from 'tap'

const bandwidth = fc.record({
  tokens: fc.oneof(fc.integer({ min: 1, max: 1_000 }), fc.constantFrom(1, LIMITS.quotaTokensMax)),
  perMs: fc.oneof(fc.integer({ min: 1, max: 100_000 }), fc.constantFrom(1, LIMITS.quotaPerMsMax)),
})
const steps = fc.array(fc.oneof(fc.integer({ min: 0, max: 2_000 }), fc.integer({ min: 0, max: 86_400_000 })), {
  minLength: 1,
  maxLength: 60,
})

/** What has flown in after so many milliseconds, exactly: micro-tokens, and what is left over in parts of the denominator. */
function flown({ num, den }: Rate, elapsedMs: bigint): [bigint, bigint] {
  const exact = BigInt(num) * elapsedMs
  return [exact / BigInt(den), exact % BigInt(den)]
}

t.test('however time is cut into pieces, the same flows in: 0.995 of the rate, and nothing is lost', async () => {
  fc.assert(
    fc.property(bandwidth, steps, (given, pieces) => {
      const rate = rateOf(given)
      const level: Level = { micro: 0, rest: 0 }
      const capMicro = Number.MAX_SAFE_INTEGER
      let elapsedMs = 0n
      for (const ms of pieces) {
        elapsedMs += BigInt(ms)
        refill(level, rate, ms, capMicro)
        const [micro, rest] = flown(rate, elapsedMs)
        if (micro >= BigInt(capMicro)) return level.micro === capMicro && level.rest === 0
        if (BigInt(level.micro) !== micro || BigInt(level.rest) !== rest) return false
      }
      return BigInt(rate.num) * BigInt(given.perMs) === BigInt(given.tokens) * 995_000n * BigInt(rate.den)
    }),
    { numRuns: 1_000 },
  )
})

t.test('a simulated year leaves no drift', async (t) => {
  const rate = rateOf({ tokens: 7, perMs: 86_399_999 })
  const level: Level = { micro: 0, rest: 0 }
  let elapsedMs = 0
  for (let day = 0; elapsedMs < 365 * 86_400_000; day++) {
    const ms = 1 + ((day * 7_919_317) % 3_600_000)
    elapsedMs += ms
    refill(level, rate, ms, 1e12)
  }
  t.equal(BigInt(level.micro), flown(rate, BigInt(elapsedMs))[0])
})

t.test('a bucket never holds more than its cap, and one whose cap has fallen is cut to it', async (t) => {
  const rate = rateOf({ tokens: 10, perMs: 3 })
  const level: Level = { micro: 0, rest: 0 }
  refill(level, rate, 1, 50 * MICRO)
  t.same(level, { micro: 3_316_666, rest: 2 })
  refill(level, rate, 1_000, 50 * MICRO)
  t.same(level, { micro: 50 * MICRO, rest: 0 })
  refill(level, rate, 0, 20 * MICRO)
  t.same(level, { micro: 20 * MICRO, rest: 0 })
  refill(level, rateOf({ tokens: LIMITS.quotaTokensMax, perMs: 1 }), Number.MAX_SAFE_INTEGER, 20 * MICRO)
  t.same(level, { micro: 20 * MICRO, rest: 0 })
  t.equal(tokensIn(20 * MICRO - 1), 19)
})

t.test('the time to wait is the shortest after which it is there', async (t) => {
  fc.assert(
    fc.property(bandwidth, fc.nat(1_000_000), fc.integer({ min: 1, max: 1_000 * MICRO }), (given, atMs, more) => {
      const rate = rateOf(given)
      const level: Level = { micro: 0, rest: 0 }
      refill(level, rate, atMs, 1e12)
      const wanted = level.micro + more
      const ms = waitMs(level, rate, wanted)
      const early = { ...level }
      refill(early, rate, ms - 1, Number.MAX_SAFE_INTEGER)
      refill(level, rate, ms, Number.MAX_SAFE_INTEGER)
      return early.micro < wanted && level.micro >= wanted
    }),
  )
  t.equal(waitMs({ micro: 5, rest: 0 }, rateOf({ tokens: 1, perMs: 1 }), 5), 0)
  const slowest = rateOf({ tokens: 1, perMs: LIMITS.quotaPerMsMax })
  t.equal(waitMs({ micro: 0, rest: 0 }, slowest, Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER)
})

t.test('who wants less than his share has it, the others have as much as each other, by weight', async (t) => {
  t.same(share(120, [1_000, 60, 10], [1, 1, 1]), [55, 55, 10])
  t.same(share(120, [1_000, 1_000, 10], [3, 1, 1]), [83, 27, 10], 'what does not divide goes to the largest remainder')
  t.same(share(7, [5, 5, 5], [1, 1, 1]), [3, 2, 2], 'or to the first of equal ones')
  t.same(share(100, [10, 20], [1, 5]), [10, 20])
  t.same(share(0, [10, 0], [1, 1]), [0, 0])
  const most = LIMITS.quotaTokensMax
  t.same(share(most, [most, most, most], [1_000, 999, 1]), [500_000_000, 499_500_000, 500_000])
  const huge = Number.MAX_SAFE_INTEGER
  t.same(
    share(huge, [huge, huge - 1, huge], [1, 1_000, 1_000]).map((one) => Math.round((one * 2_001) / huge)),
    [1, 1_000, 1_000],
  )
  t.same(share(huge, [huge, 1], [1_000, 1]), [huge - 1, 1])
  t.same(share(huge, [huge, huge], [1_000, 1_000]), [(huge + 1) / 2, (huge - 1) / 2])
})

t.test('shares are max-min fair: nobody could have more but for somebody who has no more per weight', async () => {
  const claims = fc.array(fc.tuple(fc.nat(40), fc.integer({ min: 1, max: 5 })), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(fc.nat(150), claims, (available, all) => {
      const wants = all.map(([want]) => want)
      const weights = all.map(([, weight]) => weight)
      const shares = share(available, wants, weights)
      const sum = (list: readonly number[]) => list.reduce((total, one) => total + one, 0)
      if (sum(shares) !== Math.min(available, sum(wants))) return false
      return shares.every((own, i) => {
        if (own > wants[i]!) return false
        if (own === wants[i]!) return true
        // Whoever has more per weight than an unmet one has at most one token more than that.
        return shares.every((other, k) => (other - 1) * weights[i]! < (own + 1) * weights[k]!)
      })
    }),
    { numRuns: 2_000 },
  )
})
