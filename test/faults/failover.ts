/** Faults of the way from one member to another: the client's link, and what the machine and the pipeline do for it. */
import type { Fault } from './fault.js'

const test = (name: string) => `test/client/${name}.test.ts`

export const failoverFaults: readonly Fault[] = [
  {
    name: 'failover: a member of another cluster is used like any other',
    claim: 'a member of another cluster is never used',
    file: 'client/link.ts',
    find: 'if (clusterId !== null && clusterId !== welcome.clusterId) {',
    replace: "if (clusterId !== null && welcome.clusterId === '') {",
    tests: [test('moving')],
  },
  {
    name: 'failover: requests are still sent to a member that said it is going',
    claim: 'nothing new is sent to it',
    file: 'client/link.ts',
    find: 'return this.#current !== null && !this.#leaving',
    replace: 'return this.#current !== null',
    tests: [test('failover')],
  },
  {
    name: 'failover: an endpoint that failed is as good as any',
    claim: 'an endpoint that failed lately is tried last',
    file: 'client/endpoints.ts',
    find: 'nowMs - one.failedMs >= FAILED_MS',
    replace: 'nowMs - one.failedMs >= -FAILED_MS',
    tests: [test('failover'), test('moving')],
  },
  {
    name: 'failover: a hint is followed wherever it leads',
    claim: 'a hint never makes a loop',
    file: 'client/endpoints.ts',
    find: 'fit.find((one) => one === this.#hinted)',
    replace: 'this.#hinted',
    tests: [test('moving')],
  },
  {
    name: 'failover: what a member refuses for itself is an answer of the cluster',
    claim: 'what is refused is asked for elsewhere at once',
    file: 'client/calls.ts',
    find: 'if (ELSEWHERE.has(code) && this.#parts.link.leave(detail)) {',
    replace: 'if (ELSEWHERE.has(code) && code === null) {',
    tests: [test('failover')],
  },
  {
    name: 'failover: who only waits does not look whether anybody is there',
    claim: 'a wait notices within the time of an offer that its member has fallen silent',
    file: 'client/link.ts',
    find: '      this.#current?.suspect(LISTEN_MS)\n',
    replace: '',
    tests: [test('moving')],
  },
  {
    name: 'failover: reconnects have no pause',
    claim: 'the pace is bounded',
    file: 'client/link.ts',
    find: 'this.#notBeforeMs = nowMs + backoffMs(',
    replace: 'this.#notBeforeMs = nowMs + 0.02 * backoffMs(',
    tests: [test('failover')],
  },
  {
    name: 'failover: a watch begins anew at the next member',
    claim: 'a watch goes on elsewhere from its cursor, without a gap',
    file: 'client/watch.ts',
    find: 'new WatchCall(this, [this.#prefix, this.#cursor], false)',
    replace: 'new WatchCall(this, [this.#prefix, null], false)',
    tests: [test('moving')],
  },
  {
    name: 'failover: a waiter is lost with any connection that it ever had',
    claim: 'a waiter that has gone on to another member is not lost with its old connection',
    file: 'server/machine/commands/internal.ts',
    find: ' && waiter.member === state.member',
    replace: '',
    tests: ['test/machine/waiting.test.ts'],
  },
]
