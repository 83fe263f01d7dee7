/** Faults of quotas that let more be admitted than the bound, and what catches each: directed tests, and the simulated worlds by themselves. */
import type { Fault } from './fault.js'

const worlds = { tests: ['test/simulation/slice1.test.ts'], timeLimitMs: 900_000 }
const machine = { tests: ['test/machine/quotas.test.ts', 'test/machine/quotabound.test.ts'] }
const BOUND = 'over no window more is admitted than the burst and what flows in'

export const takerFaults: readonly Fault[] = [
  {
    name: "quotas: a member's tabs last three times as long",
    claim: BOUND,
    file: 'server/quota/quotas.ts',
    find: 'Math.floor(outcome.validMs *',
    replace: 'Math.floor(3 * outcome.validMs *',
    ...worlds,
  },
  {
    name: 'quotas: a member spends of a tab that has ended',
    claim: BOUND,
    file: 'server/quota/account.ts',
    find: 'if (this.endMs !== 0 && nowMs >= this.endMs) this.end()',
    replace: 'if (this.endMs !== 0 && nowMs >= this.endMs + 20_000) this.end()',
    ...worlds,
  },
  {
    name: 'quotas: a client spends of a tab that has ended',
    claim: 'what was drawn and not spent is lost when its time is over, also after a suspend',
    file: 'client/quotatab.ts',
    find: 'return timeline.leftMs(this.#mark, this.#validityMs) > 0',
    replace: 'return timeline.leftMs(this.#mark, this.#validityMs) > -60_000',
    tests: ['test/client/quota.test.ts'],
  },
  {
    name: 'quotas: what is still free is reported as spent',
    claim: BOUND,
    file: 'server/quota/account.ts',
    find: 'return { quota: this.name, tab: this.tab, spent: this.spent, returned: this.returned }',
    replace: 'return { quota: this.name, tab: this.tab, spent: this.spent + this.free, returned: this.returned }',
    ...worlds,
  },
  {
    name: 'quotas: what clients have is reported as spent',
    claim: BOUND,
    file: 'server/quota/account.ts',
    find: '    this.#reportedSpent = this.spent\n',
    replace: '    this.spent = this.drawn - this.free - this.returned\n    this.#reportedSpent = this.spent\n',
    ...worlds,
  },
  {
    name: 'quotas: buckets are full again where a member starts again',
    claim: BOUND,
    file: 'server/machine/quotas.ts',
    find: '    last.run = run\n',
    replace:
      '    if (last.run !== run) for (const one of this.table.values()) for (const bucket of one.buckets) bucket.micro = bucket.bandwidth.burst * MICRO\n    last.run = run\n',
    ...machine,
  },
  {
    name: 'quotas: what was spent or has ended makes room before the refill',
    claim: 'what changes what is outstanding refills first, under what held until then',
    file: 'server/machine/quotas.ts',
    find: 'for (const one of this.refill(this.table.get(tab.quota)!)) {',
    replace: 'for (const one of this.chain(this.table.get(tab.quota)!)) {',
    ...machine,
  },
  {
    name: 'quotas: a returned token comes back twice',
    claim: BOUND,
    file: 'server/machine/quotas.ts',
    find: 'Math.min(bucket.micro + back * MICRO,',
    replace: 'Math.min(bucket.micro + 2 * back * MICRO,',
    ...machine,
  },
]
