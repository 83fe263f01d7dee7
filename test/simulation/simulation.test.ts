/** What a world's clients saw, judged by itself, and every seed that ever failed. The slice that is always played stands beside it. */
import { join } from 'node:path'
import t from 'tap'
import { Dues } from './dues.js'
import { FAULTS, type FaultKind } from './faultkinds.js'
import { judged } from './history.js'
import { Lane } from './lane.js'
import { EVERY_KIND_SEEDS, failedSeeds, playSeed, replayOf, report, SIZES, Summary, WHOLE_RUN_SEEDS } from './seeds.js'

/** A world whose history is short, and is judged in few steps. */
const TOLD_SEED = 2
const STEPS_MAX = 200_000
const LONG = { timeout: 900_000 }
t.setTimeout(LONG.timeout)

const root = join(import.meta.dirname, '..', '..', '..')

t.test('what clients saw is judged by itself: a release that was taken back fits in no order', LONG, async (t) => {
  const { history, breach } = await playSeed(TOLD_SEED, { sizes: SIZES, twice: false, history: true })
  t.equal(breach, null)
  t.equal(judged(history, STEPS_MAX).unorderable, null)
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
  t.match(judged(wrong, STEPS_MAX).unorderable ?? '', /fits? (in no order|nowhere)/)
})

t.test(
  'worlds as a whole fall short where a kind of fault never happened, or too many histories got no verdict',
  async (t) => {
    const { history, ...one } = await playSeed(1, { sizes: SIZES, twice: false })
    const summed = (worlds: number, kinds: readonly FaultKind[], untold: number, admitted = 1): readonly string[] => {
      const summary = new Summary()
      const injected = new Map(kinds.map((kind) => [kind, 1]))
      const given = { injected, names: 100, untold, admitted, admittedByKey: admitted }
      for (let i = 0; i < worlds; i++) summary.add({ ...one, history, ...given })
      return summary.shortfalls
    }
    t.same(summed(EVERY_KIND_SEEDS, FAULTS, 1), [])
    t.match(summed(EVERY_KIND_SEEDS, FAULTS.slice(1), 1), [`never injected: ${FAULTS[0]}`])
    t.same(summed(EVERY_KIND_SEEDS, FAULTS, 3), [])
    t.match(summed(EVERY_KIND_SEEDS, FAULTS, 4), [/^no verdict on 160 of 4000 histories, more than 3 %/])
    t.same(summed(WHOLE_RUN_SEEDS, FAULTS, 1), [])
    t.match(summed(WHOLE_RUN_SEEDS, FAULTS, 2), [/^no verdict on 400 of 20000 histories, more than 1 %/])
    t.same(summed(EVERY_KIND_SEEDS, FAULTS, 1, 0), ['no bucket by key admitted anything', 'no quota admitted anything'])
    t.same(summed(EVERY_KIND_SEEDS - 1, [], 100), [], 'few worlds owe nothing')
  },
)

t.test(
  'what plays a world again names the sizes that it was chosen from, where they are not the usual ones',
  async (t) => {
    t.equal(replayOf(7, SIZES), 'npm run sim -- --seeds 1 --from 7')
    t.equal(replayOf(7, [5]), 'npm run sim -- --seeds 1 --from 7 --sizes 5')
    t.equal(replayOf(7, [1, 3]), 'npm run sim -- --seeds 1 --from 7 --sizes 1,3')
    const failed = { seed: 7, breach: { step: 1, atMs: 2, what: 'x' }, lastEvents: [] } as never
    t.match(report(failed, [1, 3]), /again: npm run sim -- --seeds 1 --from 7 --sizes 1,3$/)
  },
)

t.test('a dead holder stays for a hold, also for one that began in the millisecond of the grant', async (t) => {
  const broken: string[] = []
  const claims = { hold: (holds: boolean, what: () => string) => void (holds || broken.push(what())) }
  const grants = [{ token: 1, endMs: 10_300, name: 'a' }]
  const model = { timeMs: 10_000, horizonMs: 10_000, holdAtMs: 10_000, grants, delays: [] }
  const [reigns, times] = [{ changes: 0 }, { wellMs: 20_000, stillMs: 0 }]
  const dues = new Dues({ claims, ledger: { model }, reigns, times, sweepPerEntryMax: 256 } as never)
  dues.look()
  times.wellMs += 1_500
  dues.look()
  t.same(broken, [])
  times.wellMs += 200
  dues.look()
  t.match(broken, [/^kept in office: a under 1/])
})

t.test('seeds that failed once pass', LONG, async (t) => {
  const lane = new Lane()
  t.teardown(() => lane.end())
  for (const seed of failedSeeds(root)) {
    const outcome = (await lane.play(seed, { sizes: SIZES, twice: false }))!
    t.equal(outcome.breach, null, outcome.breach === null ? `seed ${seed}` : report(outcome, SIZES))
  }
})
