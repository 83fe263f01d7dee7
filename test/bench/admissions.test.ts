/** The judge of admissions says the same as looking at every window by itself. */
import fc from 'fast-check'
import t from 'tap'
import { Admissions } from '#bench/admissions.js'

const BANDWIDTH = { tokens: 3, perMs: 10, burst: 20 }

/** The most by which any window has too many. */
function worstWindow(taken: readonly (readonly [atMs: number, tokens: number])[]): number {
  let worst = 0
  for (let from = 0; from < taken.length; from++) {
    let sum = 0
    for (let to = from; to < taken.length; to++) {
      sum += taken[to]![1]
      const lengthMs = taken[to]![0] - taken[from]![0]
      worst = Math.max(worst, sum - BANDWIDTH.burst - (lengthMs * BANDWIDTH.tokens) / BANDWIDTH.perMs)
    }
  }
  return worst
}

t.test('a bucket that starts full runs short by as much as the worst window has too many', async (t) => {
  const steps = fc.array(fc.tuple(fc.nat(30), fc.integer({ min: 1, max: 12 })), { maxLength: 40 })
  let over = 0
  fc.assert(
    fc.property(steps, (given) => {
      let nowMs = 100
      const taken = given.map(([afterMs, tokens]) => {
        nowMs += afterMs
        return [nowMs, tokens] as const
      })
      const book = new Admissions([BANDWIDTH], 0)
      let found = 0
      for (const [atMs, tokens] of taken) found = Math.max(found, book.admit(tokens, atMs)?.tokens ?? 0)
      const worst = worstWindow(taken)
      if (worst > 0) over++
      return Math.abs(found - worst) < 1e-3 && book.admitted === taken.reduce((sum, [, tokens]) => sum + tokens, 0)
    }),
    { numRuns: 500 },
  )
  t.ok(over > 50, `${over} of them had too many`)
})

t.test('the bandwidth that has too many is named, and how near to it things ever came', async (t) => {
  const slow = { tokens: 1, perMs: 1_000, burst: 10 }
  const book = new Admissions([BANDWIDTH, slow], 0)
  t.equal(book.admit(8, 5), null)
  t.equal(book.least, 2)
  t.match(book.admit(8, 100), { bandwidth: slow, atMs: 100 })
  t.throws(() => book.admit(1, 99), /before/)
})
