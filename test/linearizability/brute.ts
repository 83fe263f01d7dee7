/** The definition itself, tried order by order: what the search is compared with on small histories. */
import type { Model } from './model.js'
import type { Operation } from './operation.js'

export function bruteForce<State, Act>(model: Model<State, Act>, operations: readonly Operation<Act>[]): boolean {
  const known = (one: Operation<Act>): boolean => one.endedAt !== Number.POSITIVE_INFINITY
  const from = (state: State, fromMs: number, left: readonly Operation<Act>[]): boolean => {
    const due = left.filter(known)
    if (due.length === 0) return true
    const firstEnd = Math.min(...due.map(({ endedAt }) => endedAt))
    const untilMs = Math.min(...due.map(({ endedMs }) => endedMs))
    return left.some((one) => {
      if (one.calledAt > firstEnd) return false
      const sinceMs = Math.max(fromMs, one.calledMs)
      const states = model.step(state, one.act, { fromMs: sinceMs, untilMs: Math.min(untilMs, one.endedMs) })
      const rest = left.filter((other) => other !== one)
      const movesOn = model.observes(one.act) ? fromMs : sinceMs
      return states.some((next) => from(next, movesOn, rest))
    })
  }
  return from(model.initial, Number.NEGATIVE_INFINITY, operations)
}
