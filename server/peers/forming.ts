/**
 * How a new cluster comes to be, and how a directory that is empty finds the cluster that it belongs to. Every member that is listed asks
 * all the others who they are; only when all of them have answered, in one round, with empty directories, the one with the lowest member
 * id founds: it forms its own directory with a new cluster id and the configuration that names all of them. Everybody else forms only as a
 * copy of a formed one that names it. So there is one deed from which a cluster comes, and a crash anywhere is made good by asking
 * again. Pure.
 *
 * Two clusters must never come of one list, whatever is lost, crashes, starts late or is wiped:
 * - A founder that was wiped is another founder. It founds again only where all others answer that they are empty.
 * - Who has told a founder that it is empty no longer copies what it had asked for before: the answer may come from the founder that was
 *   wiped. It asks again, and then hears from those that there are.
 *   (A wiped one that has met a cluster asks as one that founds nothing, or it would keep others from joining.)
 * - A directory that is being formed is neither empty nor formed to others until it is durable.
 */
import type { PeerName } from '../ports/index.js'
import { type Answer, type Ask, type Facts, memberOf } from './asks.js'
import { commonVersion, VERSIONS, type Versions } from './greeting.js'

export interface FormingOptions {
  readonly self: PeerName
  /** All member ids that were listed, this one included. */
  readonly members: readonly string[]
  readonly versions?: Versions
}

/** One question under way. */
export interface Poll {
  readonly to: string
  readonly ask: Ask
  readonly round: number
  /** How often a founder had been told that this directory is empty when the question was asked. */
  readonly promises: number
}

export type Decision =
  /** Make a cluster id and a configuration of these, one for each listed member. */
  | { readonly kind: 'found'; readonly peers: readonly PeerName[] }
  /** Form the directory as the others did. */
  | { readonly kind: 'join'; readonly facts: Facts }

export class Forming {
  readonly #self: PeerName
  readonly #members: readonly string[]
  readonly #others: readonly string[]
  readonly #versions: Versions
  #round = 0
  #promises = 0
  /** Of this round. */
  readonly #empty = new Map<string, PeerName>()
  /** The latest word about each other member, for people. */
  readonly #words = new Map<string, string>()
  /** Members whose latest word was that they form this cluster, too. */
  readonly #willing = new Set<string>()
  /** Members whose latest word is of a cluster that does not name this directory. */
  readonly #foreign = new Set<string>()
  /** The questions of this round say that this member founds if all answers are "empty". */
  #founds = false
  #decision: Decision | null = null
  #facts: Facts | null = null

  constructor({ self, members, versions = VERSIONS }: FormingOptions) {
    this.#self = self
    this.#members = [...new Set(members)].sort()
    this.#others = this.#members.filter((member) => member !== memberOf(self))
    if (this.#others.length === this.#members.length)
      throw new RangeError(`the list of members lacks ${memberOf(self)}`)
    this.#versions = versions
  }

  /** What to do to the directory; stays as it is once it is there. Nothing more is asked then. */
  get decision(): Decision | null {
    return this.#decision
  }

  /** There is a cluster, and it does not know this directory: somebody must add it. */
  get stranger(): boolean {
    return this.#foreign.size > 0
  }

  /** Starts a round: the questions that go out now. Answers to earlier ones still say what is formed, but not who is empty. */
  round(): readonly Poll[] {
    if (this.#decision !== null) return []
    this.#round++
    this.#empty.clear()
    this.#founds = memberOf(this.#self) === this.#members[0] && !this.stranger
    this.#decide()
    const ask = { versions: this.#versions, peer: this.#self, members: this.#members, founds: this.#founds }
    return this.#decision === null ? this.#others.map((to) => this.#poll(to, ask)) : []
  }

  /** The answer to somebody's question. */
  asked(ask: Ask): Answer {
    const peer = this.#self
    if (this.#facts !== null) return { kind: 'formed', peer, facts: this.#facts }
    if (this.#decision !== null) return { kind: 'busy', peer }
    if (commonVersion(ask.versions, this.#versions) === null) {
      return { kind: 'differs', peer, detail: `${peer} and ${ask.peer} speak different formats` }
    }
    if (ask.members.join() !== this.#members.join()) {
      const detail = `${memberOf(peer)} lists the members ${this.#members.join(', ')}; ${memberOf(ask.peer)} lists ${ask.members.join(', ')}`
      return { kind: 'differs', peer, detail: detail.slice(0, 500) }
    }
    if (ask.founds) this.#promises++
    return { kind: 'empty', peer }
  }

  answered(poll: Poll, answer: Answer): void {
    if (this.#decision !== null) return
    const { to, round } = poll
    this.#foreign.delete(to)
    this.#willing.delete(to)
    if (memberOf(answer.peer) !== to) {
      this.#words.set(to, `the address of ${to} leads to ${answer.peer}`)
      return
    }
    if (answer.kind === 'formed') this.#met(poll, answer.peer, answer.facts)
    else if (answer.kind === 'empty') {
      this.#words.set(to, `${to} waits, too`)
      this.#willing.add(to)
      if (round === this.#round) this.#empty.set(to, answer.peer)
    } else this.#words.set(to, answer.kind === 'busy' ? `${to} forms its directory` : answer.detail)
    this.#decide()
  }

  /** There was no answer to it. */
  unanswered(poll: Poll, reason: string): void {
    this.#willing.delete(poll.to)
    this.#words.set(poll.to, `${poll.to} does not answer (${reason})`)
  }

  /** The directory is durable, as decided. From now on others are told so. */
  formed(facts: Facts): void {
    if (this.#decision === null) throw new Error('a directory is formed as was decided')
    this.#facts = facts
  }

  /** The members that were not found here and willing when they were asked last. */
  get missing(): readonly string[] {
    return this.#others.filter((member) => !this.#willing.has(member))
  }

  /** What is being waited for, for people. */
  get waitingFor(): string {
    return this.#others.map((member) => this.#words.get(member) ?? `${member} was not reached yet`).join('; ')
  }

  #poll(to: string, ask: Ask): Poll {
    return { to, ask, round: this.#round, promises: this.#promises }
  }

  #met(poll: Poll, peer: PeerName, facts: Facts): void {
    if (!facts.names.includes(this.#self)) {
      this.#foreign.add(poll.to)
      this.#words.set(
        poll.to,
        `${peer} belongs to the cluster ${facts.clusterId}, which does not name ${this.#self}: to join it, add this member there ` +
          `(leasehold cluster add); to form a new cluster, give ${memberOf(peer)} an empty data directory`,
      )
      return
    }
    this.#words.set(poll.to, `${poll.to} has formed`)
    this.#willing.add(poll.to)
    if (poll.promises === this.#promises) this.#decision = { kind: 'join', facts }
  }

  #decide(): void {
    if (this.#decision !== null || !this.#founds) return
    if (this.#empty.size < this.#others.length) return
    this.#decision = { kind: 'found', peers: [this.#self, ...this.#others.map((member) => this.#empty.get(member)!)] }
  }
}
