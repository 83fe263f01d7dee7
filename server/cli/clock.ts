/** The process's real clocks, behind the port. */
import type { Clock } from '../ports/index.js'

export const realClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs).unref()
    return () => clearTimeout(timer)
  },
  every(periodMs, task) {
    const timer = setInterval(task, periodMs).unref()
    return () => clearInterval(timer)
  },
  soon: (task) => void setImmediate(task),
}
