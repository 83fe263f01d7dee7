/** Faults of the client's clocks, its requests and retries, the ends of its leases, and the fences. */
import type { Fault } from './fault.js'

const test = (name: string) => `test/client/${name}.test.ts`
const TRAPS = 'test/simulation/clocktraps.test.ts'

const clocks: readonly Fault[] = [
  {
    name: 'client: validity counts from the arrival of the answer',
    claim: 'validity counts from before the answered attempt was sent',
    file: 'client/renewals.ts',
    find: 'grant.renewed(mark, fields as GrantedFields)',
    replace: 'grant.renewed(mark === null ? mark : this.#core.timeline.mark(), fields as GrantedFields)',
    tests: [TRAPS],
  },
  {
    name: 'client: a late answer counts from the last attempt',
    claim: 'the answer to any attempt counts from its own sending',
    file: 'client/call.ts',
    find: 'if (attempt === 1 || attempt <= this.attempt - MARKS_MAX) return this.#first',
    replace: 'attempt = this.attempt\n    if (attempt === 1) return this.#first',
    tests: [test('requests')],
  },
  {
    name: 'client: drift is ignored',
    claim: 'drift is taken off every validity',
    file: 'client/validity.ts',
    find: 'Math.floor(remainingMs * (1 - drift))',
    replace: 'Math.floor(remainingMs * (1 - 0 * drift))',
    tests: [test('validity')],
  },
  {
    name: 'client: time is what the monotonic clock says',
    claim: 'a machine that slept has lost its leases when it wakes',
    file: 'client/clocks.ts',
    find: 'return validityMs - (awakeMs > steadyMs ? awakeMs : steadyMs)',
    replace: 'return validityMs - (awakeMs > steadyMs ? awakeMs : Math.min(awakeMs, steadyMs))',
    tests: [test('validity')],
  },
  {
    name: 'client: the uptime is not asked how long the machine slept',
    claim: 'a clock set back does not hide a sleep',
    file: 'client/validity.ts',
    find: 'most: Math.max(0, sleptMs) + slackMs',
    replace: 'most: 0 * slackMs',
    tests: [test('validity')],
  },
  {
    name: 'client: where no clock can settle it, the grant lives on',
    claim: 'what cannot be settled is lost, as suspended',
    file: 'client/validity.ts',
    find: 'return { ...now, shiftMs: 0, epoch: last.epoch + 1 }',
    replace: 'return { ...now, shiftMs: 0, epoch: last.epoch }',
    tests: [test('validity')],
  },
  {
    name: 'client: a failed check is forgotten',
    claim: 'an object whose check failed once never comes back to life',
    file: 'client/grant.ts',
    find: '    this.#lapse()\n    return 0',
    replace: '    if (leftMs < -1e9) this.#lapse()\n    return 0',
    tests: [test('lease'), TRAPS],
  },
]

const requests: readonly Fault[] = [
  {
    name: 'client: executed is no although an attempt was lost',
    claim: 'executed is no only if every attempt was refused',
    file: 'client/call.ts',
    find: "return this.open > 0 || this.queued ? 'unknown' : 'no'",
    replace: "return this.open > 1e9 ? 'unknown' : 'no'",
    tests: [test('requests')],
  },
  {
    name: 'client: a refusal takes back that the request was queued',
    claim: 'a request that was queued is never said not to be executed',
    file: 'client/calls.ts',
    find: 'call.queued = true',
    replace: 'call.queued = attempt < 0',
    tests: [test('queued')],
  },
  {
    name: 'client: an empty budget retries on',
    claim: 'retries are bounded by the budget',
    file: 'client/retry.ts',
    find: 'if (this.waitMs(nowMs) > 0) return false',
    replace: 'if (this.waitMs(nowMs) > 1e12) return false',
    tests: [test('retry')],
  },
  {
    name: 'client: what was refused once does not pay for its repetition',
    claim: 'an ensure in a tight loop sends no more than the budget allows',
    file: 'client/renewals.ts',
    find: 'const startMs = grant.failures === 0 ? 0 : Math.max(grant.notBeforeMs, nowMs)',
    replace: 'const startMs = grant.failures >= 0 ? 0 : nowMs',
    tests: [test('retry')],
  },
  {
    name: 'client: a wait that is given up is just forgotten',
    claim: 'giving up a wait cancels it',
    file: 'client/acquire.ts',
    find: 'else this.#core.cancels.giveUp(this.seq)',
    replace: 'else this.#core.session.answered(this.seq)',
    tests: [test('requests')],
  },
  {
    name: 'client: a request counts as answered before its cancel is',
    claim: 'its number stays unanswered until the cancel is answered',
    file: 'client/cancels.ts',
    find: 'this.#owed.set(seq, owed)',
    replace: 'this.#owed.set(seq, owed)\n    this.#parts.session.answered(seq)',
    tests: [test('requests')],
  },
  {
    name: 'client: a timeout closes the connection',
    claim: 'a timeout alone never closes a connection',
    file: 'client/connection.ts',
    find: '    this.#socket.ping()\n',
    replace: '',
    tests: [test('requests')],
  },
  {
    name: 'client: a timer keeps the process alive',
    claim: 'a process that holds a lease and has nothing else to do exits by itself',
    file: 'client/clocks.ts',
    find: '    timer.unref()\n    return',
    replace: '    return',
    tests: [test('process')],
  },
]

const ends: readonly Fault[] = [
  {
    name: 'client: a transfer is sent before the lease has ended here',
    claim: 'the giver has ended before a transfer is sent',
    file: 'client/lease.ts',
    find: "    this.#grant.lose('transferred')\n    const { name, token } = this",
    replace: '    const { name, token } = this',
    tests: [test('lead')],
  },
  {
    name: 'client: a handover does not wait for the work in flight',
    claim: 'the successor starts after the predecessor stopped',
    file: 'client/drain.ts',
    find: 'if (this.#count === 0) return Promise.resolve(true)',
    replace: 'if (this.#count >= 0) return Promise.resolve(true)',
    tests: [test('lead')],
  },
  {
    name: 'client: a fence lets the token below the highest pass',
    claim: 'a fence refuses every token lower than the highest it has seen',
    file: 'client/fence/fence.ts',
    find: 'if (token < highest) throw',
    replace: 'if (token < highest - 1) throw',
    tests: [test('fence')],
  },
  {
    name: 'client: a Level fence looks and writes in two steps',
    claim: 'a Level store is atomic under concurrency',
    file: 'client/fence/level.ts',
    find: 'const mine = before.then(task, task)',
    replace: 'const mine = Promise.all([task(), before]).then(([done]) => done)',
    tests: [test('fence')],
  },
]

export const clientFaults: readonly Fault[] = [...clocks, ...requests, ...ends]
