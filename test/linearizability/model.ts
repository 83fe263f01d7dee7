/**
 * What a history is judged by: a sequential model of one object. It must be a pure function of what it is given, and its
 * states must never be changed in place: the search goes back to old ones.
 */

/** Whatever JSON can say. */
export type Value = null | boolean | number | string | readonly Value[] | { readonly [name: string]: Value }

/** One operation as recorded: what was asked, and where it is known, what came back. */
export interface Recorded {
  readonly f: string
  readonly input: Value
  /** Null: nobody knows what became of it. It may take effect at any later time, or never. */
  readonly output: { readonly value: Value } | null
}

/**
 * The moments between which an operation was decided in the order that is being tried, by the history's own clock. A time that begins
 * with a change counts from its decision, which may be a while before others can see it: a look that did not see it yet
 * says nothing of when it was decided. Changes are decided in their order.
 */
export interface Moment {
  /** -Infinity where the history has no times. */
  readonly fromMs: number
  /** Infinity where the history has no times, or where the operation never ended. */
  readonly untilMs: number
}

export interface Model<State, Act> {
  readonly name: string
  /** Which operations there are. */
  readonly functions: readonly string[]
  readonly initial: State
  /** The act, or a complaint: what is wrong with the operation as it was recorded. */
  read(recorded: Recorded): Act | Complaint
  /** Every state that this act, with its known output, can leave behind. None: it cannot take effect here. */
  step(state: State, act: Act, moment: Moment): readonly State[]
  /**
   * Whether the act only looks: it never leaves behind anything that a later act needs. Where such an act fits and changes
   * nothing, the search puts it there and tries no other place.
   */
  observes(act: Act): boolean
  /** The same act, its outcome unknown. */
  forgotten(act: Act): Act
  /** Equal states, and they alone, have equal keys. */
  key(state: State): string
  /** Unknown acts with the same key are interchangeable. */
  actKey(act: Act): string
  /** In words: `writes 1`. */
  describe(act: Act): string
  /** In words, after "it is": `1`, `free`. */
  describeState(state: State): string
}

export class Complaint {
  readonly says: string
  constructor(says: string) {
    this.says = says
  }
}
