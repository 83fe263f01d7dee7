/** Everything that a chaos run's history and audits are judged by. Every violation is a sentence; none: nothing is wrong. */
import type { ChainedEvent } from '@leasehold/protocol'
import { judge as judgeAudit } from '../kill/checker.js'
import { judge as judgeOrder } from '../linearizability/check.js'
import { pairUp } from '../linearizability/history.js'
import { readLines } from '../linearizability/lines.js'
import { MODELS } from '../linearizability/models.js'
import { type ChaosHistory, linesOf } from './history.js'
import { ttlMsOf } from './load.js'

const STEPS_MAX = 2_000_000
const MS_MAX = 60_000

export interface Judged {
  readonly found: readonly string[]
  /** The histories of both models, as files for the checker. */
  readonly lines: Readonly<Record<'lease' | 'register', string>>
  readonly operations: number
}

/** `audits`: of each member, the whole of it. `now`: any monotonic clock, for the bound on the checker's time. */
export function judgeChaos(
  history: ChaosHistory,
  audits: ReadonlyMap<string, readonly ChainedEvent[]>,
  now: () => number,
): Judged {
  const found: string[] = [...equalAudits(audits)]
  const [events = []] = audits.values()
  const { asked, looks } = history
  found.push(...judgeAudit({ asked, looks, events }))
  const lines = { lease: '', register: '' }
  let operations = 0
  for (const model of ['lease', 'register'] as const) {
    lines[model] = linesOf(model, history, ({ name }) => ttlMsOf(name))
    const judged = order(model, lines[model], now)
    found.push(...judged.found)
    operations += judged.operations
  }
  return { found, lines, operations }
}

function order(model: 'lease' | 'register', text: string, now: () => number): { found: string[]; operations: number } {
  const { lines, faults } = readLines(new TextEncoder().encode(text))
  const paired = pairUp(lines, MODELS[model]!)
  const bad = [...faults, ...paired.faults].map(({ line, says }) => `${model}: line ${line}: ${says}`)
  if (bad.length > 0) return { found: bad, operations: 0 }
  const endMs = now() + MS_MAX
  const bounds = { stepsMax: STEPS_MAX, over: () => now() > endMs }
  const { verdict, reasons, unknown } = judgeOrder(MODELS[model]!, paired.history, bounds)
  const { operations } = paired.history
  if (verdict === 'linearizable') return { found: [], operations }
  if (verdict === 'unknown') return { found: [`${model}: could not be told for ${unknown.join(' ')}`], operations }
  return { found: [`${model}: not linearizable`, ...reasons], operations }
}

/** All members tell the same story, to the last hash. */
export function equalAudits(audits: ReadonlyMap<string, readonly Pick<ChainedEvent, 'seq' | 'hash'>[]>): string[] {
  const found: string[] = []
  const [first, ...rest] = audits
  if (first === undefined || first[1].length === 0) return ['audit: there is none']
  for (const [member, events] of rest) {
    const [other, theirs] = first
    if (events.length !== theirs.length)
      found.push(`audit: ${member} has ${events.length} events, ${other} has ${theirs.length}`)
    const at = events.findIndex(({ hash }, i) => i < theirs.length && hash !== theirs[i]!.hash)
    if (at >= 0) found.push(`audit: event ${events[at]!.seq} of ${member} is another than that of ${other}`)
  }
  return found
}
