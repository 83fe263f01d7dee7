/**
 * `npm run sim -- [--seeds N] [--from S] [--minutes M] [--lanes L] [--once] [--stop] [--sizes 1,3,5]`: N simulated worlds, or as many as M
 * minutes allow, each of them twice, which must do the same (--once: no); with --stop until one fails. A failure prints what broke, the last events and how to see it again. Ends with `N passed, M failed`.
 * With `--seed S --history FILE` one world, of which FILE tells what its clients saw: `npm run check-history -- --model lease FILE`.
 */
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { Lane } from './lane.js'
import { type PlayOptions, report, SIZES, Summary } from './seeds.js'
import type { Outcome } from './world.js'

const SHOWN_MAX = 10
const LANES_MAX = 64
const PROGRESS_MS = 60_000
/** As of a process that an interrupt ended. */
const INTERRUPTED = 130

interface Order extends PlayOptions {
  readonly seeds: number
  readonly from: number
  readonly minutes: number
  readonly lanes: number
  /** No further seeds after a failure. */
  readonly stop: boolean
  /** Where the history of the world goes. */
  readonly file: string | null
}

function orderOf(args: readonly string[]): Order | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seeds: { type: 'string' },
      from: { type: 'string', default: '1' },
      seed: { type: 'string' },
      history: { type: 'string' },
      minutes: { type: 'string' },
      lanes: { type: 'string', default: String(Math.min(2, availableParallelism())) },
      once: { type: 'boolean', default: false },
      stop: { type: 'boolean', default: false },
      sizes: { type: 'string', default: SIZES.join() },
    },
  })
  const minutes = values.minutes === undefined ? Number.POSITIVE_INFINITY : Number(values.minutes)
  const one = values.seed !== undefined
  const seeds = one ? 1 : values.seeds !== undefined ? Number(values.seeds) : Number.isFinite(minutes) ? 2 ** 31 : 100
  const [from, lanes] = [Number(values.seed ?? values.from), Number(values.lanes)]
  const sizes = values.sizes.split(',').map(Number)
  const whole = [seeds, from, lanes, ...sizes].every((n) => Number.isInteger(n) && n > 0)
  const { once, stop } = values
  const file = values.history ?? null
  const history = file !== null
  if (!whole || !(minutes > 0) || lanes > LANES_MAX || (history && !one)) return null
  return { seeds, from, minutes, lanes, sizes, twice: !once, stop, history, file }
}

/** Plays all seeds, each thread taking the next one as soon as it is done; none goes on once it was interrupted. */
function playAll(
  { seeds, from, minutes, lanes, sizes, twice, stop, history = false }: Order,
  played: (outcome: Outcome) => void,
  interrupted: AbortSignal,
): Promise<void> {
  const options: PlayOptions = { sizes, twice, history }
  const untilMs = performance.now() + minutes * 60_000
  let last = from + seeds
  let next = from
  const play = async (): Promise<void> => {
    const lane = new Lane()
    interrupted.addEventListener('abort', () => lane.end())
    try {
      while (next < last && performance.now() < untilMs) {
        const outcome = await lane.play(next++, options)
        if (outcome === null) return
        played(outcome)
        if (stop && outcome.breach !== null) last = next
      }
    } finally {
      await lane.end()
    }
  }
  return Promise.all(Array.from({ length: Math.min(lanes, seeds) }, play)).then(() => {})
}

async function main(): Promise<number> {
  const order = orderOf(process.argv.slice(2))
  if (order === null) {
    console.error(
      '--seeds, --from, --lanes and --sizes take whole numbers above 0, --minutes a number above 0, --history a file for one --seed',
    )
    return 2
  }
  const startMs = performance.now()
  const summary = new Summary()
  const interrupt = new AbortController()
  process.once('SIGINT', () => interrupt.abort())
  const progress = setInterval(
    () => console.log(`${summary.passed} passed, ${summary.failed} failed so far`),
    PROGRESS_MS,
  )
  const played = (outcome: Outcome): void => {
    summary.add(outcome)
    if (order.file !== null) writeFileSync(order.file, outcome.history)
    if (outcome.breach !== null && summary.failed <= SHOWN_MAX) console.log(report(outcome, order.sizes))
  }
  await playAll(order, played, interrupt.signal)
  clearInterval(progress)
  for (const line of summary.lines()) console.log(line)
  const seconds = (performance.now() - startMs) / 1_000
  const count = summary.passed + summary.failed
  console.log(`${seconds.toFixed(0)} s, ${((60 * count) / seconds).toFixed(0)} seeds a minute`)
  const { shortfalls } = summary
  for (const one of shortfalls) console.log(one)
  console.log(`${summary.passed} passed, ${summary.failed + shortfalls.length} failed`)
  if (interrupt.signal.aborted) return INTERRUPTED
  return summary.failed + shortfalls.length === 0 ? 0 : 1
}

process.exitCode = await main()
