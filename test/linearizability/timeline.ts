/**
 * The calls and ends of one key's known operations in their order, as a list out of which operations are lifted and put
 * back in the reverse order of lifting (Lowe, "Testing for linearizability", 2017). Whatever is called before the first
 * end that is left may come next.
 */
import type { Operation } from './operation.js'

const HEAD = 0

export class Timeline<Act> {
  readonly known: readonly Operation<Act>[]
  /** Of operation i the call is entry 2i + 1 and the end 2i + 2. The last link is HEAD again. */
  readonly #next: Int32Array
  readonly #before: Int32Array

  constructor(known: readonly Operation<Act>[]) {
    this.known = known
    this.#next = new Int32Array(2 * known.length + 1)
    this.#before = new Int32Array(2 * known.length + 1)
    const entries = known.flatMap((_, i) => [2 * i + 1, 2 * i + 2])
    const at = (entry: number): number => {
      const operation = known[(entry - 1) >> 1]!
      return entry % 2 === 1 ? operation.calledAt : operation.endedAt
    }
    entries.sort((a, b) => at(a) - at(b))
    let last = HEAD
    for (const entry of entries) {
      this.#next[last] = entry
      this.#before[entry] = last
      last = entry
    }
    this.#next[last] = HEAD
    this.#before[HEAD] = last
  }

  get empty(): boolean {
    return this.#next[HEAD] === HEAD
  }

  /** The operation whose call comes first; -1 where its end, or nothing, does. */
  first(): number {
    return callOf(this.#next[HEAD]!)
  }

  /** The next call behind this operation's call; -1 where an end comes first. */
  after(operation: number): number {
    return callOf(this.#next[2 * operation + 1]!)
  }

  /** The operation that ends first. The timeline must not be empty. */
  endsFirst(): number {
    let entry = this.#next[HEAD]!
    while (entry % 2 === 1) entry = this.#next[entry]!
    return (entry - 1) >> 1
  }

  lift(operation: number): void {
    this.#unlink(2 * operation + 1)
    this.#unlink(2 * operation + 2)
  }

  putBack(operation: number): void {
    this.#link(2 * operation + 2)
    this.#link(2 * operation + 1)
  }

  #unlink(entry: number): void {
    const [before, next] = [this.#before[entry]!, this.#next[entry]!]
    this.#next[before] = next
    this.#before[next] = before
  }

  #link(entry: number): void {
    this.#next[this.#before[entry]!] = entry
    this.#before[this.#next[entry]!] = entry
  }
}

const callOf = (entry: number): number => (entry % 2 === 1 ? (entry - 1) >> 1 : -1)
