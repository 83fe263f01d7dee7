/**
 * The names of all leases in order, for listings: a list of blocks of a few hundred names each. An insert costs two
 * binary searches and the shifting of one block, whatever the total.
 */

const BLOCK_MAX = 512
const BLOCK_JOIN = 256

/** Index of the first element at or after `name`. */
function lowerBound(names: readonly string[], name: string): number {
  let low = 0
  let high = names.length
  while (low < high) {
    const mid = (low + high) >>> 1
    if (names[mid]! < name) low = mid + 1
    else high = mid
  }
  return low
}

export class OrderedNames {
  /** Never empty blocks, in order. */
  readonly #blocks: string[][] = []

  /** The name must not be there yet. */
  add(name: string): void {
    const last = this.#blocks[this.#blocks.length - 1]
    if (last === undefined || last[last.length - 1]! < name) {
      this.#append(last, name)
      return
    }
    const at = this.#blockOf(name)
    const block = this.#blocks[at]!
    block.splice(lowerBound(block, name), 0, name)
    if (block.length > BLOCK_MAX) this.#blocks.splice(at + 1, 0, block.splice(BLOCK_MAX >> 1))
  }

  /** Without a search: names that come in order, as a million do at a start, also fill their blocks, instead of leaving each half empty. */
  #append(last: string[] | undefined, name: string): void {
    if (last !== undefined && last.length < BLOCK_MAX) last.push(name)
    else this.#blocks.push([name])
  }

  /** The name must be there. */
  delete(name: string): void {
    const at = this.#blockOf(name)
    const block = this.#blocks[at]!
    const place = lowerBound(block, name)
    if (place === block.length - 1) block.pop()
    else block.splice(place, 1)
    if (block.length === 0) this.#blocks.splice(at, 1)
    else this.#join(at)
  }

  /** Names at or after `start`, in order. Must not be changed meanwhile. */
  *from(start: string): Generator<string, void> {
    if (this.#blocks.length === 0) return
    let at = this.#blockOf(start)
    let place = lowerBound(this.#blocks[at]!, start)
    for (; at < this.#blocks.length; at++) {
      const block = this.#blocks[at]!
      for (; place < block.length; place++) yield block[place]!
      place = 0
    }
  }

  /** The last block whose first name is at or before `name`, else the first one. */
  #blockOf(name: string): number {
    let low = 0
    let high = this.#blocks.length
    while (low < high) {
      const mid = (low + high) >>> 1
      if (this.#blocks[mid]![0]! <= name) low = mid + 1
      else high = mid
    }
    return Math.max(0, low - 1)
  }

  /** Keeps blocks from becoming many and small. */
  #join(at: number): void {
    const block = this.#blocks[at]!
    const next = this.#blocks[at + 1]
    if (next === undefined || block.length + next.length > BLOCK_JOIN) return
    for (const name of next) block.push(name)
    this.#blocks.splice(at + 1, 1)
  }
}
