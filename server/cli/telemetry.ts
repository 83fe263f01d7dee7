/**
 * The Telemetry port wired to pino (structured lines) and prom-client (metrics by cause). Requests are counted in plain
 * maps and handed to the metrics when they are read, so that a request costs two look-ups.
 */
import { pino } from 'pino'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Telemetry } from '../ports/index.js'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
/** Seconds: from a fast disk's sync to one that hangs. */
const FLUSH_BUCKETS = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30]
const COMMAND_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]
/** Gauges are named by the code; a bug must not grow them without end. */
const GAUGES_MAX = 64

export interface TelemetryOptions {
  readonly level: (typeof LOG_LEVELS)[number]
  /** `text` is for people at a terminal. */
  readonly format: 'json' | 'text'
  readonly memberId: string
  /** Where lines go. */
  readonly write: (line: string) => void
  /** Also memory, garbage collection and the delay of the event loop: for the one server of a process. */
  readonly processMetrics: boolean
}

export interface WiredTelemetry extends Telemetry {
  /** The metrics in the text format of Prometheus, and its media type. */
  readonly metrics: { readonly contentType: string; read(): Promise<string> }
}

export function createTelemetry(options: TelemetryOptions): WiredTelemetry {
  const stream = { write: options.format === 'json' ? options.write : (line: string) => options.write(readable(line)) }
  const logger = pino(
    {
      level: options.level,
      base: { member: options.memberId },
      messageKey: 'event',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ['credential', 'authorization', '*.credential', '*.authorization'], censor: '[redacted]' },
    },
    stream,
  )
  const registry = new Registry()
  if (options.processMetrics) collectDefaultMetrics({ register: registry })
  const count = requestCounter(registry)
  const registers = [registry]
  const stages = new Histogram({
    name: 'leasehold_stage_seconds',
    help: 'Time that a batch spent in a stage',
    labelNames: ['stage'],
    buckets: FLUSH_BUCKETS,
    registers,
  })
  const flushes = new Histogram({
    name: 'leasehold_flush_seconds',
    help: 'Time of one synced write',
    buckets: FLUSH_BUCKETS,
    registers,
  })
  const commands = new Histogram({
    name: 'leasehold_flush_commands',
    help: 'Commands made durable by one synced write',
    buckets: COMMAND_BUCKETS,
    registers,
  })
  const gauges = new Map<string, Gauge>()

  return {
    metrics: { contentType: registry.contentType, read: () => registry.metrics() },
    log: (level, event, fields) => logger[level](fields ?? {}, event),
    request: count,
    stage: (stage, seconds) => stages.observe({ stage }, seconds),
    flush(seconds, size) {
      flushes.observe(seconds)
      commands.observe(size)
    },
    gauge(name, value) {
      let gauge = gauges.get(name)
      if (gauge === undefined) {
        if (gauges.size >= GAUGES_MAX) return
        gauge = new Gauge({ name: `leasehold_${name}`, help: `Current ${name.replaceAll('_', ' ')}`, registers })
        gauges.set(name, gauge)
      }
      gauge.set(value)
    },
  }
}

/** Counts by op, outcome and reason. All three come from closed sets in the code. */
function requestCounter(registry: Registry): Telemetry['request'] {
  const counts = new Map<string, Map<string, { labels: Record<'op' | 'outcome' | 'reason', string>; count: number }>>()
  new Counter({
    name: 'leasehold_requests_total',
    help: 'Finished requests',
    labelNames: ['op', 'outcome', 'reason'],
    registers: [registry],
    collect() {
      for (const byOutcome of counts.values()) {
        for (const entry of byOutcome.values()) {
          this.inc(entry.labels, entry.count)
          entry.count = 0
        }
      }
    },
  })
  return (op, outcome, reason) => {
    let byOutcome = counts.get(op)
    if (byOutcome === undefined) {
      byOutcome = new Map()
      counts.set(op, byOutcome)
    }
    const key = reason === '' ? outcome : `${outcome} ${reason}`
    const entry = byOutcome.get(key)
    if (entry !== undefined) entry.count += 1
    else byOutcome.set(key, { labels: { op, outcome, reason }, count: 1 })
  }
}

/** `17:03:21.042 info  serving  url=http://127.0.0.1:7420` */
function readable(line: string): string {
  const { time, level, event, member: _, ...fields } = JSON.parse(line) as Record<string, unknown>
  const rest = Object.entries(fields).map(([key, value]) => {
    return `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`
  })
  const at = String(time).slice(11, 23)
  return `${[at, String(level).padEnd(5), event, ...(rest.length > 0 ? [' ', ...rest] : [])].join(' ').replace('   ', '  ')}\n`
}
