/** What a world's clients saw, judged by itself, and every seed that ever failed. The slice that is always played stands beside it. */
import { join } from 'node:path'
import t from 'tap'
import { unorderable } from './history.js'
import { failedSeeds, playSeed, report, SIZES } from './seeds.js'

/** A world whose history is short, and is judged in few steps. */
const TOLD_SEED = 2
const STEPS_MAX = 200_000
const LONG = { timeout: 900_000 }
t.setTimeout(LONG.timeout)

const root = join(import.meta.dirname, '..', '..', '..')

t.test('what clients saw is judged by itself: a release that was taken back fits in no order', LONG, async (t) => {
  const { history, breach } = await playSeed(TOLD_SEED, { sizes: SIZES, twice: false, history: true })
  t.equal(breach, null)
  t.equal(unorderable(history, STEPS_MAX), null)
  const released = history.split('\n').find((line) => /"type":"invoke".*"f":"release"/.test(line))!
  const { key, value, time } = JSON.parse(released)
  // Whatever became of the others, that token is no longer good.
  const late = history.trimEnd().split('\n').at(-1)!
  const { time: endMs } = JSON.parse(late)
  t.ok(endMs > time)
  const again = { process: 'late', f: 'renew', key, value: { ...value, ttlMs: 1_000 }, time: endMs }
  const more = [
    { type: 'invoke', ...again },
    { type: 'ok', process: 'late', f: 'renew', value: true, time: endMs },
  ]
  const wrong = history + more.map((line) => `${JSON.stringify(line)}\n`).join('')
  t.match(unorderable(wrong, STEPS_MAX), /fits? (in no order|nowhere)/)
})

t.test('seeds that failed once pass', LONG, async (t) => {
  for (const seed of failedSeeds(root)) {
    const outcome = await playSeed(seed, { sizes: SIZES, twice: false })
    t.equal(outcome.breach, null, outcome.breach === null ? `seed ${seed}` : report(outcome))
  }
})
