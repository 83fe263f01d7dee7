/** Plays many seeds and sums up: what failed and how to see it again, and how often each kind of fault was injected. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { FAULTS, type FaultKind } from './faultkinds.js'
import { OPERATIONS_MIN, type Outcome, play } from './world.js'

/** What every world must have lived through. */
export const SIMULATED_MS_MIN = 120_000
/** So many seeds must between them have injected every kind of fault, and have had nearly every history of a name judged. */
export const EVERY_KIND_SEEDS = 40
/** Of the histories of names in a whole run, so many may be left without a verdict: looking for an order has a limit of steps. */
const UNTOLD_SHARE_MAX = 0.01
/** From so many worlds on, a share of them tells something; of fewer, a handful of hard histories may by chance stand in the same slice. */
export const WHOLE_RUN_SEEDS = 200
const UNTOLD_SHARE_MAX_OF_FEW = 0.03
const EVENTS_SHOWN = 25

export interface PlayOptions {
  /** Sizes of clusters to choose from. */
  readonly sizes: readonly number[]
  /** Each seed is played twice, and must do the same twice. */
  readonly twice: boolean
  /** Whether the outcome tells what the clients saw. */
  readonly history?: boolean
}

/** Mostly three; the others are rarer in the world, too. */
export const SIZES: readonly number[] = [1, 3, 3, 3, 5]

export async function playSeed(seed: number, { sizes, twice, history = false }: PlayOptions): Promise<Outcome> {
  const outcome = await play(seed, { sizes, history })
  const broken = (what: string): Outcome => ({
    ...outcome,
    breach: { step: outcome.steps, atMs: outcome.simulatedMs, what },
  })
  if (outcome.breach !== null) return outcome
  if (twice) {
    const again = await play(seed, { sizes })
    if (again.hash !== outcome.hash) return broken(`not the same twice: ${outcome.hash} and ${again.hash}`)
  }
  if (outcome.simulatedMs < SIMULATED_MS_MIN) return broken('the world was too short')
  if (outcome.operations < OPERATIONS_MIN) return broken(`only ${outcome.operations} operations were asked for`)
  return outcome
}

/** Seeds that have failed before, each with what it showed. */
export function failedSeeds(root: string): number[] {
  const text = readFileSync(join(root, 'test', 'simulation', 'seeds.txt'), 'utf8')
  return text.split('\n').flatMap((line) => (/^\d/.test(line) ? [Number.parseInt(line, 10)] : []))
}

/** What plays the same world again: of other sizes to choose from, a seed makes another world. */
export function replayOf(seed: number, sizes: readonly number[]): string {
  const chosen = sizes.join() === SIZES.join() ? '' : ` --sizes ${sizes.join()}`
  return `npm run sim -- --seeds 1 --from ${seed}${chosen}`
}

/** For people: what broke, and the last events before it. */
export function report({ seed, breach, lastEvents }: Outcome, sizes: readonly number[]): string {
  const { step, atMs, what } = breach!
  return [
    `seed ${seed} fails at step ${step}, ${atMs.toFixed(3)} ms: ${what}`,
    ...lastEvents.slice(-EVENTS_SHOWN).map((line) => `  ${line}`),
    `  again: ${replayOf(seed, sizes)}`,
  ].join('\n')
}

export class Summary {
  passed = 0
  failed = 0
  simulatedMs = 0
  operations = 0
  executed = 0
  admitted = 0
  admittedByKey = 0
  names = 0
  untold = 0
  readonly injected = new Map<FaultKind, number>(FAULTS.map((kind) => [kind, 0]))

  add(outcome: Outcome): void {
    if (outcome.breach === null) this.passed++
    else this.failed++
    this.simulatedMs += outcome.simulatedMs
    this.operations += outcome.operations
    this.executed += outcome.executed
    this.admitted += outcome.admitted
    this.admittedByKey += outcome.admittedByKey
    this.names += outcome.names
    this.untold += outcome.untold
    for (const [kind, count] of outcome.injected) this.injected.set(kind, (this.injected.get(kind) ?? 0) + count)
  }

  /** What the worlds as a whole fall short of, however well each one did. Few of them owe nothing. */
  get shortfalls(): readonly string[] {
    const worlds = this.passed + this.failed
    if (worlds < EVERY_KIND_SEEDS) return []
    const never = [...this.injected].flatMap(([kind, count]) => (count === 0 ? [`never injected: ${kind}`] : []))
    const shareMax = worlds < WHOLE_RUN_SEEDS ? UNTOLD_SHARE_MAX_OF_FEW : UNTOLD_SHARE_MAX
    if (this.admittedByKey === 0) never.push('no bucket by key admitted anything')
    if (this.admitted === 0) never.push('no quota admitted anything')
    if (this.untold <= shareMax * this.names) return never
    return [...never, `no verdict on ${this.untold} of ${this.names} histories, more than ${100 * shareMax} %`]
  }

  lines(): string[] {
    const hours = (this.simulatedMs / 3_600_000).toFixed(1)
    return [
      `${hours} simulated hours, ${this.operations} operations, ${this.executed} commands executed`,
      `${this.admitted} tokens admitted by quotas, none too many in any window of any world that passed`,
      `${this.admittedByKey} tokens admitted by key, and nobody denied who asked for little`,
      `${this.names} histories of names judged by themselves, ${this.untold} of them without a verdict`,
      ...[...this.injected].map(([kind, count]) => `  ${kind.padEnd(26)}${String(count).padStart(8)}`),
    ]
  }
}
