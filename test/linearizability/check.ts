/** Judges a whole history, key by key: each key is an object of its own, so that the whole is linearizable if each is. */
import { explain, reasonText } from './explain.js'
import type { History } from './history.js'
import type { Model } from './model.js'
import { type Bounds, search } from './search.js'

export interface Judgement {
  readonly verdict: 'linearizable' | 'not linearizable' | 'unknown'
  /** Keys, as JSON text. */
  readonly bad: readonly string[]
  readonly unknown: readonly string[]
  readonly steps: number
  /** In words: why, for the first bad keys. */
  readonly reasons: readonly string[]
}

/** Keys that are explained; the rest of the bad ones are named alone. */
const EXPLAINED_MAX = 5

export function judge<State, Act>(
  model: Model<State, Act>,
  history: Pick<History<Act>, 'byKey'>,
  bounds: Bounds,
): Judgement {
  const bad: string[] = []
  const unknown: string[] = []
  const reasons: string[] = []
  let steps = 0
  for (const [key, operations] of history.byKey) {
    const finding = search(model, operations, bounds)
    steps += finding.steps
    if (finding.verdict === 'unknown') unknown.push(key)
    if (finding.verdict !== 'not linearizable') continue
    bad.push(key)
    if (bad.length <= EXPLAINED_MAX)
      reasons.push(...reasonText(model, key, explain(model, operations, finding, bounds)))
  }
  const verdict = bad.length > 0 ? 'not linearizable' : unknown.length > 0 ? 'unknown' : 'linearizable'
  return { verdict, bad, unknown, steps, reasons }
}
