/** What every load says about itself, and the one rule that all of them share: failed units are a failed run. */
import type { LoadResult } from '../driver.js'
import { BENCH } from '../limits.js'
import type { Target } from '../report.js'
import type { Bench } from '../scenario.js'

/** Notes how the load was put on. Throws when a load's units failed: throughput of failures is no figure. */
export function loadNote(bench: Bench, through: string, loads: readonly LoadResult[]): void {
  bench.note(
    `Load through ${through} on ${BENCH.connections} connections from one process. "In flight": a closed loop, each unit ` +
      'followed at once by the next. "Open loop": latency counts from the intended start.',
  )
  for (const { failed, units, loop, load } of loads)
    if (failed > 0) throw new Error(`${failed} of ${units + failed} units failed (${loop} loop, ${load})`)
}

/** A target that is one server's. A cluster has targets of its own, or none. */
export function ofOneServer(bench: Bench, target: Target): { target?: Target } {
  return bench.members === 1 ? { target } : {}
}
