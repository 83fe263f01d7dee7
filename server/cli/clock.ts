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
  next: (task) => queueMicrotask(task),
  // Twice: what the same replies have set off on several connections arrives over two polls of the sockets. Taken along, it
  // shares one flush; left behind, it would wait for that flush and then for its own. A turn costs some microseconds.
  soon: (task) => void setImmediate(() => setImmediate(task)),
}
