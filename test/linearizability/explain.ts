/**
 * Why a key's history is not linearizable, in as few operations as can be found. Operations are made weaker, never
 * stronger, while it still cannot be ordered: a look is left out, any other one may have happened or not. So what is
 * left in the end is a true reason, whatever the others did.
 */
import type { Model } from './model.js'
import type { Operation } from './operation.js'
import { type Bounds, type Finding, search } from './search.js'

export interface Reason<Act> {
  /** In the order of their calls. They cannot be ordered, whatever the others did. */
  readonly operations: readonly Operation<Act>[]
  readonly others: number
  /** In words: the states in which these alone go no further; none where there is nothing to be told. */
  readonly states: readonly string[]
  readonly stuckAt: Operation<Act>
}

/** How much harder than the search that found it one try may be; else the operations are kept as they are. */
const STEPS_A_TRY_MIN = 200_000

export function explain<State, Act>(
  model: Model<State, Act>,
  operations: readonly Operation<Act>[],
  found: Finding<State, Act> & { verdict: 'not linearizable' },
  bounds: Bounds,
): Reason<Act> {
  let last = found
  const tryBounds = { stepsMax: Math.max(STEPS_A_TRY_MIN, 2 * found.steps), over: bounds.over }
  let steps = 0
  const stillFails = (strict: readonly Operation<Act>[], weak: readonly Operation<Act>[]): boolean => {
    if (bounds.over() || steps > bounds.stepsMax) return false
    const finding = search(model, [...strict, ...weak], tryBounds)
    steps += finding.steps
    if (finding.verdict !== 'not linearizable') return false
    last = finding
    return true
  }
  const end = found.stuckAt.endedAt
  const before = operations.filter(({ calledAt }) => calledAt < end)
  let weak = before.filter(({ endedAt }) => endedAt === Number.POSITIVE_INFINITY)
  let strict = before.filter(({ endedAt }) => endedAt !== Number.POSITIVE_INFINITY)
  const reduce = (those: (one: Operation<Act>) => boolean): void => {
    const chosen = strict.filter(those)
    // In pieces that get smaller: what is far away is let go at once.
    for (let size = chosen.length; size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let from = 0; from < chosen.length; ) {
        const piece = new Set(chosen.slice(from, from + size))
        const rest = strict.filter((one) => !piece.has(one))
        const weaker = [...weak, ...[...piece].flatMap((one) => weakened(model, one))]
        if (rest.length > 0 && stillFails(rest, weaker)) {
          strict = rest
          weak = weaker
          chosen.splice(from, size)
        } else from += size
      }
    }
  }
  // Looks first: to let them go costs nothing, while every operation that may have happened makes the search longer.
  reduce((one) => model.observes(one.act))
  reduce((one) => !model.observes(one.act))
  const { stuckAt } = last
  // The state is told as these alone leave it, where they get stuck at the same place: with the others it may be any.
  const alone = search(model, strict, tryBounds)
  const same = alone.verdict === 'not linearizable' && alone.stuckAt === stuckAt
  return {
    operations: [...strict].sort((a, b) => a.calledAt - b.calledAt),
    others: operations.length - strict.length,
    states: same ? alone.states.map((state) => model.describeState(state)) : [],
    stuckAt,
  }
}

function weakened<State, Act>(model: Model<State, Act>, one: Operation<Act>): Operation<Act>[] {
  if (model.observes(one.act)) return []
  const never = Number.POSITIVE_INFINITY
  return [{ ...one, act: model.forgotten(one.act), endedAt: never, endedMs: never }]
}

/** In words, a line each. */
export function reasonText<State, Act>(model: Model<State, Act>, key: string, reason: Reason<Act>): string[] {
  const { operations, others, states, stuckAt } = reason
  const rest = others === 0 ? '' : `, whatever became of the other ${others}`
  const where =
    states.length === 0
      ? 'the last that finds no place: '
      : `where it goes no further, it is ${states.join(', or ')}; and `
  const of = key === '' ? 'the history' : `key ${key}`
  const many =
    operations.length === 1 ? 'this operation fits nowhere' : `these ${operations.length} operations fit in no order`
  return [
    `${of}: ${many}${rest}:`,
    ...operations.map((one) => `  lines ${one.calledAt} to ${one.endedAt}: ${subject(one)} ${model.describe(one.act)}`),
    `  ${where}${subject(stuckAt)} ${model.describe(stuckAt.act)}`,
  ]
}

const subject = ({ process }: { process: number | string }): string => `process ${JSON.stringify(process)}`
