/** The check on a service's critical path: `lease.remainingMs()` against the clock readings that it cannot do without. */
import { createClient } from '@leasehold/client'
import { median } from '../latency.js'
import { BENCH } from '../limits.js'
import type { Scenario } from '../scenario.js'

const ROUNDS = 60
const WARM_ROUNDS = 10
const CALLS = 20_000

/** Nanoseconds of one call. The sum keeps the calls from being optimised away. */
function timeCalls(call: () => number): number {
  let sum = 0
  const startMs = performance.now()
  for (let i = 0; i < CALLS; i++) sum += call()
  const ns = ((performance.now() - startMs) * 1e6) / CALLS
  if (!(sum > 0)) throw new Error('the lease was lost')
  return ns
}

export const check: Scenario = {
  name: 'check',
  about: 'lease.remainingMs() against one performance.now() and one Date.now()',
  repeats: BENCH.repeats,
  async run(bench) {
    const server = await bench.startServer()
    const client = createClient({ endpoints: [server.url], name: 'bench-check' })
    try {
      const lease = await client.acquire('bench/check', { ttl: '1h' })
      const checks: number[] = []
      const clocks: number[] = []
      for (let round = -WARM_ROUNDS; round < ROUNDS; round++) {
        const checkNs = timeCalls(() => lease.remainingMs())
        const clockNs = timeCalls(() => performance.now() + Date.now())
        if (round < 0) continue
        checks.push(checkNs)
        clocks.push(clockNs)
      }
      await lease.release()
      bench.note(`${ROUNDS} rounds of ${CALLS} calls of each, in turn; the ratio is the median of the rounds' ratios.`)
      return [
        { name: 'remainingMs()', value: median(checks), unit: 'ns' },
        { name: 'performance.now() and Date.now()', value: median(clocks), unit: 'ns' },
        {
          name: 'check / clocks',
          value: median(checks.map((ns, i) => ns / clocks[i]!)),
          unit: 'x',
          target: { sense: 'at most', times: 3, of: 'absolute' },
        },
      ]
    } finally {
      await client.close()
    }
  },
}
