/** Faults that show only where a cluster grows or shrinks. */
import type { Fault } from './fault.js'

const RESIZING = 'test/replica/resizing.test.ts'

export const resizingFaults: readonly Fault[] = [
  {
    name: 'resizing: who is removed is forgotten before it is told',
    claim: 'a follower that is removed hears that the change is committed',
    file: 'server/raft/raft.ts',
    find: '    this.#leadership?.pump(false)\n    node.membership',
    replace: '    node.membership',
    tests: ['test/raft/scenarios.test.ts', RESIZING],
  },
  {
    name: 'resizing: links to those who go end before they are told',
    claim: 'a member that was removed knows, and lets its clients go at once',
    file: 'server/replica/raftlog.ts',
    find: '        this.#links.messages(this.#core.takeMessages())\n        this.#links.keep',
    replace: '        this.#links.keep',
    tests: [RESIZING],
  },
  {
    name: 'resizing: who is let go does not hear the last words',
    claim: 'who is no peer any more hears what was said before',
    file: 'server/peers/tcptransport.ts',
    find: 'if (contact.finish()) queue',
    replace: 'if (contact.close()) queue',
    tests: ['test/peers/tcptransport.test.ts'],
  },
  {
    name: 'resizing: who catches up keeps links with those alone whom an old configuration names',
    claim: 'who joins gets a long log from a leader that the first configurations do not name',
    file: 'server/replica/links.ts',
    find: 'peersOf(configuration).includes(self) ? {} : this.#introduced',
    replace: 'peersOf(configuration).length > 0 ? {} : this.#introduced',
    tests: [RESIZING],
  },
  {
    name: 'resizing: who knows of one other member alone takes itself for alone',
    claim: 'a member that was killed while it joins starts again',
    file: 'server/replica/shell.ts',
    find: 'peers.every(({ peer }) => peer === this.#self)) await',
    replace: 'peers.length <= 1) await',
    tests: [RESIZING],
  },
  {
    name: 'resizing: who was removed asks nobody where the cluster is',
    claim: 'one that was removed and is started again waits until it is added again',
    file: 'server/cli/server.ts',
    find: 'facts().names.includes(self)) return',
    replace: 'facts().names.length > 0) return',
    tests: ['test/cli/membership.test.ts'],
  },
]
