/**
 * Faults that take a whole cluster, its clocks, disks and links to show. Each must be noticed by the simulated worlds alone; the runner
 * prints the first seed that did (`npm run faults -- --only simulation:`).
 */
import type { Fault } from './fault.js'

/** In the first slices of the simulated worlds, 200 seeds, each of which ends at its first failure. */
const worlds = {
  tests: [1, 2, 3, 4].map((slice) => `test/simulation/slice${slice}.test.ts`),
  timeLimitMs: 900_000,
}

export const simulationFaults: readonly Fault[] = [
  {
    name: 'simulation: a vote leaves before its sync',
    claim: 'who leads has the votes of a quorum on disks',
    file: 'server/replica/raftlog.ts',
    find: '    if (this.#store.staged) this.#flushes.start(write)',
    replace:
      '    if (this.#store.staged) this.#links.messages((write?.replies ?? []).filter(({ message }) => message.kind === 4))\n    if (this.#store.staged) this.#flushes.start(write)',
    ...worlds,
  },
  {
    name: 'simulation: an acknowledgement leaves before its sync',
    claim: 'what is applied anywhere is on the disks of a quorum',
    file: 'server/replica/raftlog.ts',
    find: '    if (this.#store.staged) this.#flushes.start(write)',
    replace:
      '    if (this.#store.staged) this.#links.messages((write?.replies ?? []).filter(({ message }) => message.kind === 6))\n    if (this.#store.staged) this.#flushes.start(write)',
    ...worlds,
  },
  {
    name: 'simulation: an entry of an old term is committed by count',
    claim: 'what is applied anywhere stands in the log of whoever could be elected (Raft, figure 8)',
    file: 'server/raft/leadership.ts',
    find: 'log.termAt(index) !== term) return',
    replace: 'log.termAt(index)! > term) return',
    ...worlds,
  },
  {
    name: 'simulation: a new leader stamps by the clock that it had as a follower',
    claim: 'cluster time never outruns true time',
    file: 'server/replica/outbound.ts',
    find: 'this.#cluster.lead(baseMs)',
    replace: 'this.#cluster.lead(Math.max(baseMs, Math.floor(this.#clock.monotonicMs())) as ClusterMs)',
    ...worlds,
  },
  {
    name: 'simulation: leases end by the wall clock',
    claim: 'no wall clock decides anything',
    file: 'server/machine/time.ts',
    find: 'if (!held) meta.horizonMs = entry.timeMs',
    replace: 'if (!held) meta.horizonMs = Math.max(entry.timeMs, entry.wallMs - 1_767_225_600_000)',
    ...worlds,
  },
  {
    name: 'simulation: a deposed leader answers reads from memory',
    claim: 'a read sees everything that was acknowledged before it',
    file: 'server/raft/reads.ts',
    find: 'this.#cohort.reached(roundOf) < this.#round) return',
    replace: 'this.#cohort.reached(roundOf) < 0) return',
    ...worlds,
  },
  {
    name: 'simulation: an offer is made twice',
    claim: 'who was offered waits no more',
    file: 'server/machine/succession.ts',
    find: '      state.waiters.remove(waiter)\n      return waiter',
    replace: '      return waiter',
    ...worlds,
  },
  {
    name: 'simulation: a checkpoint is ahead of its rows',
    claim: 'a start has the state of its applied index, exactly',
    file: 'server/storage/volumestore.ts',
    find: '    checkpoint.index = applied\n',
    replace: '    checkpoint.index = log.last\n',
    ...worlds,
  },
  {
    name: 'simulation: a batch is stamped when it opens',
    claim: 'no lease ends before its client may count on it no more',
    file: 'server/replica/outbound.ts',
    find: 'this.#close(nowMs, company)\n    const stamp = this.#cluster.stamp()',
    replace:
      'const openedMs = this.#close(nowMs, company)?.batch?.openedMs ?? nowMs\n    const stamp = Math.max(this.#machine.timeMs, this.#cluster.stamp() - (nowMs - openedMs)) as ClusterMs',
    ...worlds,
  },
  {
    name: 'simulation: a replay is answered with what remained at first',
    claim: 'the remaining time is of the attempt that is answered',
    file: 'server/machine/commands/acquire.ts',
    find: 'granted(lease, nowMs, true)',
    replace: 'granted(lease, lease.endMs - lease.ttlMs, true)',
    ...worlds,
  },
  {
    name: 'simulation: a wiped directory votes under its old id',
    claim: 'a new directory is nobody that the cluster knows',
    file: 'test/simulation/member.ts',
    find: '    this.#directories++\n',
    replace: '',
    ...worlds,
  },
  {
    name: 'simulation: every election holds the horizon anew',
    claim: 'a dead holder is not kept in office by elections',
    file: 'server/machine/time.ts',
    find: '< this.#limits.holdEveryMs',
    replace: '< 0',
    ...worlds,
  },
  {
    name: 'simulation: an ended lease is granted past its queue',
    claim: 'who waited longest is offered first, swept or not',
    file: 'server/machine/succession.ts',
    find: '  settle(state, lease)\n  return state.leases.get(name)',
    replace: '  state.leases.remove(lease)\n  return state.leases.get(name)',
    ...worlds,
  },
  {
    name: 'simulation: a forwarded batch that comes again is executed again',
    claim: 'a command is executed at most once for each time that it was sent',
    file: 'server/machine/members.ts',
    find: 'entry.batch <= member.batch',
    replace: 'entry.batch < member.batch',
    ...worlds,
  },
  {
    name: 'simulation: fractions of what elapses are dropped',
    claim: 'while a leader works, cluster time goes no slower than a clock may',
    file: 'server/replica/clusterclock.ts',
    find: 'this.#fractionMs = sum - whole',
    replace: 'this.#fractionMs = 0',
    ...worlds,
  },
  {
    name: 'simulation: a leader that wakes up counts the time that it slept',
    claim: 'cluster time stands still while nobody who leads is running',
    file: 'server/replica/clusterclock.ts',
    find: 'Math.min(delta, this.#gainMsMax)',
    replace: 'Math.min(delta, 1_000 * this.#gainMsMax)',
    ...worlds,
  },
  {
    name: 'simulation: a leader that nobody asks anything leaves out its beats',
    claim: 'what nobody renews ends within its time, while faults go on',
    file: 'server/replica/beats.ts',
    find: 'if (timed && nowMs',
    replace: 'if (timed && this.#pending.length > 0 && nowMs',
    ...worlds,
  },
]
