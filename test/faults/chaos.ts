/** Faults of what judges a run of chaos. */
import type { Fault } from './fault.js'

const tests = ['test/chaos/judge.test.ts']

export const chaosFaults: readonly Fault[] = [
  {
    name: 'chaos: what was granted is no part of the history',
    claim: 'caught: two holders',
    file: 'test/chaos/history.ts',
    find: "if (outcome.kind === 'granted') return { ...base, end: endOf(one, outcome.token) }",
    replace: "if (outcome.kind === 'granted') return { ...base, end: failed(one) }",
    tests,
  },
  {
    name: 'chaos: an unknown outcome counts as none',
    claim: 'an unknown outcome may have happened, late, or never',
    file: 'test/chaos/history.ts',
    find: 'if (!isOf(one.name)) continue',
    replace: 'if (!isOf(one.name) || one.outcome === null) continue',
    tests,
  },
  {
    name: 'chaos: reads are no part of the history',
    claim: 'caught: a stale read, of a lease and of a register',
    file: 'test/chaos/history.ts',
    find: 'if (!isOf(name)) continue',
    replace: 'if (isOf(name)) continue',
    tests,
  },
  {
    name: 'chaos: audits are compared by their length alone',
    claim: 'caught: audits that differ, and a missing one',
    file: 'test/chaos/judge.ts',
    find: 'i < theirs.length && hash !== theirs[i]!.hash',
    replace: 'i >= theirs.length && hash !== theirs[i]?.hash',
    tests,
  },
]
