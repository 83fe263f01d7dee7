/**
 * Members that form a cluster, and everything that may go wrong meanwhile, one small step at a time. A question reaches only the
 * process that listened when it was asked, an answer only the process that asked; both may outlive the process that sent them, by any
 * time. A directory outlives its process; what was not durable does not.
 */
import { type Answer, type Facts, Forming, type Poll } from '@leasehold/server/peers'

interface Directory {
  readonly peer: string
  facts: Facts | null
}
interface Process {
  readonly forming: Forming
  readonly directory: Directory
}
type InFlight =
  | { readonly kind: 'ask'; readonly poll: Poll; readonly from: Process; readonly to: Process }
  | { readonly kind: 'answer'; readonly poll: Poll; readonly answer: Answer; readonly to: Process }

export class FormingWorld {
  /** Directories that were replaced by empty ones. */
  wiped = 0
  readonly #members: readonly string[]
  readonly #wipesMax: number
  readonly #directories = new Map<string, Directory>()
  /** Of those that run. */
  readonly #processes = new Map<string, Process>()
  #flight: InFlight[] = []
  #numbers = 0

  constructor(size: number, wipesMax = 2) {
    this.#members = Array.from({ length: size }, (_, i) => `n${i + 1}`)
    this.#wipesMax = wipesMax
    for (const member of this.#members) this.#directories.set(member, this.#directory(member))
  }

  /** Cluster ids that stand in directories. */
  get clusters(): ReadonlySet<string> {
    const ids = [...this.#directories.values()].flatMap(({ facts }) => (facts === null ? [] : [facts.clusterId]))
    return new Set(ids)
  }

  /** Of running processes whose directory is not formed. */
  get waiting(): readonly Forming[] {
    return [...this.#processes.values()]
      .filter(({ directory }) => directory.facts === null)
      .map(({ forming }) => forming)
  }

  /** One thing happens; which one, `choice` says. */
  step(choice: number): void {
    const member = this.#members[choice % this.#members.length]!
    const action = Math.floor(choice / 8) % 32
    const which = Math.floor(choice / 256)
    if (action < 6) this.#ask(member)
    // Mostly the latest: what is passed over stays on its way for long, and comes when nobody expects it.
    else if (action < 22) this.#deliver(which % 8 === 0 ? which : this.#flight.length - 1)
    else if (action < 27) this.#write(member, true)
    else if (action === 27) this.#flight.splice(which % (this.#flight.length + 1), 1)
    else if (action === 28 && which % 4 === 0) this.#write(member, false)
    else if (action === 28 && which % 4 === 1) this.#processes.delete(member)
    // Each is worth a look, many of them leave nothing to look at.
    else if (action === 28 && which % 4 === 2 && this.wiped < this.#wipesMax) this.#wipe(member)
    else this.#start(member)
  }

  /** Everybody is up, everything arrives. */
  settle(): void {
    for (const member of this.#members) this.#start(member)
    for (let round = 0; round < 8; round++) {
      for (const member of this.#members) this.#ask(member)
      while (this.#flight.length > 0) this.#deliver(0)
      for (const member of this.#members) this.#write(member, true)
    }
  }

  #directory(member: string): Directory {
    return { peer: `${member}@d${++this.#numbers}`, facts: null }
  }

  #start(member: string): void {
    if (this.#processes.has(member)) return
    const directory = this.#directories.get(member)!
    const forming = new Forming({ self: directory.peer, members: this.#members })
    this.#processes.set(member, { forming, directory })
  }

  #wipe(member: string): void {
    this.wiped++
    this.#processes.delete(member)
    this.#directories.set(member, this.#directory(member))
  }

  #ask(member: string): void {
    const from = this.#processes.get(member)
    if (from === undefined || from.directory.facts !== null) return
    for (const poll of from.forming.round()) {
      const to = this.#processes.get(poll.to)
      if (to === undefined) from.forming.unanswered(poll, 'refused')
      else this.#flight.push({ kind: 'ask', poll, from, to })
    }
  }

  #deliver(which: number): void {
    const [one] = this.#flight.splice(Math.max(0, which) % (this.#flight.length + 1), 1)
    if (one === undefined || ![...this.#processes.values()].includes(one.to)) return
    if (one.kind === 'answer') one.to.forming.answered(one.poll, one.answer)
    else this.#flight.push({ kind: 'answer', poll: one.poll, answer: this.#answer(one.to, one.poll), to: one.from })
  }

  #answer({ forming, directory }: Process, { ask }: Poll): Answer {
    // One that was formed before it started does not form: it answers with what it is.
    return directory.facts === null
      ? forming.asked(ask)
      : { kind: 'formed', peer: directory.peer, facts: directory.facts }
  }

  /** The directory becomes what was decided; or the process ends just before. */
  #write(member: string, durable: boolean): void {
    const process = this.#processes.get(member)
    const decision = process?.forming.decision
    if (process === undefined || process.directory.facts !== null || decision == null) return
    if (!durable) {
      this.#processes.delete(member)
      return
    }
    const clusterId = `cluster ${++this.#numbers}`
    const facts = decision.kind === 'join' ? decision.facts : { clusterId, names: decision.peers, founding: null }
    process.directory.facts = facts
    process.forming.formed(facts)
  }
}
