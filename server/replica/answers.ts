/**
 * Hands replies to those who are owed them, in order, and flushes each recipient once. A recipient that throws is
 * forgotten; one that is gone gets nothing more, although what it asked for is still executed.
 */
import type { Recipient } from './replica.js'

export class Answers {
  readonly #touched = new Set<Recipient>()
  /** Of them, those who are flushed before the others. */
  readonly #first = new Set<Recipient>()
  #last: Recipient | null = null
  /** Recipients that left with commands under way. Empty nearly always, so that asking costs nothing. */
  readonly #gone = new Set<Recipient>()
  readonly #leaving: { readonly to: Recipient; readonly throughBatch: number }[] = []
  readonly #threw: (to: Recipient, error: unknown) => void

  /** `threw` is told of a recipient that failed; it shall be detached. */
  constructor(threw: (to: Recipient, error: unknown) => void) {
    this.#threw = threw
  }

  /** Nothing is sent to it any more. Its commands are all in batches up to this number. */
  leave(to: Recipient, throughBatch: number): void {
    this.#touched.delete(to)
    this.#first.delete(to)
    if (this.#last === to) this.#last = null
    if (this.#gone.has(to)) return
    this.#gone.add(to)
    this.#leaving.push({ to, throughBatch })
  }

  isGone(to: Recipient): boolean {
    return this.#gone.size > 0 && this.#gone.has(to)
  }

  /** All batches up to this number have been answered: who left before them need not be remembered. */
  answered(batch: number): void {
    while (this.#leaving.length > 0 && this.#leaving[0]!.throughBatch <= batch) {
      this.#gone.delete(this.#leaving.shift()!.to)
    }
  }

  give(to: Recipient, id: number, attempt: number, code: number, fields: readonly unknown[]): void {
    if (this.#gone.size > 0 && this.#gone.has(to)) return
    try {
      to.reply(id, attempt, code, fields)
    } catch (error) {
      this.#threw(to, error)
      return
    }
    if (to === this.#last) return
    this.#last = to
    this.#touched.add(to)
  }

  /**
   * Somebody whose wait is over: he is told before those who only learn that their command is done. His claim is what
   * everybody behind him waits for, and should not stand behind the next commands of the others.
   */
  giveFirst(to: Recipient, id: number, attempt: number, code: number, fields: readonly unknown[]): void {
    this.give(to, id, attempt, code, fields)
    if (this.#touched.has(to)) this.#first.add(to)
  }

  get pending(): boolean {
    return this.#touched.size > 0
  }

  flush(): void {
    this.#last = null
    for (const to of this.#first) this.#flushOne(to)
    for (const to of this.#touched) this.#flushOne(to)
  }

  #flushOne(to: Recipient): void {
    this.#first.delete(to)
    this.#touched.delete(to)
    try {
      to.flush()
    } catch (error) {
      this.#threw(to, error)
    }
  }
}
