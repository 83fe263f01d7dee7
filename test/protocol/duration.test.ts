import { durationMs } from '@leasehold/protocol'
import fc from 'fast-check'
import t from 'tap'
import { holds, refused } from './support.js'

t.test('durations are whole milliseconds, rounded up, read as decimal digits', async (t) => {
  const written: [unknown, number][] = [
    [250, 250],
    [0, 0],
    [0.2, 1],
    ['250ms', 250],
    ['10s', 10_000],
    ['1.5m', 90_000],
    ['2h', 7_200_000],
    ['1.1s', 1_100],
    ['0.0001s', 1],
    ['4.35m', 261_000],
    ['0ms', 0],
    ['999999999h', 999_999_999 * 3_600_000],
  ]
  for (const [value, ms] of written) t.equal(durationMs(value, 'ttl'), ms, String(value))
})

t.test('no decimal duration is rounded away from its exact value', async (t) => {
  const unitMs = { ms: 1n, s: 1_000n, m: 60_000n, h: 3_600_000n }
  const digits = fc.record({
    whole: fc.nat({ max: 999_999_999 }),
    fraction: fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: 6 }),
    unit: fc.constantFrom('ms' as const, 's' as const, 'm' as const, 'h' as const),
  })
  holds(
    t,
    fc.property(digits, ({ whole, fraction, unit }) => {
      const scale = 10n ** BigInt(fraction.length)
      const exact = BigInt(`${whole}${fraction}`) * unitMs[unit]
      return BigInt(durationMs(`${whole}.${fraction}${unit}`, 'ttl')) === (exact + scale - 1n) / scale
    }),
  )
})

t.test('what is no duration is refused with the name of its field', async (t) => {
  const bad: unknown[] = [Number.NaN, Number.POSITIVE_INFINITY, -1, -0, 2 ** 53, null, undefined, true, 10n, [], {}]
  bad.push(
    '',
    '10',
    's',
    '-5s',
    '1e3s',
    '10 s',
    '10S',
    ' 10s',
    '10s\n',
    '1.s',
    '.5s',
    '1.1234567s',
    '1234567890s',
    '5d',
  )
  for (const value of bad) {
    refused(t, () => durationMs(value, 'wait'), 'INVALID_ARGUMENT', /^wait must be milliseconds or a duration such as/)
  }
})
