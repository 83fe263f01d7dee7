/** Limits of sessions. Bytes are of frames as the socket holds them. */
import { LIMITS } from '@leasehold/protocol'

export const SESSION_LIMITS = {
  sessionsMax: 20_000,
  /** From the connection to its whole greeting. */
  greetingMs: 5_000,
  /** How often greetings and slow readers are looked at. */
  tickMs: 1_000,
  /** How often it is looked at whether this member serves. */
  lookMs: 100,
  /** A leader that has lost its office, and hears of no other leader for so long, sends its sessions elsewhere. */
  awayAfterMs: 100,
  /** Reading stops while this much waits to be sent. */
  pauseBytes: 2_097_152,
  /** So long may that much wait before the reader counts as gone. */
  stuckMs: 30_000,
  /** A reader that lets this much gather is closed. */
  outBytesMax: 33_554_432,
  repliesPerFrameMax: 4_096,
  watchesPerSessionMax: 64,
  watchesMax: 10_000,
  watchPage: 256,
} as const

export type SessionLimits = { readonly [K in keyof typeof SESSION_LIMITS]: number }

export function assertSessionLimits(l: SessionLimits): void {
  const relations: [boolean, string][] = [
    [l.pauseBytes >= 2 * LIMITS.frameBytesMax, 'two frames may wait before reading stops'],
    [l.outBytesMax >= 8 * l.pauseBytes, 'reading stops long before a reader is closed'],
    [l.tickMs < l.greetingMs, 'a greeting is looked at before it is late'],
    [l.lookMs <= l.awayAfterMs, 'one look may come too early, two do not'],
    [l.repliesPerFrameMax <= 65_535, 'the count of a frame is a u16'],
    [l.watchPage <= LIMITS.pageMax, 'a page of a watch is a page'],
  ]
  for (const [holds, claim] of relations) if (!holds) throw new RangeError(`session limits disagree: ${claim}`)
}

assertSessionLimits(SESSION_LIMITS)
