/**
 * Puts load on something and measures it.
 *
 * Open loop: unit k is intended to begin at `start + k / rate`, whatever the target does, and its latency counts from
 * that moment. A target that stalls therefore shows in the percentiles with every unit that should have begun
 * meanwhile (leaving those out is known as coordinated omission). Closed loop: a fixed number of units in flight, each
 * followed at once by the next; it says how much a target can do, and its latencies are those of a saturated target.
 *
 * It must never start a unit before its intended time, nor drop one that is late.
 */
import { Latency, type Percentiles } from './latency.js'
import { BENCH } from './limits.js'

/** Ends the unit of this slot. `kind` is an index into the load's kinds. To be called once per unit, and not before the unit has returned. */
export type Done = (ok: boolean, kind?: number) => void
/** Begins one unit of work. Slots are numbered from 0; a slot has at most one unit, and always the same `done`. */
export type Unit = (slot: number, done: Done) => void

/** The driver's own world, so that its arithmetic can be tested in virtual time. */
export interface Timing {
  now(): number
  later(delayMs: number, task: () => void): void
}

export const realTiming: Timing = {
  now: () => performance.now(),
  later: (delayMs, task) => void setTimeout(task, delayMs),
}

/** A nanosecond: sums of fractions that differ by less are the same moment. */
const NS_MS = 1e-6

interface Shape {
  readonly unit: Unit
  /** Names of what units can turn out to be; latencies are kept for each. */
  readonly kinds?: readonly string[]
  readonly seconds: number
  readonly warmSeconds?: number
  readonly timing?: Timing
  /** Every counted unit, for a scenario that cuts the run into windows of its own. Times of `timing`. */
  readonly observe?: (intendedMs: number, latencyMs: number, ok: boolean) => void
}
export interface ClosedShape extends Shape {
  readonly inFlight: number
}
export interface OpenShape extends Shape {
  readonly ratePerS: number
  /** Units that may be in flight; more of them wait their turn, and their clocks run. */
  readonly inFlightMax: number
}

export interface LoadResult {
  readonly loop: 'open' | 'closed'
  /** In flight (closed) or per second (open). */
  readonly load: number
  readonly seconds: number
  /** Units that went well within the measured seconds, and per second. */
  readonly units: number
  readonly perS: number
  /** All units that ended, the warm-up's included. */
  readonly ended: number
  readonly failed: number
  /** Not finished when the load gave up waiting; counted with the time they took until then. */
  readonly unfinished: number
  readonly latency: Percentiles
  readonly byKind: Readonly<Record<string, Percentiles>>
  /** How late units began, for the driver's timers or for want of a slot (open loop). A part of their latencies. */
  readonly late: Percentiles
}

function check(name: string, value: number, max: number): void {
  if (!(value > 0 && value <= max)) throw new RangeError(`${name} must be above 0 and at most ${max}, not ${value}`)
}

interface Window {
  readonly fromMs: number
  readonly untilMs: number
  /** A closed loop counts what ends within its seconds (and the latency of its last units), an open one what was intended within them. */
  readonly byEnd: boolean
}

/** What both loops share: slots, what they began when, and the counting. */
class Slots {
  readonly intendedMs: Float64Array
  readonly done: Done[] = []
  readonly free: number[] = []
  readonly #busy: Uint8Array
  readonly #fromMs: number
  readonly #untilMs: number
  readonly #byEnd: boolean
  readonly #freed: (slot: number) => void
  readonly #unit: Unit
  readonly #observe: Shape['observe']
  readonly #timing: Timing
  readonly #kinds: readonly string[]
  readonly #byKind: Latency[]
  readonly #latency = new Latency()
  readonly late = new Latency()
  inFlight = 0
  #began = false
  #units = 0
  #failed = 0
  #ended = 0
  #unfinished = 0

  constructor(count: number, shape: Shape, timing: Timing, window: Window, freed: (slot: number) => void) {
    this.#fromMs = window.fromMs
    this.#untilMs = window.untilMs
    this.#byEnd = window.byEnd
    this.#freed = freed
    this.#unit = shape.unit
    this.#observe = shape.observe
    this.#timing = timing
    this.#kinds = shape.kinds ?? []
    this.#byKind = this.#kinds.map(() => new Latency())
    this.intendedMs = new Float64Array(count)
    this.#busy = new Uint8Array(count)
    for (let slot = count - 1; slot >= 0; slot--) this.free.push(slot)
    for (let slot = 0; slot < count; slot++) this.done.push((ok, kind = 0) => this.#finish(slot, ok, kind))
  }

  begin(slot: number, intendedMs: number): void {
    this.#busy[slot] = 1
    this.intendedMs[slot] = intendedMs
    this.inFlight++
    this.#began = true
    this.#unit(slot, this.done[slot]!)
    this.#began = false
  }

  #finish(slot: number, ok: boolean, kind: number): void {
    if (this.#busy[slot] === 0) throw new Error(`the unit of slot ${slot} ended twice`)
    if (this.#began) throw new Error('a unit must not end before it has returned')
    this.#busy[slot] = 0
    this.inFlight--
    this.#ended++
    const nowMs = this.#timing.now()
    this.#count(this.intendedMs[slot]!, nowMs, ok, kind)
    this.#freed(slot)
  }

  #count(intendedMs: number, endMs: number, ok: boolean, kind: number): void {
    if (this.#byEnd ? endMs < this.#fromMs : intendedMs < this.#fromMs || intendedMs >= this.#untilMs) return
    const latencyMs = endMs - intendedMs
    this.#latency.record(latencyMs)
    this.#byKind[kind]?.record(latencyMs)
    if (!ok) this.#failed++
    else if (!this.#byEnd || endMs < this.#untilMs) this.#units++
    this.#observe?.(intendedMs, latencyMs, ok)
  }

  /** For units that never ended. */
  giveUp(intendedMs: number, nowMs: number): void {
    if (!this.#byEnd && (intendedMs < this.#fromMs || intendedMs >= this.#untilMs)) return
    this.#unfinished++
    this.#latency.record(nowMs - intendedMs)
    this.#observe?.(intendedMs, nowMs - intendedMs, false)
  }

  giveUpBusy(nowMs: number): void {
    for (let slot = 0; slot < this.#busy.length; slot++)
      if (this.#busy[slot] === 1) this.giveUp(this.intendedMs[slot]!, nowMs)
  }

  result(loop: 'open' | 'closed', load: number): LoadResult {
    const seconds = (this.#untilMs - this.#fromMs) / 1_000
    return {
      loop,
      load,
      seconds,
      units: this.#units,
      perS: this.#units / seconds,
      ended: this.#ended,
      failed: this.#failed,
      unfinished: this.#unfinished,
      latency: this.#latency.percentiles(),
      byKind: Object.fromEntries(this.#kinds.map((kind, i) => [kind, this.#byKind[i]!.percentiles()])),
      late: this.late.percentiles(),
    }
  }
}

function times(shape: Shape, timing: Timing): { startMs: number; fromMs: number; untilMs: number } {
  check('seconds', shape.seconds, BENCH.secondsMax)
  const startMs = timing.now()
  const fromMs = startMs + (shape.warmSeconds ?? shape.seconds * BENCH.warmShare) * 1_000
  return { startMs, fromMs, untilMs: fromMs + shape.seconds * 1_000 }
}

/** Keeps `inFlight` units going. The warm-up comes in addition to the seconds. */
export function closedLoop(shape: ClosedShape): Promise<LoadResult> {
  check('inFlight', shape.inFlight, BENCH.inFlightMax)
  const timing = shape.timing ?? realTiming
  const { fromMs, untilMs } = times(shape, timing)
  return new Promise((resolve) => {
    let over = false
    const end = () => {
      if (over) return
      over = true
      slots.giveUpBusy(timing.now())
      resolve(slots.result('closed', shape.inFlight))
    }
    const freed = (slot: number) => {
      const nowMs = timing.now()
      if (nowMs < untilMs) slots.begin(slot, nowMs)
      else if (slots.inFlight === 0) end()
    }
    const slots = new Slots(shape.inFlight, shape, timing, { fromMs, untilMs, byEnd: true }, freed)
    for (let slot = 0; slot < shape.inFlight; slot++) slots.begin(slot, timing.now())
    timing.later(untilMs - timing.now() + BENCH.drainMs, end)
  })
}

/** Begins `ratePerS` units a second, evenly. The warm-up comes in addition to the seconds. */
export function openLoop(shape: OpenShape): Promise<LoadResult> {
  check('ratePerS', shape.ratePerS, BENCH.ratePerSMax)
  check('inFlightMax', shape.inFlightMax, BENCH.inFlightMax)
  const timing = shape.timing ?? realTiming
  const { startMs, fromMs, untilMs } = times(shape, timing)
  const periodMs = 1_000 / shape.ratePerS
  const total = Math.ceil((untilMs - startMs) / periodMs - 1e-9)
  return new Promise((resolve) => {
    let next = 0
    let over = false
    const end = () => {
      if (over) return
      over = true
      const nowMs = timing.now()
      slots.giveUpBusy(nowMs)
      for (; next < total; next++) slots.giveUp(startMs + next * periodMs, nowMs)
      resolve(slots.result('open', shape.ratePerS))
    }
    /** Begins all that is due, as far as slots go. */
    const begin = () => {
      const nowMs = timing.now()
      while (next < total && slots.free.length > 0) {
        const intendedMs = startMs + next * periodMs
        if (intendedMs > nowMs + NS_MS) break
        next++
        if (intendedMs >= fromMs) slots.late.record(Math.max(0, nowMs - intendedMs))
        slots.begin(slots.free.pop()!, intendedMs)
      }
    }
    /** Without a free slot nothing is awaited: the unit that frees one goes on. */
    let awaiting = false
    const pump = () => {
      if (over) return
      begin()
      awaiting = next < total && slots.free.length > 0
      if (awaiting) timing.later(Math.max(0, startMs + next * periodMs - timing.now()), pump)
      else if (slots.inFlight === 0) end()
    }
    const freed = (slot: number) => {
      slots.free.push(slot)
      if (next < total && !awaiting) pump()
      else if (next < total) begin()
      if (next === total && slots.inFlight === 0) end()
    }
    const slots = new Slots(shape.inFlightMax, shape, timing, { fromMs, untilMs, byEnd: false }, freed)
    timing.later(untilMs - startMs + BENCH.drainMs, end)
    pump()
  })
}
