/**
 * The five safety properties of Raft, and what a quorum's disks and reads owe on top, judged at every step of a world. It looks at what
 * leaves the cores and what is on the disks; how the cores come to it is not its business.
 */
import type { Addressed, Configuration, Raft } from '@leasehold/server/raft'
import { MESSAGE } from '@leasehold/server/raft'
import type { Item } from './cluster.js'
import type { Volume } from './volume.js'

export class Judge {
  readonly #leaders = new Map<number, string>()
  readonly #votes = new Map<string, string>()
  /** By index and term: what it is, and the term of the entry in front of it. */
  readonly #entries = new Map<string, string>()
  readonly #committed = new Map<number, string>()
  readonly #commits = new Map<string, number>()
  /** The highest index that anybody has known to be committed. */
  highest = 1

  /** An entry goes to a disk, behind one of this term. */
  wrote(id: string, leads: boolean, entry: Item, previousTerm: number, replaces: boolean): void {
    const name = `${entry.index}@${entry.term}`
    const is = `${entry.text} after ${previousTerm}`
    this.#same(
      this.#entries,
      name,
      is,
      'log matching: entries of one index and term are one, and so are those in front',
    )
    if (leads && replaces) throw new Error(`leader append-only: ${id} leads and replaces entry ${name}`)
  }

  sent(from: string, { message }: Addressed<Item>, to: string, disk: Volume): void {
    if (message.kind === MESSAGE.voteReply && message.granted) {
      this.#same(this.#votes, `${from} in ${message.term}`, to, 'one vote a term, also through crashes')
      const { term, votedFor } = disk.hardState
      if (term !== message.term || votedFor !== to) throw new Error(`vote before sync: ${from} for ${to}`)
    }
    if (message.kind === MESSAGE.vote && disk.hardState.term < message.term) throw new Error(`${from} asks before sync`)
    if (message.kind === MESSAGE.appendReply && message.accepted && message.index > disk.lastIndex) {
      throw new Error(`ack before sync: ${from} of ${message.index}, its disk ends at ${disk.lastIndex}`)
    }
  }

  /** After every input to a core. `disks` are all there are. */
  looked(core: Raft<Item>, disks: ReadonlyMap<string, Volume>): void {
    const { id, role, term, commit, configuration, lost } = core.status
    if (lost !== null) throw new Error(`falsely accused: ${id} of having lost ${lost.index}, which is on its disk`)
    if (role === 'leader' && this.#leaders.get(term) !== id) this.#elected(id, term, disks.get(id)!)
    const before = this.#commits.get(id) ?? 0
    this.#commits.set(id, commit)
    if (role === 'leader' && commit > before && commit > this.highest) {
      this.#counted(commit, term, configuration, disks)
    }
    this.highest = Math.max(this.highest, commit)
  }

  restarted(id: string): void {
    this.#commits.delete(id)
  }

  /** State machine safety: at one index all apply one entry. */
  applied(entry: Item): void {
    this.#same(this.#committed, entry.index, `${entry.term} ${entry.text}`, 'one entry is applied at an index')
  }

  /** A read that was asked for when `floor` was committed somewhere. */
  read(id: string, floor: number, index: number): void {
    if (index !== 0 && index < floor)
      throw new Error(`stale read: ${id} reads at ${index}, ${floor} was committed before`)
  }

  #elected(id: string, term: number, disk: Volume): void {
    if (this.#leaders.has(term))
      throw new Error(`election safety: ${id} and ${this.#leaders.get(term)} lead term ${term}`)
    this.#leaders.set(term, id)
    for (const [index, is] of this.#committed) {
      if (index < disk.firstIndex) continue
      const entry = disk.at(index)
      if (entry === undefined || `${entry.term} ${entry.text}` !== is) {
        throw new Error(`leader completeness: ${id} leads term ${term} without committed entry ${index}`)
      }
    }
  }

  #counted(
    commit: number,
    term: number,
    { voters, outgoing }: Configuration,
    disks: ReadonlyMap<string, Volume>,
  ): void {
    for (const set of [voters, outgoing]) {
      const holders = set.filter((voter) => disks.get(voter)?.holds(commit, term))
      if (set.length > 0 && holders.length * 2 <= set.length) {
        throw new Error(
          `commit without a quorum: ${commit}@${term} is on the disks of ${holders.join(', ') || 'nobody'}`,
        )
      }
    }
  }

  #same<Key>(known: Map<Key, string>, key: Key, is: string, claim: string): void {
    const was = known.get(key)
    if (was !== undefined && was !== is) throw new Error(`${claim}: ${key} is ${was} and ${is}`)
    known.set(key, is)
  }
}
