/**
 * Durations as people write them. Read as decimal digits, never as floating point: `1.1s` is 1100 ms, not 1101.
 */
import { ProtocolError } from './fault.js'
import { describe } from './text.js'

/** A bare number is milliseconds. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h'}`

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const
// The bounds on digits keep every product below 2^53.
const WRITTEN = /^(\d{1,9})(?:\.(\d{1,6}))?(ms|s|m|h)$/

/** Whole milliseconds, rounded up, or throws ProtocolError INVALID_ARGUMENT naming `field`. Takes '250ms', '10s', '1.5m', '2h', 250. */
export function durationMs(value: unknown, field: string): number {
  if (typeof value === 'number' && value >= 0 && !Object.is(value, -0)) {
    const wholeMs = Math.ceil(value)
    if (Number.isSafeInteger(wholeMs)) return wholeMs
  }
  const written = typeof value === 'string' ? WRITTEN.exec(value) : null
  if (written === null) {
    throw new ProtocolError(
      'INVALID_ARGUMENT',
      `${field} must be milliseconds or a duration such as '250ms', '10s', '1.5m' or '2h', not ${describe(value)}`,
    )
  }
  const unitMs = UNIT_MS[written[3] as keyof typeof UNIT_MS]
  const fraction = written[2] ?? ''
  return Number(written[1]) * unitMs + Math.ceil((Number(fraction) * unitMs) / 10 ** fraction.length)
}
