/**
 * The slice of the simulated worlds that every run of the tests plays: seeds 1 to 300, the same ones each time, so that whoever sees one
 * fail can see it again. In several test files, so that they run side by side. More worlds: npm run sim.
 */
import t from 'tap'
import { Lane } from './lane.js'
import { report, SIZES, Summary } from './seeds.js'

/** At least EVERY_KIND_SEEDS: every kind of fault must show in each slice. */
const SLICE_SEEDS = 50
/** So many of them are played twice. */
const TWICE = 5
/** A minute on an idle machine; a busy one may take its time. */
const LONG = { timeout: 900_000 }

/** Slice 1 holds seeds 1 to 50, and so on. */
export function playSlice(slice: number): void {
  t.setTimeout(LONG.timeout)
  t.test('whatever fails, no claim breaks, every world heals, and a seed does the same twice', LONG, async (t) => {
    const first = 1 + (slice - 1) * SLICE_SEEDS
    const summary = new Summary()
    const lane = new Lane()
    t.teardown(() => lane.end())
    for (let seed = first; seed < first + SLICE_SEEDS && summary.failed === 0; seed++) {
      const outcome = (await lane.play(seed, { sizes: SIZES, twice: seed < first + TWICE }))!
      summary.add(outcome)
      if (outcome.breach !== null) t.fail(report(outcome, SIZES))
    }
    for (const line of summary.lines()) t.comment(line)
    if (summary.failed === 0)
      t.equal(summary.shortfalls.join(), '', 'every kind of fault was injected, and histories were judged')
    t.equal(summary.failed, 0, `${summary.passed} worlds`)
  })
}
