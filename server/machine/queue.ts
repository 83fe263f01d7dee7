/**
 * Who waits for which name: by priority, then first come first served. A queue holds at most 10,000 waiters (whoever
 * adds one checks that), so a sorted array with a binary search serves it.
 */
import { DueQueue } from './due.js'
import { Table } from './table.js'
import { type Waiter, waiterCodec } from './waiter.js'

/** The higher priority first, then the earlier arrival. */
const before = (a: Waiter, b: Waiter) => a.priority > b.priority || (a.priority === b.priority && a.id < b.id)

/** Index of the first waiter that does not come before `waiter`: its own, where it is there. */
function placeOf(queue: readonly Waiter[], waiter: Waiter): number {
  let low = 0
  let high = queue.length
  while (low < high) {
    const mid = (low + high) >>> 1
    if (before(queue[mid]!, waiter)) low = mid + 1
    else high = mid
  }
  return low
}

export class Waiters {
  readonly table = new Table(waiterCodec)
  readonly #due = new DueQueue<Waiter>((waiter) => waiter.id)
  /** No empty queues. */
  readonly #queues = new Map<string, Waiter[]>()

  get size(): number {
    return this.table.size
  }

  get(id: number): Waiter | undefined {
    return this.table.get(String(id))
  }

  countOf(name: string): number {
    return this.#queues.get(name)?.length ?? 0
  }

  first(name: string): Waiter | null {
    return this.#queues.get(name)?.[0] ?? null
  }

  /** The first waiter under this holder name that still waits at `nowMs`. */
  firstUnder(name: string, holder: string, nowMs: number): Waiter | null {
    for (const waiter of this.#queues.get(name) ?? []) {
      if (waiter.holder === holder && waiter.endMs > nowMs) return waiter
    }
    return null
  }

  add(waiter: Waiter): void {
    this.table.insert(String(waiter.id), waiter)
    this.#index(waiter)
  }

  remove(waiter: Waiter): void {
    this.table.remove(String(waiter.id), waiter)
    this.#due.remove(waiter)
    const queue = this.#queues.get(waiter.name)!
    if (queue.length === 1) this.#queues.delete(waiter.name)
    else if (queue[0] === waiter) queue.shift()
    else queue.splice(placeOf(queue, waiter), 1)
  }

  /** Its connection is lost: it is given up at `untilMs`, unless its deadline comes first. */
  lose(waiter: Waiter, nowMs: number, untilMs: number): void {
    waiter.lostMs = nowMs
    waiter.endMs = Math.min(waiter.deadlineMs, untilMs)
    this.#due.lower(waiter)
    this.table.touch(waiter)
  }

  /** The same request has come back, through this member. */
  found(waiter: Waiter, member: string): void {
    waiter.member = member
    waiter.lostMs = -1
    waiter.endMs = waiter.deadlineMs
    this.table.touch(waiter)
  }

  /** The first waiter in the order of (end, arrival) that is over at `nowMs`; it stays until removed. */
  due(nowMs: number): Waiter | null {
    return this.#due.peek(nowMs)
  }

  values(): IterableIterator<Waiter> {
    return this.table.values()
  }

  /** Builds what is derived, once, after all rows are loaded. */
  loaded(nowMs: number): void {
    this.#due.peek(nowMs) // so that each row is placed once, where it belongs
    const inOrder = [...this.table.values()].sort((a, b) => a.id - b.id)
    for (const waiter of inOrder) this.#index(waiter)
  }

  #index(waiter: Waiter): void {
    this.#due.add(waiter)
    const queue = this.#queues.get(waiter.name)
    if (queue === undefined) this.#queues.set(waiter.name, [waiter])
    else queue.splice(placeOf(queue, waiter), 0, waiter)
  }
}
