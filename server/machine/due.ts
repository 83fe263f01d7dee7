/**
 * What is due next, for a million items. Renewals only ever raise an item's end, so they do not come here at all: an
 * item stands under the end that it had when it was placed, and is placed anew when that moment comes.
 *
 * A hierarchical timing wheel (Varghese and Lauck, 1987) of two rings holds the far items in plain arrays: placing,
 * removing and moving cost a few array accesses each. A small binary heap holds the near ones (up to 64 ms ahead),
 * exactly ordered by (end, serial). So the order in which items come out is a function of the items alone: it is the
 * same after a reload, whatever the arrays look like. A million items that are due within the same minute are moved up
 * little by little beforehand, never all at once. Nothing here reads a clock: the caller says what time it is.
 */

export interface Due {
  /** When it is due. May be raised in place at any time; to lower it call `lower`. */
  endMs: number
  /** The end under which it stands here. DueQueue alone writes this and `slot`. */
  placedMs: number
  /** Position within its bucket or the heap. */
  slot: number
}

const FINE_MS = 64
const FINE_BUCKETS = 1_024
const COARSE_MS = FINE_MS * FINE_BUCKETS
const COARSE_BUCKETS = 2_048
/** Items of the next coarse bucket that are moved up in each 64 ms: a million of them in good time. */
const MOVED_UP_MAX = 1_000

const rings = <T>(count: number): T[][] => Array.from({ length: count }, () => [])

export class DueQueue<T extends Due> {
  /** Breaks ties of equal ends; unique among the items. */
  readonly #serialOf: (item: T) => number
  /** Binary heap of the items in fine buckets up to #fine. */
  readonly #near: T[] = []
  /** Items of the rest of the current coarse bucket, and those of the next one that were moved up already. */
  readonly #fineRing: T[][] = rings(2 * FINE_BUCKETS)
  /** Items of later coarse buckets; those beyond the ring stand in its last bucket and are placed anew from there. */
  readonly #coarseRing: T[][] = rings(COARSE_BUCKETS)
  /** The fine and the coarse bucket that now lies in. */
  #fine = -1
  #coarse = -1

  constructor(serialOf: (item: T) => number) {
    this.#serialOf = serialOf
  }

  add(item: T): void {
    this.#place(item)
  }

  /** The item must be here. */
  remove(item: T): void {
    this.#takeOut(item)
  }

  /** The item's end was lowered. */
  lower(item: T): void {
    this.#takeOut(item)
    this.#place(item)
  }

  /**
   * The first item in the order of (end, serial) whose end is at or before `nowMs`, or null. It stays until removed.
   */
  peek(nowMs: number): T | null {
    this.#advance(nowMs)
    for (;;) {
      const first = this.#near[0]
      if (first === undefined || first.placedMs > nowMs) return null
      if (first.endMs === first.placedMs) return first
      this.lower(first)
    }
  }

  #place(item: T): void {
    const endMs = item.endMs
    item.placedMs = endMs
    const fine = Math.floor(endMs / FINE_MS)
    if (fine <= this.#fine) {
      this.#near.push(item)
      this.#up(item, this.#near.length - 1)
      return
    }
    const coarse = Math.floor(endMs / COARSE_MS)
    const lastCoarse = this.#coarse + COARSE_BUCKETS - 1
    if (coarse > lastCoarse) item.placedMs = lastCoarse * COARSE_MS
    const bucket = coarse <= this.#coarse + 1 ? this.#fineBucket(endMs) : this.#coarseBucket(item.placedMs)
    item.slot = bucket.length
    bucket.push(item)
  }

  #fineBucket(placedMs: number): T[] {
    return this.#fineRing[Math.floor(placedMs / FINE_MS) % this.#fineRing.length]!
  }
  #coarseBucket(placedMs: number): T[] {
    return this.#coarseRing[Math.floor(placedMs / COARSE_MS) % COARSE_BUCKETS]!
  }

  #takeOut(item: T): void {
    const near = Math.floor(item.placedMs / FINE_MS) <= this.#fine
    const coarse = this.#coarseBucket(item.placedMs)
    const far = coarse[item.slot] === item ? coarse : this.#fineBucket(item.placedMs)
    const home = near ? this.#near : far
    const last = home.pop()!
    if (last === item) return
    const at = item.slot
    if (!near) {
      home[at] = last
      last.slot = at
      return
    }
    // not by comparing with the item itself: its serial may have changed already
    const parent = at > 0 ? home[(at - 1) >> 1]! : null
    if (parent !== null && this.#before(last, parent)) this.#up(last, at)
    else this.#down(last, at)
  }

  /** Opens every bucket up to the one that `nowMs` lies in. */
  #advance(nowMs: number): void {
    const fine = Math.floor(nowMs / FINE_MS)
    if (fine <= this.#fine) return
    const fineRing = this.#fineRing
    const fromFine = this.#fine + 1
    const fromCoarse = this.#coarse + 1
    const lastFine = Math.min(fine, this.#fine + fineRing.length)
    this.#fine = fine
    this.#coarse = Math.floor(nowMs / COARSE_MS)
    const lastCoarse = Math.min(this.#coarse, fromCoarse + COARSE_BUCKETS - 1)
    for (let at = fromFine; at <= lastFine; at++) this.#spread(fineRing, at % fineRing.length)
    for (let at = fromCoarse; at <= lastCoarse; at++) this.#spread(this.#coarseRing, at % COARSE_BUCKETS)
    this.#moveUp(MOVED_UP_MAX * (lastFine - fromFine + 1))
  }

  /** Moves some items of the next coarse bucket to where they are due, so that few are left when its time has come. */
  #moveUp(max: number): void {
    const next = this.#coarseRing[(this.#coarse + 1) % COARSE_BUCKETS]!
    for (let left = Math.min(max, next.length); left > 0; left--) this.#place(next.pop()!)
  }

  #spread(ring: T[][], at: number): void {
    const items = ring[at]!
    if (items.length === 0) return
    ring[at] = []
    for (const item of items) this.#place(item)
  }

  #before(a: T, b: T): boolean {
    return a.placedMs < b.placedMs || (a.placedMs === b.placedMs && this.#serialOf(a) < this.#serialOf(b))
  }

  #up(item: T, from: number): void {
    const heap = this.#near
    let at = from
    while (at > 0) {
      const parentAt = (at - 1) >> 1
      const parent = heap[parentAt]!
      if (!this.#before(item, parent)) break
      heap[at] = parent
      parent.slot = at
      at = parentAt
    }
    heap[at] = item
    item.slot = at
  }

  #down(item: T, from: number): void {
    const heap = this.#near
    const count = heap.length
    let at = from
    for (;;) {
      let childAt = 2 * at + 1
      if (childAt >= count) break
      const rightAt = childAt + 1
      if (rightAt < count && this.#before(heap[rightAt]!, heap[childAt]!)) childAt = rightAt
      const child = heap[childAt]!
      if (!this.#before(child, item)) break
      heap[at] = child
      child.slot = at
      at = childAt
    }
    heap[at] = item
    item.slot = at
  }
}
