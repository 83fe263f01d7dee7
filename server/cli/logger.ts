/** The server's log: JSON lines for machines, text for people at a terminal. */
import { type Logger, pino } from 'pino'
import { REDACTED } from '../http/telemetry.js'

export interface LoggerOptions {
  /** One of pino's. */
  readonly level: string
  /** `json` or `text`. */
  readonly format: string
  readonly memberId: string
  readonly write: (line: string) => void
}

export function createLogger({ level, format, memberId, write }: LoggerOptions): Logger {
  return pino(
    {
      level,
      base: { member: memberId },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: [...REDACTED], censor: '[redacted]' },
    },
    { write: format === 'json' ? write : (line) => write(readable(line)) },
  )
}

/** `17:03:21.042 info  serving  url=http://127.0.0.1:7420` */
export function readable(line: string): string {
  const { time, level, event, member: _, ...fields } = JSON.parse(line) as Record<string, unknown>
  const rest = Object.entries(fields).map(([key, value]) => {
    return `  ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`
  })
  return `${String(time).slice(11, 23)} ${String(level).padEnd(5)} ${event}${rest.join('')}\n`
}
