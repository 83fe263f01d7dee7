/** Faults of the consensus core. The worst ones must be noticed in the hostile worlds, the others in their scenes. */
import type { Fault } from './fault.js'

const SCENES = 'test/raft/scenarios.test.ts'
const WORLDS = 'test/raft/random.test.ts'

const promises: readonly Fault[] = [
  {
    name: 'raft: a vote leaves before it is on disk',
    claim: 'a voter that crashes has promised nothing that it forgets',
    file: 'server/raft/election.ts',
    find: 'node.outbox.promise(from, this.#reply(MESSAGE.voteReply, node.term, true))',
    replace: 'node.outbox.send(from, this.#reply(MESSAGE.voteReply, node.term, true))',
    tests: [WORLDS],
  },
  {
    name: 'raft: an acknowledgement leaves before the entries are on disk',
    claim: 'what is acknowledged survives a crash',
    file: 'server/raft/following.ts',
    find: 'outbox.promise(from, {\n        kind: MESSAGE.appendReply,',
    replace: 'outbox.send(from, {\n        kind: MESSAGE.appendReply,',
    tests: [WORLDS],
  },
  {
    name: 'raft: a candidate counts its own vote before it is on disk',
    claim: 'a vote that a crash may take back is no vote',
    file: 'server/raft/election.ts',
    find: 'this.#begin({ votes: new Map(), transfer })',
    replace: 'this.#begin({ votes: new Map([[node.id, true]]), transfer })',
    tests: [SCENES],
  },
  {
    name: 'raft: a candidate speaks of its log before it is on disk',
    claim: 'a grant for a log that was lost elects nobody',
    file: 'server/raft/election.ts',
    find: 'node.outbox.promise(peer, asked)',
    replace: 'node.outbox.send(peer, asked)',
    tests: [SCENES],
  },
  {
    name: 'raft: what was promised in an earlier term leaves in a later one',
    claim: 'an entry that no write took is never acknowledged',
    file: 'server/raft/outbox.ts',
    find: 'if (state.term > before.term) this.#promises = []',
    replace: 'if (state.term < before.term) this.#promises = []',
    tests: [SCENES],
  },
  {
    name: 'raft: a write stands for what replaced its entries',
    claim: 'a replaced suffix is durable only with its own write',
    file: 'server/raft/log.ts',
    find: 'this.#synced = logIndex(this.#stagedFrom - 1)',
    replace: 'this.#synced = this.#last',
    tests: [SCENES],
  },
  {
    name: 'raft: a leader counts its copy before it is on disk',
    claim: 'a quorum is one of disks, that of the leader like any other',
    file: 'server/raft/leadership.ts',
    find: 'this.#cohort.self.match = this.#node.log.synced',
    replace: 'this.#cohort.self.match = this.#node.log.last',
    tests: [WORLDS],
  },
]

const decisions: readonly Fault[] = [
  {
    name: 'raft: an entry of an old term is committed by counting',
    claim: 'figure 8: only an entry of the own term commits what is in front of it',
    file: 'server/raft/leadership.ts',
    find: 'if (index <= log.commit || log.termAt(index) !== term) return',
    replace: 'if (index <= log.commit || log.termAt(index)! > term) return',
    tests: [WORLDS],
  },
  {
    name: 'raft: a deposed leader answers reads',
    claim: 'a read sees all that was committed anywhere before it was asked for',
    file: 'server/raft/reads.ts',
    find: 'this.#cohort.reached(roundOf) < this.#round',
    replace: 'this.#cohort.reached(roundOf) < 0',
    tests: [WORLDS],
  },
  {
    name: 'raft: a new leader answers reads before it has committed anything',
    claim: 'a leader knows what is committed only after an entry of its own term',
    file: 'server/raft/reads.ts',
    find: 'if (!ownCommitted || ',
    replace: 'if ((!ownCommitted && this.#round < 0) || ',
    tests: [WORLDS],
  },
  {
    name: 'raft: a heartbeat commits what may not be in the log of the leader',
    claim: 'a follower commits only what it knows to be the log of its leader',
    file: 'server/raft/following.ts',
    find: 'Math.min(index, this.#agreedNow)',
    replace: 'Math.min(index, this.#node.log.last)',
    tests: [SCENES],
  },
  {
    name: 'raft: an old append takes away what came after it',
    claim: 'only entries that contradict the leader are replaced',
    file: 'server/raft/following.ts',
    find: 'while (i < entries.length && log.termAt(entries[i]!.index) === entries[i]!.term) i++',
    replace: 'while (i < entries.length && entries[i]!.index <= log.commit) i++',
    tests: [SCENES],
  },
  {
    name: 'raft: voters that hear from their leader help to depose it',
    claim: 'a server that was removed disturbs nobody',
    file: 'server/raft/raft.ts',
    find: 'this.#election.loyal && !message.transfer',
    replace: 'this.#election.loyal && message.transfer',
    tests: [SCENES],
  },
  {
    name: 'raft: a leader without a quorum stays',
    claim: 'a leader that no quorum answers steps down within an election timeout',
    file: 'server/raft/leadership.ts',
    find: 'this.#graceTick) < electionTicksMin',
    replace: 'this.#graceTick) < 1e9 * electionTicksMin',
    tests: [SCENES],
  },
  {
    name: 'raft: looking for agreement, a leader goes back one entry at a time',
    claim: 'a probe for each term that differs is enough',
    file: 'server/raft/replication.ts',
    find: 'Math.min(reply.index - 1, agree)',
    replace: 'Math.min(reply.index - 1, Math.max(agree, reply.index - 1))',
    tests: [SCENES],
  },
  {
    name: 'raft: an answer to an earlier offer of a snapshot counts for this one',
    claim: 'a late answer says nothing of the snapshot that is on its way',
    file: 'server/raft/replication.ts',
    find: 'else if (reply.index >= progress.offered && ',
    replace: 'else if (',
    tests: [SCENES],
  },
]

const configurations: readonly Fault[] = [
  {
    name: 'raft: during a change the new majority decides alone',
    claim: 'joint consensus: both majorities decide',
    file: 'server/raft/cohort.ts',
    find: 'Math.min(incoming, this.#majority(this.#outgoing, value))',
    replace: 'Math.max(incoming, this.#majority(this.#outgoing, value))',
    tests: [WORLDS],
  },
  {
    name: 'raft: a member campaigns over a configuration that it has not applied',
    claim: 'nobody counts the votes of the past',
    file: 'server/raft/node.ts',
    find: 'this.membership.votes(this.id) && !this.log.reconfigured',
    replace: 'this.membership.votes(this.id)',
    tests: [SCENES],
  },
  {
    name: 'raft: a restarted member takes no notice of a second change in its log',
    claim: 'a second change proves that the first is committed',
    file: 'server/raft/log.ts',
    find: 'this.#reconfigurations.at(-2) ?? 0',
    replace: 'this.#reconfigurations.at(-9) ?? 0',
    tests: [SCENES],
  },
  {
    name: 'raft: a second change is proposed before the first is applied',
    claim: 'one change of the configuration at a time',
    file: 'server/raft/leadership.ts',
    find: '++reconfigurations > 1',
    replace: '++reconfigurations > 9',
    tests: [SCENES],
  },
  {
    name: 'raft: a leader that was removed goes on leading',
    claim: 'a leader that is removed steps down once that is committed',
    file: 'server/raft/raft.ts',
    find: 'if (node.membership.votes(node.id)) return',
    replace: "if (node.role === 'leader') return",
    tests: [SCENES],
  },
  {
    name: 'raft: those who were removed keep to themselves that it is committed',
    claim: 'who stays learns from a refusal what is committed, and can lead',
    file: 'server/raft/election.ts',
    find: 'if (log.isCommitNews(commit, commitTerm)) log.commitTo(commit)',
    replace: 'if (log.isCommitNews(commit, commitTerm)) log.commitTo(log.commit)',
    tests: [SCENES],
  },
]

export const raftFaults: readonly Fault[] = [...promises, ...decisions, ...configurations]
