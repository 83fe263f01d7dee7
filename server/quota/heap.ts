/** The least of many, which change their ranks in place: a binary heap whose items know where they stand. */
export interface Ranked {
  rank: number
  /** Kept by the heap. */
  at: number
}

export class Heap<T extends Ranked> {
  readonly #items: T[] = []

  get size(): number {
    return this.#items.length
  }
  /** Undefined where there is none. */
  get least(): T | undefined {
    return this.#items[0]
  }
  get all(): readonly T[] {
    return this.#items
  }

  add(item: T): void {
    item.at = this.#items.length
    this.#items.push(item)
    this.#rise(item)
  }

  /** Its rank was changed. */
  moved(item: T): void {
    this.#rise(item)
    this.#sink(item)
  }

  remove(item: T): void {
    const last = this.#items.pop()!
    if (last === item) return
    this.#items[item.at] = last
    last.at = item.at
    this.moved(last)
  }

  clear(): void {
    this.#items.length = 0
  }

  #rise(item: T): void {
    const items = this.#items
    let { at } = item
    while (at > 0) {
      const above = (at - 1) >> 1
      const other = items[above]!
      if (other.rank <= item.rank) break
      items[at] = other
      other.at = at
      at = above
    }
    items[at] = item
    item.at = at
  }

  #sink(item: T): void {
    const items = this.#items
    let { at } = item
    for (;;) {
      let below = 2 * at + 1
      if (below >= items.length) break
      if (below + 1 < items.length && items[below + 1]!.rank < items[below]!.rank) below++
      const other = items[below]!
      if (other.rank >= item.rank) break
      items[at] = other
      other.at = at
      at = below
    }
    items[at] = item
    item.at = at
  }
}
