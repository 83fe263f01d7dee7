/**
 * What is told of each finished request: a count always, a structured event where it is worth one (errors, slow ones,
 * one in `sampleEvery` of the rest, with that rate in it). A flood of events is cut, and what was cut is counted.
 * Must never cost a request more than a few dozen nanoseconds when nothing is emitted.
 */
import { ERRORS, errorOfWire, OFFERED, OK, OP, type Op, QUEUED, type WorkClass } from '@leasehold/protocol'
import type { Clock, Telemetry } from '../ports/index.js'
import { INTAKE_LIMITS } from './limits.js'

const opNames = new Map<number, string>(Object.entries(OP).map(([name, op]) => [op, name]))

/** The operation's name in metrics and events; `unknown` for a number that this version does not know. */
export const opName = (op: number): string => opNames.get(op) ?? 'unknown'

/** `ok` and `offered`; `refused` when the state or the request says no; `failed` when the service could not do it. */
export type Outcome = 'ok' | 'offered' | 'refused' | 'failed' | 'gone'

export function outcomeOf(code: number): Outcome {
  if (code === OK || code === QUEUED) return 'ok'
  if (code === OFFERED) return 'offered'
  return ERRORS[errorOfWire(code)].status >= 500 ? 'failed' : 'refused'
}

/** The error's code, for a lost lease why it was lost, and nothing for a success: a small closed set. */
export function reasonOf(code: number, fields: readonly unknown[]): string {
  if (code <= QUEUED) return ''
  const error = errorOfWire(code)
  return error === 'LEASE_LOST' && typeof fields[1] === 'string' ? fields[1] : error
}

/** A unit of work as the event has it. */
export interface Work {
  readonly op: string
  readonly class: WorkClass
  readonly outcome: Outcome
  readonly reason: string
  readonly principal: string
  readonly request: string
  readonly traceparent?: string
  readonly status?: number
  /** Durations by stage, in milliseconds; `total` is always there. */
  readonly ms: Readonly<Record<string, number>> & { readonly total: number }
  /** Requests in flight when this one came. */
  readonly depth: number
}

export class Journal {
  readonly #telemetry: Telemetry
  readonly #stop: () => void
  #untilSample = 1
  #left: number = INTAKE_LIMITS.eventsPerSecondMax
  #cut = 0

  constructor(clock: Clock, telemetry: Telemetry) {
    this.#telemetry = telemetry
    this.#stop = clock.every(1_000, () => this.#second())
  }

  /** Counts one finished request; true when it also deserves an event. */
  count(op: Op, code: number, fields: readonly unknown[], totalMs: number, waited: boolean): boolean {
    const outcome = outcomeOf(code)
    this.#telemetry.request(opName(op), outcome, reasonOf(code, fields))
    return this.deserves(outcome, waited ? 0 : totalMs)
  }

  /** Whether a unit of work with this outcome is worth an event now. */
  deserves(outcome: Outcome, totalMs: number): boolean {
    if (outcome !== 'ok' && outcome !== 'offered') return this.#afford()
    if (totalMs >= INTAKE_LIMITS.slowMs) return this.#afford()
    this.#untilSample--
    if (this.#untilSample > 0) return false
    this.#untilSample = INTAKE_LIMITS.sampleEvery
    return this.#afford()
  }

  emit(work: Work): void {
    const usual = (work.outcome === 'ok' || work.outcome === 'offered') && work.ms.total < INTAKE_LIMITS.slowMs
    this.#telemetry.log(work.outcome === 'failed' ? 'warn' : 'info', 'request', {
      ...work,
      sampled: usual ? 1 / INTAKE_LIMITS.sampleEvery : 1,
    })
  }

  close(): void {
    this.#second()
    this.#stop()
  }

  #afford(): boolean {
    if (this.#left > 0) {
      this.#left--
      return true
    }
    this.#cut++
    return false
  }

  #second(): void {
    this.#left = INTAKE_LIMITS.eventsPerSecondMax
    if (this.#cut === 0) return
    this.#telemetry.log('warn', 'requests.cut', { events: this.#cut })
    this.#cut = 0
  }
}
