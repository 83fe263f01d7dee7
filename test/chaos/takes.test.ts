/** The judge of quotas under chaos, against every window tried one by one, and against overdrafts that were made. */
import fc from 'fast-check'
import t from 'tap'
import { admittedOf, judgeTakes, QUOTAS, TAKEN, type Take, untaken } from './takes.js'

const FAST = 0
const { tokens, perMs, burst } = TAKEN[FAST]!

/** One token in each of so many milliseconds, after a full burst at once. */
function within(ms: number): Take[] {
  const takes: Take[] = [[FAST, burst, 0, 0]]
  for (let atMs = perMs / tokens; atMs <= ms; atMs += perMs / tokens) takes.push([FAST, 1, atMs, atMs])
  return takes
}

t.test('what is within the bound is, and a single token above it is found, wherever it stands', async (t) => {
  const takes = within(3_000)
  t.same(judgeTakes(takes), [])
  for (const atMs of [0, 1, 1_499, 3_000]) {
    t.match(judgeTakes([...takes, [FAST, 1, atMs, atMs]]), [
      /^quota chaos\/fast: \d+ admitted within \d+ ms, [\d.]+ above the bound$/,
    ])
  }
  t.match(judgeTakes([[FAST, burst + 1, 5, 5]]), [/101 admitted within 0 ms, 1\.00 above/])
})

t.test('a decision somewhere within a time counts only where all of that time does', async (t) => {
  const takes: Take[] = [
    [FAST, burst, 1_000, 1_000],
    [FAST, 1, 0, 1_000],
    [FAST, 1, 1_000, 9_000],
  ]
  t.same(judgeTakes(takes), [])
  t.equal(judgeTakes([...takes, [FAST, 1, 1_000, 1_001]]).length, 1)
})

t.test('children count for their parent as well', async (t) => {
  const [a, b] = TAKEN.flatMap(({ parent }, at) => (parent === null ? [] : [at])) as [number, number]
  const full: Take[] = [
    [a, 40, 0, 0],
    [b, 10, 0, 0],
  ]
  t.same(judgeTakes(full), [])
  t.match(judgeTakes([...full, [b, 5, 0, 0]]), [/^quota chaos\/parent: 55 admitted/])
})

t.test('it finds what trying every window finds', async () => {
  const take = fc
    .record({
      at: fc.nat(TAKEN.length - 1),
      count: fc.integer({ min: 1, max: 30 }),
      from: fc.nat(400),
      lasts: fc.nat(50),
    })
    .map(({ at, count, from, lasts }): Take => [at, count, from, from + lasts])
  fc.assert(
    fc.property(fc.array(take, { maxLength: 40 }), (takes) => {
      const over = QUOTAS.filter((quota) => {
        const own = takes.filter(([at]) => TAKEN[at]!.name === quota.name || TAKEN[at]!.parent === quota.name)
        for (let fromMs = 0; fromMs <= 450; fromMs++) {
          for (let untilMs = fromMs; untilMs <= 450; untilMs++) {
            const inside = own.filter(([, , from, until]) => from >= fromMs && until <= untilMs)
            if (admittedOf(inside) > quota.burst + ((untilMs - fromMs) * quota.tokens) / quota.perMs + 1e-3) return true
          }
        }
        return false
      })
      return judgeTakes(takes).length === over.length
    }),
    { numRuns: 20 },
  )
})

t.test('a run in which nothing was taken says so', async (t) => {
  t.equal(untaken([]).length, TAKEN.length)
  t.same(untaken(TAKEN.map((_, at): Take => [at, 1, 0, 0])), [])
})
