/** A short slice of the simulated worlds, some of them twice, and every seed that ever failed. More of them: npm run sim. */
import { join } from 'node:path'
import t from 'tap'
import { failedSeeds, playSeed, report, SIZES, Summary } from './seeds.js'

const SEEDS = 10
/** So many of them are played twice. */
const TWICE = 3
/** So few seeds may leave out the rarest kinds of faults; a long run may not. */
const MISSING_MAX = 3
const LONG = { timeout: 230_000 }
t.setTimeout(LONG.timeout)

const root = join(import.meta.dirname, '..', '..', '..')

t.test('whatever fails, no claim breaks, every world heals, and a seed does the same twice', LONG, async (t) => {
  const summary = new Summary()
  for (let seed = 1; seed <= SEEDS && summary.failed === 0; seed++) {
    const outcome = await playSeed(seed, { sizes: SIZES, twice: seed <= TWICE })
    summary.add(outcome)
    if (outcome.breach !== null) t.fail(report(outcome))
  }
  for (const line of summary.lines()) t.comment(line)
  if (summary.failed === 0) t.ok(summary.missing.length <= MISSING_MAX, `never injected: ${summary.missing}`)
  t.equal(summary.failed, 0, `${summary.passed} worlds`)
})

t.test('seeds that failed once pass', LONG, async (t) => {
  for (const seed of failedSeeds(root)) {
    const outcome = await playSeed(seed, { sizes: SIZES, twice: false })
    t.equal(outcome.breach, null, outcome.breach === null ? `seed ${seed}` : report(outcome))
  }
})
