/** A list linked through its own items: what comes first goes first, and anything leaves in one step. */
export interface Linked<T> {
  previous: T | null
  next: T | null
}

export class Fifo<T extends Linked<T>> {
  #first: T | null = null
  #last: T | null = null

  get first(): T | null {
    return this.#first
  }

  /** The item must not be in a list. */
  append(item: T): void {
    item.previous = this.#last
    if (this.#last === null) this.#first = item
    else this.#last.next = item
    this.#last = item
  }

  /** The item must be in this list. */
  remove(item: T): void {
    if (item.previous === null) this.#first = item.next
    else item.previous.next = item.next
    if (item.next === null) this.#last = item.previous
    else item.next.previous = item.previous
    item.previous = null
    item.next = null
  }
}
