/** A bare number is milliseconds. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h'}`

/** Whole milliseconds, rounded up, or throws ProtocolError INVALID_ARGUMENT naming `field`. Takes '250ms', '10s', '1.5m', '2h', 250. */
export function durationMs(value: unknown, field: string): number {
  throw new Error(`not built: ${value} ${field}`)
}
