/**
 * Deadlines of everything that waits, under one timer: a wheel of slots, each a ring of what is due in it. Adding and
 * taking away are O(1) and allocate nothing, however many requests are in flight (Varghese and Lauck, 1987: hashed timing wheel).
 * Never fires early, and never while nothing is waited for.
 */
import { type Duration, durationMs } from '@leasehold/protocol'
import type { Clocks, Timer } from './clocks.js'

const SLOTS = 512
const SLOT_MS = 8

/** Something with a moment at which it wants to be called. Belongs to one wheel at most. */
export abstract class Due {
  dueMs = 0
  /** Where it is in the wheel; -1: not there; -2: taken out, about to be called. */
  slot = -1
  next: Due = this
  previous: Due = this
  /** Called at, or soon after, dueMs; it is no longer in the wheel then. */
  abstract due(nowMs: number): void
}

class Ring extends Due {
  override due(): void {}
}

export class DeadlineWheel {
  readonly #clocks: Clocks
  /** Made when first needed. */
  readonly #rings: (Ring | undefined)[] = new Array<Ring | undefined>(SLOTS).fill(undefined)
  #count = 0
  #timer: Timer | null = null
  #armedMs = Number.POSITIVE_INFINITY
  /** All that was due up to here has been called. */
  #firedMs: number
  #held = false

  constructor(clocks: Clocks) {
    this.#clocks = clocks
    this.#firedMs = clocks.monotonicMs()
  }

  /** How many wait. */
  get count(): number {
    return this.#count
  }

  /** Sets (or moves) the moment at which `item` is called, on the monotonic clock. */
  set(item: Due, dueMs: number): void {
    if (item.slot >= 0) this.#unlink(item)
    item.dueMs = dueMs
    item.slot = Math.floor(Math.max(dueMs, this.#firedMs) / SLOT_MS) % SLOTS
    this.#rings[item.slot] ??= new Ring()
    const ring = this.#rings[item.slot]!
    item.previous = ring.previous
    item.next = ring
    ring.previous.next = item
    ring.previous = item
    this.#count++
    if (dueMs < this.#armedMs) this.#arm(dueMs)
  }

  /** Takes it away; nothing happens when it is not there. */
  clear(item: Due): void {
    if (item.slot >= 0) this.#unlink(item)
    item.slot = -1
    // The timer stays as it is: what is next is found when it fires, so that a request in flight alone needs no timer of its own.
  }

  /** Whether the process shall stay alive for what is waited for. */
  hold(on: boolean): void {
    this.#held = on
    this.#timer?.hold(on)
  }

  #unlink(item: Due): void {
    item.previous.next = item.next
    item.next.previous = item.previous
    item.next = item
    item.previous = item
    item.slot = -1
    this.#count--
  }

  #arm(dueMs: number): void {
    this.#timer?.cancel()
    this.#armedMs = dueMs
    this.#timer = this.#clocks.after(dueMs - this.#clocks.monotonicMs(), () => this.#fire())
    if (this.#held) this.#timer.hold(true)
  }

  /** Lets go of the timer. What is still in the wheel is not called any more. */
  stop(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#armedMs = Number.NEGATIVE_INFINITY
  }

  #fire(): void {
    this.#timer = null
    const nowMs = this.#clocks.monotonicMs()
    const dueItems = this.#takeDue(nowMs)
    this.#armedMs = Number.POSITIVE_INFINITY
    for (const item of dueItems) {
      if (item.slot !== -2) continue
      item.slot = -1
      item.due(nowMs)
    }
    if (this.#count > 0 && this.#timer === null) this.#arm(Math.max(this.#earliest(nowMs), nowMs))
  }

  /** What is due, in order of its moment. Slots passed since the last fire are walked once, whatever they hold for later rounds stays. */
  #takeDue(nowMs: number): Due[] {
    const found: Due[] = []
    const first = Math.floor(this.#firedMs / SLOT_MS)
    const last = Math.floor(nowMs / SLOT_MS)
    const slots = Math.min(last - first + 1, SLOTS)
    this.#firedMs = nowMs
    for (let i = 0; i < slots; i++) {
      const ring = this.#rings[(last - i) % SLOTS]
      if (ring === undefined) continue
      for (let item = ring.next; item !== ring; ) {
        const after = item.next
        if (item.dueMs <= nowMs) {
          this.#unlink(item)
          item.slot = -2
          found.push(item)
        }
        item = after
      }
    }
    return found.sort((a, b) => a.dueMs - b.dueMs)
  }

  /** The earliest moment of this round, or the round's end where only later ones are left. */
  #earliest(nowMs: number): number {
    const first = Math.floor(nowMs / SLOT_MS)
    for (let i = 0; i < SLOTS; i++) {
      const ring = this.#rings[(first + i) % SLOTS]
      if (ring === undefined) continue
      const endMs = (first + i + 1) * SLOT_MS
      let earliest = Number.POSITIVE_INFINITY
      for (let item = ring.next; item !== ring; item = item.next) {
        if (item.dueMs < endMs && item.dueMs < earliest) earliest = item.dueMs
      }
      if (earliest < Number.POSITIVE_INFINITY) return earliest
    }
    return (first + SLOTS) * SLOT_MS
  }
}

// ensure('2s') is on the hot path of its users: the last text is remembered, so that it is read once.
let lastText = ''
let lastMs = 0

/** Milliseconds of a number, or of the text that was read last; NaN for what has to be read first. Checks nothing. */
export function knownDurationMs(value: Duration): number {
  if (typeof value === 'number') return value
  return value === lastText ? lastMs : Number.NaN
}

/** Like durationMs of the protocol, without the price of reading the same text again. */
export function cachedDurationMs(value: Duration, field: string): number {
  if (value === lastText) return lastMs
  const ms = durationMs(value, field)
  if (typeof value === 'string') {
    lastText = value
    lastMs = ms
  }
  return ms
}
