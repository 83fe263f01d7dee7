/** Faults of quotas: each would let more be admitted than the bound, or take from whom it should not. */
import type { Fault } from './fault.js'

const machine = (name: string) => `test/machine/${name}.test.ts`
const BOUND = 'over no window more is admitted than the burst and what flows in, through changes, ends and restarts'

export const quotaFaults: readonly Fault[] = [
  {
    name: 'quotas: an ended tab flows back',
    claim: 'what was left of it counts as spent',
    file: 'server/machine/quotas.ts',
    find: 'this.#settle(tab, left, 0)',
    replace: 'this.#settle(tab, left, left)',
    tests: [machine('quotas'), machine('quotabound')],
  },
  {
    name: 'quotas: refill to the burst, whatever is outstanding',
    claim: BOUND,
    file: 'server/machine/quota.ts',
    find: 'return Math.max(0, burst - outstanding) * MICRO',
    replace: 'return Math.max(0, burst - 0 * outstanding) * MICRO',
    tests: [machine('quotas'), machine('quotabound')],
  },
  {
    name: 'quotas: a draw that comes again is executed again',
    claim: 'a draw is executed once, in its order, and only of the process that runs',
    file: 'server/machine/quotas.ts',
    find: 'if (last.run === run && seq <= last.seq) return false',
    replace: 'if (last.run === run && seq < 0 * last.seq) return false',
    tests: [machine('quotas')],
  },
  {
    name: 'quotas: a process that is gone may still draw',
    claim: 'a draw is executed once, in its order, and only of the process that runs',
    file: 'server/machine/quotas.ts',
    find: 'if (this.#members.get(member)?.run !== run) return false',
    replace: 'if (this.#members.get(member) === undefined) return false',
    tests: [machine('quotas')],
  },
  {
    name: 'quotas: only the quota itself is debited, not those above',
    claim: 'children take from their parent, and its parent, all or nothing',
    file: 'server/machine/quotas.ts',
    find: 'for (let { parent } = quota.spec; parent !== null; ) {',
    replace: 'for (let { parent } = quota.spec; parent !== null && quota.deleted; ) {',
    tests: [machine('quotas')],
  },
  {
    name: 'quotas: a shrunk burst leaves the level as it was',
    claim: 'a change cuts what is above it, and adds nothing',
    file: 'server/machine/rebucket.ts',
    find: 'return bucketOf(bandwidth, Math.min(micro, cap), keeps ? rest : 0)',
    replace: 'return bucketOf(bandwidth, keeps ? micro : cap, keeps ? rest : 0)',
    tests: [machine('quotas')],
  },
  {
    name: 'quotas: a bandwidth that is put back begins full',
    claim: 'a bandwidth that is taken away and put back holds what it would have held',
    file: 'server/machine/rebucket.ts',
    find: 'if (bucket !== undefined) micro = Math.min(micro, bucket.micro)',
    replace: 'if (bucket !== undefined) micro = Math.max(micro, bucket.micro)',
    tests: [machine('quotas')],
  },
  {
    name: 'quotas: one that is deleted is forgotten at once',
    claim: 'a quota that is deleted and made again holds what it would have held, until it would be full',
    file: 'server/machine/commands/quotas.ts',
    find: 'const row = quotas.table.get(name)\n',
    replace: 'const row = quotas.get(name) ?? undefined\n',
    tests: [machine('quotas')],
  },
  {
    name: 'quotas: all of the rate flows in',
    claim: 'however time is cut into pieces, the same flows in: 0.995 of the rate, and nothing is lost',
    file: 'protocol/bucket.ts',
    find: 'const SHARE = 995',
    replace: 'const SHARE = 1_000',
    tests: ['test/protocol/bucket.test.ts'],
  },
  {
    name: 'quotas: what is less than a micro-token is let go',
    claim: 'however time is cut into pieces, the same flows in: 0.995 of the rate, and nothing is lost',
    file: 'protocol/bucket.ts',
    find: 'level.rest = flow - whole * den',
    replace: 'level.rest = 0 * (flow - whole * den)',
    tests: ['test/protocol/bucket.test.ts'],
  },
  {
    name: 'quotas: shares by weight are not exact',
    claim: 'who wants less than his share has it, the others have as much as each other, by weight',
    file: 'protocol/fairshare.ts',
    find: 'if (compared(wants[at]!, weight, left, weights[at]!) > 0) break',
    replace: 'if (compared(wants[at]!, weight, left, weights[at]!) > -10) break',
    tests: ['test/protocol/bucket.test.ts'],
  },
]
