/** Judges planted faults one by one. What it does to a tree, it does through a workshop, and it always cleans up. */
import { compiled, type Fault, plant } from './fault.js'

/** A copy of the tree in which things may be broken. */
export interface Workshop {
  read(file: string): string
  write(file: string, text: string): void
  /** Null if it went well, else what the compiler said. */
  build(): Promise<string | null>
  /** Runs one compiled test file. */
  test(file: string, timeLimitMs: number): Promise<Tested>
}

export interface Tested {
  readonly outcome: 'passed' | 'failed' | 'timed out'
  /** What the test printed, or the beginning of it. */
  readonly output: string
}

export type Verdict = 'caught' | 'survived' | 'broken'

export interface Judged {
  readonly fault: Fault
  readonly verdict: Verdict
  /** For people: what noticed it, or why it could not be judged. */
  readonly detail: string
}

/** Of one test. Three times what the slowest takes of a processor, for faults are judged side by side. */
const TIME_LIMIT_MS = 120_000
/** How simulated worlds report; see test/simulation/seeds.ts. */
const SEED = /seed \d+ fails at step \d+, [\d.]+ ms: (?:(?! {2}).){0,100}/

/** Tests pass and the tree builds before anything is planted, or the complaint. */
export async function checkSound(workshop: Workshop, faults: readonly Fault[]): Promise<string | null> {
  const built = await workshop.build()
  if (built !== null) return `the tree does not build as it is:\n${built}`
  const tests = new Map<string, number>()
  for (const fault of faults) {
    for (const test of fault.tests) tests.set(test, Math.max(tests.get(test) ?? 0, fault.timeLimitMs ?? TIME_LIMIT_MS))
  }
  for (const [test, timeLimitMs] of tests) {
    const { outcome } = await workshop.test(compiled(test), timeLimitMs)
    if (outcome !== 'passed') return `${test} ${outcome} with nothing planted`
  }
  return null
}

export async function judge(workshop: Workshop, fault: Fault): Promise<Judged> {
  const sound = workshop.read(fault.file)
  try {
    workshop.write(fault.file, plant(sound, fault))
    const built = await workshop.build()
    if (built !== null) return { fault, verdict: 'broken', detail: `does not compile: ${built.trim().split('\n')[0]}` }
    for (const test of fault.tests) {
      const { outcome, output } = await workshop.test(compiled(test), fault.timeLimitMs ?? TIME_LIMIT_MS)
      if (outcome === 'passed') continue
      const seed = SEED.exec(output)?.[0]
      return { fault, verdict: 'caught', detail: `${test} ${outcome}${seed === undefined ? '' : `: ${seed}`}` }
    }
    return { fault, verdict: 'survived', detail: `${fault.tests.join(', ') || 'no test'} noticed nothing` }
  } catch (error) {
    return { fault, verdict: 'broken', detail: String(error) }
  } finally {
    workshop.write(fault.file, sound)
  }
}
