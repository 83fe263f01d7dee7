/** The server's log: JSON lines for machines, text for people at a terminal. */
import { type Logger, pino } from 'pino'
import { REDACTED } from '../http/telemetry.js'
import { readable } from './readable.js'

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
