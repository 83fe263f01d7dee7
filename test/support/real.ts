/** Real time and randomness for tests that speak over real sockets, and telemetry that remembers. */
import { randomBytes } from 'node:crypto'
import type { Clock, Random, Telemetry } from '@leasehold/server/ports'

export const realClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  },
  every(periodMs, task) {
    const timer = setInterval(task, periodMs)
    timer.unref()
    return () => clearInterval(timer)
  },
  next: (task) => queueMicrotask(task),
  soon: (task) => void setImmediate(task),
}

export const realRandom: Random = {
  next: () => Math.random(),
  bytes: (count) => randomBytes(count),
}

export class Remembered implements Telemetry {
  readonly logs: { level: string; event: string; fields: Readonly<Record<string, unknown>> }[] = []
  readonly requests: [op: string, outcome: string, reason: string][] = []
  readonly gauges = new Map<string, number>()
  readonly stages: string[] = []

  log(level: string, event: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.logs.push({ level, event, fields })
  }
  request(op: string, outcome: string, reason: string): void {
    this.requests.push([op, outcome, reason])
  }
  stage(stage: string): void {
    this.stages.push(stage)
  }
  gauge(name: string, value: number): void {
    this.gauges.set(name, value)
  }
  flush(): void {}
}
