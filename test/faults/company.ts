/** Faults of who is waited for before a batch closes, and for how long; and of who leaves time to others. */
import type { Fault } from './fault.js'

const test = (name: string) => `test/replica/${name}.test.ts`

export const companyFaults: readonly Fault[] = [
  {
    name: 'replica: who only joins a queue is flushed alone',
    claim: 'who will only stand in a queue has no flush of his own where others follow',
    file: 'server/replica/limits.ts',
    find: 'patienceMs: 2,',
    replace: 'patienceMs: 0,',
    tests: [test('patience')],
  },
  {
    name: 'replica: who could be granted now is kept back',
    claim: 'who waits for a name that is free is not kept back',
    file: 'server/replica/patience.ts',
    find: ' && this.#taken(command.name)',
    replace: ' && (this.#taken(command.name) || true)',
    tests: [test('patience')],
  },
  {
    name: 'replica: who only joins a queue waits until others come, however long',
    claim: 'where nobody follows he is written down after a moment',
    file: 'server/replica/patience.ts',
    find: 'this.#clock.after(leftMs, ',
    replace: 'this.#clock.after(1_000 * leftMs, ',
    tests: [test('patience')],
  },
  {
    name: 'replica: whoever comes first after an answer to many is flushed alone',
    claim: 'who comes first after many were answered waits until most of them are there',
    file: 'server/replica/limits.ts',
    find: 'returningMs: 1,',
    replace: 'returningMs: 0,',
    tests: [test('returning')],
  },
  {
    name: 'replica: who was answered with many waits for them, however long',
    claim: 'he does not wait for longer than a moment after their answer',
    file: 'server/replica/returning.ts',
    find: 'this.#clock.after(leftMs, ',
    replace: 'this.#clock.after(1_000 * leftMs, ',
    tests: [test('returning')],
  },
  {
    name: 'replica: who was answered with a few waits for them',
    claim: 'a few are not waited for',
    file: 'server/replica/returning.ts',
    find: 'this.#answered < REPLICA_LIMITS.returningCommands || ',
    replace: '',
    tests: [test('returning')],
  },
  {
    name: 'replica: a member that catches up does so in one go',
    claim: 'what was committed meanwhile is applied a share at a time, with a rest after each',
    file: 'server/replica/raftlog.ts',
    find: 'if (backlog === 0) this.#again = true',
    replace: 'if (backlog >= 0) this.#again = true',
    tests: [test('catchingup')],
  },
  {
    name: 'replica: who takes a snapshot does nothing else',
    claim: 'after each chunk of a snapshot its receiver rests, twice as long as it worked',
    file: 'server/replica/limits.ts',
    find: 'snapshotRest: 2,',
    replace: 'snapshotRest: 0,',
    tests: [test('catchingup')],
  },
  {
    name: 'replica: a snapshot that another one has displaced is given up in silence',
    claim: 'a late piece of a snapshot from who led before makes nobody wait',
    file: 'server/replica/takeover.ts',
    find: 'if (transfer !== null) this.#refuse(',
    replace: 'if (transfer !== null && transfer.next < 0) this.#refuse(',
    tests: [test('catchingup')],
  },
]
