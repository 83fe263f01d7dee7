/** Cores on a stage: nothing moves unless it is told to, and everything that comes of it is put down in words. */
import { type LogIndex, logIndex, type Term, term } from '@leasehold/protocol'
import {
  type Addressed,
  type Configuration,
  type Message,
  Raft,
  type RaftLimits,
  type Write,
} from '@leasehold/server/raft'
import { type Item, item } from './cluster.js'
import { Volume } from './volume.js'
import { messageInWords, stateInWords, writeInWords } from './wording.js'
import { TIGHT } from './world.js'

const BYTES_MAX = 1_000

export class Actor {
  readonly id: string
  disk = new Volume()
  /** Of its disk, to be put back. */
  copy: Volume | null = null
  core: Raft<Item> | null = null
  write: Write<Item> | null = null
  /** Draws of election timeouts: 0 is the shortest. */
  draw = 0
  /** Committed entries are not applied meanwhile. */
  idle = false
  /** A snapshot is being installed: nothing is written or applied meanwhile. */
  installing: { index: LogIndex; term: Term; configuration: Configuration } | null = null
  #role = 'follower'
  #applied: { index: LogIndex; term: Term; configuration: Configuration }

  constructor(id: string) {
    this.id = id
    this.#applied = this.disk.checkpoint
  }

  get applied() {
    return this.#applied
  }

  start(limits: RaftLimits): void {
    this.core = new Raft<Item>(
      this.disk.start(this.id, () => this.draw),
      limits,
    )
    this.#applied = this.disk.checkpoint
    this.#role = 'follower'
  }

  /** True where it is news. */
  roleChanged(): boolean {
    const { role, term } = this.core!.status
    const now = role === 'follower' ? role : `${role} ${term}`
    if (now === this.#role) return false
    this.#role = now
    return true
  }

  apply(entry: Item): void {
    const configuration = entry.reconfigures ? configurationFrom(entry.text) : this.#applied.configuration
    this.#applied = { index: entry.index, term: entry.term, configuration }
    if (entry.reconfigures) this.core!.reconfigured(configuration)
    this.core!.applied(entry.index)
  }

  restore(): void {
    const snapshot = this.installing!
    this.installing = null
    this.disk.install(snapshot)
    this.#applied = snapshot
    this.core!.restored(snapshot.index, snapshot.term, snapshot.configuration)
  }
}

/** `a b | c d | e`: voters, outgoing, learners. */
export function configurationFrom(text: string): Configuration {
  const [voters = [], outgoing = [], learners = []] = text
    .replace(/^configure /, '')
    .split('|')
    .map((part) => part.split(' ').filter((word) => word !== ''))
  return { voters, outgoing, learners }
}

export class Stage {
  readonly actors = new Map<string, Actor>()
  readonly mail: { readonly from: string; readonly addressed: Addressed<Item> }[] = []
  /** What happened since it was asked last. */
  #lines: string[] = []
  /** Messages and writes are not worth a line. */
  quiet = false

  actor(id: string | undefined): Actor {
    const actor = this.actors.get(id ?? '')
    if (actor === undefined) throw new Error(`nobody is called ${id}`)
    return actor
  }
  core(id: string | undefined): Raft<Item> {
    const { core } = this.actor(id)
    if (core === null) throw new Error(`${id} is down`)
    return core
  }

  say(line: string): void {
    this.#lines.push(line)
  }

  takeLines(): string[] {
    const out = this.#lines
    this.#lines = []
    return out
  }

  /** An actor with a log of entries of these terms, of which the first `applied` ones are known to be committed. */
  cast(
    id: string,
    of: {
      term: number
      vote: string | null
      entries: { term: number; text: string }[]
      applied: number
      configuration: Configuration
    },
  ): void {
    const actor = new Actor(id)
    const entries = of.entries.map((one, i) => item(term(one.term), logIndex(i + 1), one.text))
    const hardState = { term: term(of.term), votedFor: of.vote }
    actor.disk.write({ hardState, entries, replies: [] })
    const at = { index: logIndex(of.applied), term: term(of.entries[of.applied - 1]?.term ?? 0) }
    actor.disk.checkpoint = { ...at, configuration: of.configuration }
    this.actors.set(id, actor)
    actor.start(TIGHT)
  }

  act(id: string | undefined, input: (core: Raft<Item>) => void): void {
    input(this.core(id))
    this.take(this.actor(id))
  }

  sync(id: string | undefined): void {
    const actor = this.actor(id)
    const { write } = actor
    if (write === null) throw new Error(`${id} writes nothing`)
    actor.write = null
    actor.disk.write(write)
    this.core(id).written()
    for (const reply of write.replies) this.#post(actor, reply)
    this.take(actor)
  }

  crash(id: string | undefined): void {
    const actor = this.actor(id)
    actor.core = null
    actor.write = null
  }
  restart(id: string | undefined): void {
    this.actor(id).start(TIGHT)
    this.take(this.actor(id))
  }

  deliver(from: string, message: Message<Item>, to: string): void {
    if (this.actor(to).core !== null) this.act(to, (core) => core.step(from, message))
  }

  /** Everything arrives and everything is written, until nothing is left to be done. */
  settle(): void {
    for (let i = 0; i < 10_000; i++) {
      for (const actor of this.actors.values()) if (actor.core !== null && actor.write !== null) this.sync(actor.id)
      const letter = this.mail.shift()
      if (letter !== undefined) this.deliver(letter.from, letter.addressed.message, letter.addressed.to)
      else if ([...this.actors.values()].every(({ write }) => write === null)) return
    }
    throw new Error('it never comes to rest')
  }

  show(id: string | undefined): void {
    const { core, disk } = this.actor(id)
    if (core === null) this.say(`${id} is down`)
    else this.say(`${id}: ${stateInWords(core, disk.hardState, disk.range(disk.firstIndex, disk.lastIndex))}`)
  }

  take(actor: Actor): void {
    const { id, core } = actor
    if (core === null) return
    if (actor.roleChanged()) this.say(`${id} is ${core.status.role} of ${core.status.term}`)
    for (const addressed of core.takeMessages()) this.#post(actor, addressed)
    if (actor.write === null && actor.installing === null) {
      actor.write = core.takeWrite()
      if (actor.write !== null && !this.quiet) this.say(`${id} ${writeInWords(actor.write)}`)
    }
    for (const { to, from, through } of core.takeFetches()) {
      if (!this.quiet) this.say(`${id} fetches ${from}..${through} for ${to}`)
      if (from < actor.disk.firstIndex) core.fetchFailed(to)
      else core.fetched(to, actor.disk.range(from, through))
      this.take(actor)
    }
    for (const to of core.takeSnapshots()) this.say(`${id} owes ${to} a snapshot`)
    for (const { read, index } of core.takeReads())
      this.say(`${id} ${index === 0 ? 'refuses' : 'may serve'} read ${read}${index === 0 ? '' : ` at ${index}`}`)
    if (!actor.idle && actor.installing === null) this.#apply(actor, core)
  }

  #apply(actor: Actor, core: Raft<Item>): void {
    const entries = core.takeCommitted(BYTES_MAX)
    if (entries.length === 0) return
    this.say(`${actor.id} applies${entries.map((entry) => ` ${entry.index}@${entry.term}`).join('')}`)
    for (const entry of entries) actor.apply(entry)
    this.take(actor)
  }

  #post(from: Actor, addressed: Addressed<Item>): void {
    this.mail.push({ from: from.id, addressed })
    if (!this.quiet) this.say(`${from.id}>${addressed.to} ${messageInWords(addressed.message)}`)
  }
}
