/**
 * How long the event loop stood still: while it does, nothing is answered and no timer fires. Measured by libuv's own
 * timer (no JavaScript runs for it), because a timer of ours could only say it afterwards and for itself.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION_MS = 10
const NS_PER_MS = 1e6

export interface LoopStall {
  /** The longest stall since the last call, in seconds; 0 where the loop kept up. Exact to the resolution of 10 ms. */
  take(): number
  /** Safe to call twice. */
  close(): void
}

export function watchLoop(): LoopStall {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delays.enable()
  return {
    take() {
      // The histogram holds the time from one tick of its timer to the next: the resolution, and what came in between.
      const stallMs = delays.max / NS_PER_MS - RESOLUTION_MS
      delays.reset()
      return Math.max(0, stallMs) / 1_000
    },
    close: () => void delays.disable(),
  }
}
