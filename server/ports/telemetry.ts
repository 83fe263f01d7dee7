/** Counters and events as rooms emit them; cli/ wires them to pino and prom-client, tests to arrays. */
export interface Telemetry {
  /** A process-wide fact worth a line: start, recovery, shutdown, refusal. */
  log(level: 'debug' | 'info' | 'warn' | 'error', event: string, fields?: Readonly<Record<string, unknown>>): void
  /** One finished unit of work of a client. Called once per request: keep it cheap. */
  request(op: string, outcome: string, reason: string): void
  /** Seconds that a stage took: intake, queue, flush, apply, reply. Once per batch, not per command. */
  stage(stage: string, seconds: number): void
  /** Sets a gauge such as leases, waiters, sessions, apply_lag, log_entries. */
  gauge(name: string, value: number): void
  /** One flush: its duration, and how many commands it made durable. */
  flush(seconds: number, commands: number): void
}

/** Drops everything. */
export const silent: Telemetry = {
  log() {},
  request() {},
  stage() {},
  gauge() {},
  flush() {},
}
