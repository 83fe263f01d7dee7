/**
 * Telemetry as production has it: counts for prom-client, lines for pino. Requests are counted in plain maps and handed
 * to prom-client when somebody scrapes, because they come by the hundred thousand. Must never throw into its caller.
 */
import type { Logger } from 'pino'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Telemetry } from '../ports/index.js'

/** What /metrics serves. */
export interface MetricsSource {
  readonly contentType: string
  /** The exposition, as text. */
  text(): Promise<string>
}

const STAGE_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5]
const FLUSH_COMMANDS = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384]

/** Gauges that rooms may set, with their help. */
const GAUGES: Readonly<Record<string, string>> = {
  leases: 'Live leases in the applied state',
  waiters: 'Acquires that stand in a queue',
  sessions: 'Open sessions',
  apply_lag: 'Log entries that are committed and not yet applied',
  quota_admitted_shadow: 'Requests admitted without tokens by shadow quotas, since the start',
  quota_admitted_unavailable: 'Requests admitted because nobody could say, since the start',
  quota_key_buckets: 'Keys of quotas that have a bucket, at the member that leads',
  quota_keys_evicted: 'Buckets of keys that made way for others before they were full, since the start',
  log_entries: 'Log entries that are kept for members that fall behind',
  loop_stall_seconds: 'The longest time that the event loop stood still since the reading before',
}

export class ServerTelemetry implements Telemetry, MetricsSource {
  readonly #logger: Logger
  readonly #registry = new Registry()
  /** op, then outcome, then reason. All three are from small closed sets. */
  readonly #requests = new Map<string, Map<string, Map<string, number>>>()
  readonly #stages: Histogram<'stage'>
  readonly #flushSeconds: Histogram
  readonly #flushCommands: Histogram
  readonly #gauges = new Map<string, Gauge>()
  readonly #beforeReading: (() => void)[] = []

  constructor(logger: Logger) {
    this.#logger = logger
    const registers = [this.#registry]
    const requests: Counter<'op' | 'outcome' | 'reason'> = new Counter({
      name: 'leasehold_requests_total',
      help: 'Finished requests by operation, outcome and reason',
      labelNames: ['op', 'outcome', 'reason'],
      registers,
      collect: () => this.#collect(requests),
    })
    this.#stages = new Histogram({
      name: 'leasehold_stage_seconds',
      help: 'Time in a stage, one observation a batch',
      labelNames: ['stage'],
      buckets: STAGE_SECONDS,
      registers,
    })
    this.#flushSeconds = new Histogram({
      name: 'leasehold_flush_seconds',
      help: 'Time of one synced write',
      buckets: STAGE_SECONDS,
      registers,
    })
    this.#flushCommands = new Histogram({
      name: 'leasehold_flush_commands',
      help: 'Commands made durable by one synced write',
      buckets: FLUSH_COMMANDS,
      registers,
    })
    for (const [name, help] of Object.entries(GAUGES))
      this.#gauges.set(name, new Gauge({ name: `leasehold_${name}`, help, registers }))
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** Runs `task` before each reading, to set gauges that are only known then. */
  beforeReading(task: () => void): void {
    this.#beforeReading.push(task)
  }

  text(): Promise<string> {
    for (const task of this.#beforeReading) task()
    return this.#registry.metrics()
  }

  log(level: 'debug' | 'info' | 'warn' | 'error', event: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#logger[level]({ event, ...fields })
  }

  request(op: string, outcome: string, reason: string): void {
    let outcomes = this.#requests.get(op)
    if (outcomes === undefined) {
      outcomes = new Map()
      this.#requests.set(op, outcomes)
    }
    let reasons = outcomes.get(outcome)
    if (reasons === undefined) {
      reasons = new Map()
      outcomes.set(outcome, reasons)
    }
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  }

  stage(stage: string, seconds: number): void {
    this.#stages.observe({ stage }, seconds)
  }

  gauge(name: string, value: number): void {
    this.#gauges.get(name)?.set(value)
  }

  flush(seconds: number, commands: number): void {
    this.#flushSeconds.observe(seconds)
    this.#flushCommands.observe(commands)
  }

  #collect(counter: Counter<'op' | 'outcome' | 'reason'>): void {
    counter.reset()
    for (const [op, outcomes] of this.#requests)
      for (const [outcome, reasons] of outcomes)
        for (const [reason, count] of reasons) counter.inc({ op, outcome, reason }, count)
  }
}

/** What a logger must redact: credentials travel in these. For pino's `redact`. */
export const REDACTED = ['credential', 'authorization', '*.credential', '*.authorization', '*.cookie'] as const
