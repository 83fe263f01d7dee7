/**
 * Looks for an order of one key's operations that the model allows and that respects real time: after Wing and Gong
 * ("Testing and verifying concurrent objects", 1993), with Lowe's cache of seen configurations (2017), as a loop over a stack
 * of its own, so that long histories do not meet the end of the process' stack.
 *
 * An operation of unknown outcome is placed only where nothing else fits. It must never say "not linearizable" because it
 * gave up: then it says that it does not know.
 */
import type { Model } from './model.js'
import type { Operation } from './operation.js'
import { Seen, type Used } from './seen.js'
import { Timeline } from './timeline.js'

export interface Bounds {
  /** Steps of the model for one key. */
  readonly stepsMax: number
  /** Asked now and then: whether the time is over. */
  readonly over: () => boolean
}

export type Finding<State, Act> =
  | { readonly verdict: 'linearizable'; readonly steps: number }
  | { readonly verdict: 'unknown'; readonly steps: number }
  | {
      readonly verdict: 'not linearizable'
      readonly steps: number
      /** The first end that no order gets past, and states in which orders were stuck there. */
      readonly stuckAt: Operation<Act>
      readonly states: readonly State[]
    }

const STATES_TOLD_MAX = 3
/** Steps between two looks at the clock. */
const STEPS_A_LOOK = 1_024

/** What was done to come here, and what is left to be tried in its place. */
interface Frame<State> {
  /** A candidate: see `#end`. */
  readonly placed: number
  /** Other states that the same act can leave behind. */
  readonly others: readonly State[]
  /** Nothing else needs to be tried in its place. */
  readonly forced: boolean
  readonly state: State
  readonly fromMs: number
  readonly latest: number
  readonly used: Used
}

export function search<State, Act>(
  model: Model<State, Act>,
  operations: readonly Operation<Act>[],
  bounds: Bounds,
): Finding<State, Act> {
  return new Search(model, operations, bounds).run()
}

class Search<State, Act> {
  readonly #model: Model<State, Act>
  readonly #bounds: Bounds
  readonly #timeline: Timeline<Act>
  /** Unknown ones by class, each in the order of their calls. */
  readonly #unknown: readonly (readonly Operation<Act>[])[]
  readonly #seen = new Seen()
  readonly #stack: Frame<State>[] = []
  #steps = 0
  /** The known operation that ends first of those that are not placed: what comes next comes before its end. */
  #endsFirst = -1
  #state: State
  /** The latest call among the placed ones that do not just look: nothing placed from here on was decided before it. */
  #fromMs = Number.NEGATIVE_INFINITY
  /** Of the placed known operations the one that was called last; -1 where there is none. */
  #latest = -1
  /** Shared by frames, never changed in place. */
  #used: Used
  #stuckAt: Operation<Act> | null = null
  #stuckStates = new Map<string, State>()

  constructor(model: Model<State, Act>, operations: readonly Operation<Act>[], bounds: Bounds) {
    this.#model = model
    this.#bounds = bounds
    const byCall = [...operations].sort((a, b) => a.calledAt - b.calledAt)
    this.#timeline = new Timeline(byCall.filter(({ endedAt }) => endedAt !== Number.POSITIVE_INFINITY))
    const classes = new Map<string, Operation<Act>[]>()
    for (const one of byCall) {
      if (one.endedAt !== Number.POSITIVE_INFINITY) continue
      // Nobody knows what it saw, and it left nothing behind.
      if (model.observes(one.act)) continue
      const key = model.actKey(one.act)
      const alike = classes.get(key)
      if (alike === undefined) classes.set(key, [one])
      else alike.push(one)
    }
    this.#unknown = [...classes.values()]
    this.#used = new Uint32Array(this.#unknown.length)
    this.#state = model.initial
  }

  run(): Finding<State, Act> {
    let candidate = this.#arrive()
    while (!this.#timeline.empty) {
      if (this.#spent()) return { verdict: 'unknown', steps: this.#steps }
      if (candidate < this.#end) {
        candidate = this.#try(candidate)
        continue
      }
      this.#noteStuck()
      const back = this.#back()
      if (back === null)
        return {
          verdict: 'not linearizable',
          steps: this.#steps,
          stuckAt: this.#stuckAt!,
          states: [...this.#stuckStates.values()],
        }
      candidate = back
    }
    return { verdict: 'linearizable', steps: this.#steps }
  }

  #spent(): boolean {
    if (this.#steps > this.#bounds.stepsMax) return true
    return this.#steps % STEPS_A_LOOK === 0 && this.#bounds.over()
  }

  /** Candidates are numbered: known operations by their place among the known, then the classes of unknown ones. */
  get #end(): number {
    return this.#timeline.known.length + this.#unknown.length
  }

  #next(candidate: number): number {
    const { known } = this.#timeline
    if (candidate >= known.length) return candidate + 1
    const after = this.#timeline.after(candidate)
    return after === -1 ? known.length : after
  }

  /** The operation of a candidate; null where it cannot come next. */
  #operation(candidate: number): Operation<Act> | null {
    const { known } = this.#timeline
    if (candidate < known.length) return known[candidate]!
    const group = candidate - known.length
    const one = this.#unknown[group]![this.#used[group]!]
    return one !== undefined && one.calledAt < known[this.#endsFirst]!.endedAt ? one : null
  }

  /** Begins with a configuration: places the looks that fit, and returns the first candidate. */
  #arrive(): number {
    for (;;) {
      if (this.#timeline.empty) return this.#end
      this.#endsFirst = this.#timeline.endsFirst()
      const look = this.#fittingLook()
      if (look === -1) return this.#timeline.first()
      this.#push(look, [], true)
      this.#apply(look, this.#state, this.#used)
    }
  }

  #fittingLook(): number {
    const here = this.#model.key(this.#state)
    for (let one = this.#timeline.first(); one !== -1; one = this.#timeline.after(one)) {
      const operation = this.#timeline.known[one]!
      if (!this.#model.observes(operation.act)) continue
      if (this.#outcomes(operation).some((state) => this.#model.key(state) === here)) return one
    }
    return -1
  }

  #outcomes(operation: Operation<Act>): readonly State[] {
    this.#steps++
    const fromMs = Math.max(this.#fromMs, operation.calledMs)
    const untilMs = this.#timeline.known[this.#endsFirst]!.endedMs
    return this.#model.step(this.#state, operation.act, { fromMs, untilMs })
  }

  /** Places the candidate and begins with what that leads to; else returns the next one. */
  #try(candidate: number): number {
    const operation = this.#operation(candidate)
    const states = operation === null ? [] : this.#needed(operation, this.#outcomes(operation))
    return this.#enter(candidate, states) ? this.#arrive() : this.#next(candidate)
  }

  /**
   * Without the states that come about just as well without the unknown operation that was placed right before: leaving
   * that one out leaves more to choose from, and is tried in its place.
   */
  #needed(operation: Operation<Act>, states: readonly State[]): readonly State[] {
    const before = this.#stack.at(-1)
    if (states.length === 0 || before === undefined || before.placed < this.#timeline.known.length) return states
    this.#steps++
    const fromMs = Math.max(before.fromMs, operation.calledMs)
    const untilMs = this.#timeline.known[this.#endsFirst]!.endedMs
    const without = this.#model.step(before.state, operation.act, { fromMs, untilMs })
    const keys = new Set(without.map((state) => this.#model.key(state)))
    return states.filter((state) => !keys.has(this.#model.key(state)))
  }

  /** Places the candidate with the first of these states that leads to something new. */
  #enter(candidate: number, states: readonly State[]): boolean {
    const { known } = this.#timeline
    const unknown = candidate >= known.length
    for (let i = 0; i < states.length; i++) {
      const state = states[i]!
      // An unknown one that changes nothing may as well never have happened.
      if (unknown && this.#model.key(state) === this.#model.key(this.#state)) continue
      const used = unknown ? withOneMore(this.#used, candidate - known.length) : this.#used
      if (!this.#seen.add(this.#placeOf(candidate, state), used)) continue
      this.#push(candidate, states.slice(i + 1), false)
      this.#apply(candidate, state, used)
      return true
    }
    return false
  }

  #push(placed: number, others: readonly State[], forced: boolean): void {
    const [state, fromMs, latest, used] = [this.#state, this.#fromMs, this.#latest, this.#used]
    this.#stack.push({ placed, others, forced, state, fromMs, latest, used })
  }

  #apply(candidate: number, state: State, used: Used): void {
    const { known } = this.#timeline
    const operation = this.#operation(candidate)!
    this.#state = state
    this.#used = used
    if (!this.#model.observes(operation.act)) this.#fromMs = Math.max(this.#fromMs, operation.calledMs)
    if (candidate >= known.length) return
    this.#timeline.lift(candidate)
    this.#latest = Math.max(this.#latest, candidate)
  }

  /** Takes back what was placed last where something is left to be tried, and returns what; null: nothing is left. */
  #back(): number | null {
    for (let frame = this.#stack.pop(); frame !== undefined; frame = this.#stack.pop()) {
      if (frame.placed < this.#timeline.known.length) this.#timeline.putBack(frame.placed)
      this.#state = frame.state
      this.#fromMs = frame.fromMs
      this.#latest = frame.latest
      this.#used = frame.used
      if (frame.forced) continue
      this.#endsFirst = this.#timeline.endsFirst()
      if (this.#enter(frame.placed, frame.others)) return this.#arrive()
      return this.#next(frame.placed)
    }
    return null
  }

  /**
   * What is placed once this candidate is, and the state then, as text. The known ones that are placed are all up to
   * the latest, but for those that are named: these overlap with it, so they are few.
   */
  #placeOf(candidate: number, state: State): string {
    const { known } = this.#timeline
    const latest = candidate < known.length ? Math.max(this.#latest, candidate) : this.#latest
    let place = `${this.#model.key(state)}|${latest}`
    for (let one = this.#timeline.first(); one !== -1 && one < latest; one = this.#timeline.after(one))
      if (one !== candidate) place += `,${one}`
    return place
  }

  #noteStuck(): void {
    const at = this.#timeline.known[this.#endsFirst]!
    if (this.#stuckAt !== null && at.endedAt < this.#stuckAt.endedAt) return
    if (at !== this.#stuckAt) this.#stuckStates.clear()
    this.#stuckAt = at
    if (this.#stuckStates.size < STATES_TOLD_MAX) this.#stuckStates.set(this.#model.key(this.#state), this.#state)
  }
}

function withOneMore(used: Used, group: number): Used {
  const more = used.slice()
  more[group] = more[group]! + 1
  return more
}
