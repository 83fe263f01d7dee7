/**
 * Cores in a hostile world: messages are lost, doubled, delayed past each other, and arrive after their sender's crash; crashes lose the write
 * under way or not; logs are trimmed, so that snapshots are needed; voters come and go. Everything follows from one seed.
 */
import { logIndex, term } from '@leasehold/protocol'
import {
  type Addressed,
  type Configuration,
  type PeerId,
  Raft,
  type RaftLimits,
  type Write,
} from '@leasehold/server/raft'
import { type Item, item } from './cluster.js'
import { Judge } from './judge.js'
import { type SnapshotOf, Volume } from './volume.js'

/** Small, so that every bound is met all the time. */
export const TIGHT: RaftLimits = {
  heartbeatTicks: 2,
  electionTicksMin: 10,
  electionTicksMax: 20,
  hasteTicksMax: 3,
  appendBytesMax: 40,
  appendEntriesMax: 4,
  windowBytesMax: 80,
  windowMessagesMax: 3,
  uncommittedBytesMax: 150,
  tailBytesMax: 300,
  tailEntriesMax: 8,
  readsMax: 4,
  numberMax: 2 ** 40,
}

interface ConfigureItem extends Item {
  readonly configuration: Configuration
}
const configurationOf = (entry: Item) => (entry as ConfigureItem).configuration

/** Numbers from a seed (a xorshift over 32 bits). */
export function numbers(seed: number): () => number {
  let x = (seed * 0x9e3779b1) | 1
  return () => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return (x >>> 0) / 2 ** 32
  }
}

export class Member {
  readonly id: PeerId
  readonly disk = new Volume()
  core: Raft<Item> | null = null
  flight: Write<Item> | null = null
  /** Being installed: meanwhile nothing is written or applied, and messages still come. */
  installing: SnapshotOf | null = null
  /** How many of its ticks come: a process that hardly runs is the last to notice anything. */
  pace = 1
  applied: SnapshotOf
  /** Reads asked for, and what was committed somewhere by then. */
  readonly reads = new Map<number, number>()

  constructor(id: PeerId) {
    this.id = id
    this.applied = this.disk.checkpoint
  }
}

type Parcel =
  | { readonly kind: 'message'; readonly from: PeerId; readonly to: PeerId; readonly addressed: Addressed<Item> }
  | { readonly kind: 'snapshot'; readonly from: PeerId; readonly to: PeerId; readonly snapshot: SnapshotOf }

export class World {
  readonly random: () => number
  readonly members: Member[]
  readonly judge = new Judge()
  readonly disks: ReadonlyMap<PeerId, Volume>
  readonly parcels: Parcel[] = []
  /** Pairs that do not hear each other, as `from>to`. */
  readonly cut = new Set<string>()
  /** Everybody applies at once; otherwise some are slow. */
  calm = false
  #reads = 0
  #texts = 0

  constructor(seed: number, voters: number, spares: number) {
    this.random = numbers(seed)
    const ids = Array.from({ length: voters + spares }, (_, i) => `n${i + 1}`)
    this.members = ids.map((id) => new Member(id))
    this.disks = new Map(this.members.map(({ id, disk }) => [id, disk]))
    const configuration = { voters: ids.slice(0, voters), outgoing: [], learners: [] }
    const first: ConfigureItem = { ...item(term(1), logIndex(1), 'configure first'), configuration }
    for (const member of this.members) {
      if (configuration.voters.includes(member.id)) {
        member.disk.write({ hardState: null, entries: [first], replies: [] })
        member.disk.checkpoint = { index: logIndex(1), term: term(1), configuration }
      }
      this.start(member)
    }
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)]!
  }
  chance(of: number): boolean {
    return this.random() < of
  }

  /** Gives a running core an input, and takes and judges what comes of it. */
  feed(member: Member, input: (core: Raft<Item>) => void): void {
    const { core } = member
    if (core === null) return
    input(core)
    this.#take(member, core)
  }

  start(member: Member): void {
    if (member.core !== null) return
    member.core = new Raft<Item>(member.disk.start(member.id, this.random), TIGHT)
    member.core.holdsNotices = this.chance(0.5)
    member.applied = member.disk.checkpoint
    member.reads.clear()
    this.judge.restarted(member.id)
    this.#take(member, member.core)
  }

  /** The write under way is lost, or it is not; nobody was told either way. */
  crash(member: Member): void {
    if (member.flight !== null && this.chance(0.5)) this.#persist(member, member.flight)
    member.flight = null
    member.core = null
    if (member.installing === null) return
    if (this.chance(0.5)) member.disk.install(member.installing)
    member.installing = null
    // Whoever was sending it sees the link close.
    for (const other of this.members) this.feed(other, (core) => core.snapshotFailed(member.id))
  }

  land(member: Member): void {
    const { flight, core } = member
    if (member.installing !== null) this.#installed(member, member.installing)
    if (flight === null || core === null) return
    member.flight = null
    this.#persist(member, flight)
    core.written()
    for (const reply of flight.replies) this.#send(member, reply)
    this.#take(member, core)
  }

  deliver(parcel: Parcel): void {
    const to = this.members.find(({ id }) => id === parcel.to)
    if (to === undefined || to.core === null || this.cut.has(`${parcel.from}>${parcel.to}`)) this.lose(parcel)
    else if (parcel.kind === 'message') this.feed(to, (core) => core.step(parcel.from, parcel.addressed.message))
    else if (!this.#install(to, to.core, parcel.snapshot)) this.lose(parcel)
  }

  /** A message is lost without a word; who sends a snapshot learns that it did not arrive. */
  lose(parcel: Parcel): void {
    if (parcel.kind === 'message') return
    const from = this.members.find(({ id }) => id === parcel.from)!
    this.feed(from, (core) => core.snapshotFailed(parcel.to))
  }

  propose(member: Member, count: number): void {
    this.feed(member, (core) => {
      const { role, term, lastIndex } = core.status
      if (role !== 'leader' || core.roomBytes <= 0) return
      core.propose(
        Array.from({ length: count }, (_, i) => item(term, logIndex(lastIndex + 1 + i), `e${++this.#texts}`)),
      )
    })
  }

  /** A change of voters through a joint configuration, or the second half of one. */
  reconfigure(member: Member, voters: readonly PeerId[], learners: readonly PeerId[]): void {
    this.feed(member, (core) => {
      if (!core.mayReconfigure) return
      const { configuration: old, term, lastIndex } = core.status
      const same = voters.length === old.voters.length && voters.every((voter) => old.voters.includes(voter))
      const next =
        old.outgoing.length > 0 ? { ...old, outgoing: [] } : { voters, outgoing: same ? [] : old.voters, learners }
      const entry = item(term, logIndex(lastIndex + 1), `configure ${JSON.stringify(next)}`)
      core.propose([{ ...entry, configuration: next } as ConfigureItem])
    })
  }

  read(member: Member): void {
    const read = ++this.#reads
    if (member.core !== null) member.reads.set(read, this.judge.highest)
    this.feed(member, (core) => core.readIndex(read))
  }

  /** Keeps a few entries, for followers that are not far behind. */
  trim(member: Member): void {
    if (member.installing !== null || member.core === null) return
    const first = logIndex(member.applied.index - Math.floor(this.random() * 6))
    member.disk.checkpoint = member.applied
    if (first <= member.disk.firstIndex) return
    member.disk.trim(first)
    this.feed(member, (core) => core.trimmed(first))
  }

  link(a: Member, b: Member, up: boolean): void {
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      this.feed(one, (core) => (up ? core.linkUp(other.id) : core.linkDown(other.id)))
    }
  }

  /** For people, when something went wrong. */
  describe(): string {
    const lines = this.members.map(({ id, core, applied, flight, disk }) => {
      if (core === null) return `${id} is down`
      const { role, term, leader, commit, lastIndex, configuration, progress } = core.status
      const { voters, outgoing, learners } = configuration
      const sets = [voters, outgoing, learners].map((set) => set.join(' ')).join(' | ')
      const peers = progress.map(({ peer, state, match, next }) => `${peer} ${state} ${match} ${next}`).join(', ')
      const ends = `${disk.firstIndex}..${lastIndex} applied ${applied.index} commit ${commit}`
      return `${id} ${role} of ${term}, leader ${leader}: ${ends} [${sets}] ${peers}${flight === null ? '' : ' writing'}`
    })
    return `\n${lines.join('\n')}\n`
  }

  #persist(member: Member, write: Write<Item>): void {
    const leads = member.core?.status.role === 'leader'
    let previous = write.entries.length > 0 ? member.disk.termAt(write.entries[0]!.index - 1)! : 0
    for (const entry of write.entries) {
      this.judge.wrote(member.id, leads, entry, previous, entry.index <= member.disk.lastIndex)
      previous = entry.term
    }
    member.disk.write(write)
  }

  #send(from: Member, addressed: Addressed<Item>): void {
    this.judge.sent(from.id, addressed, addressed.to, from.disk)
    this.parcels.push({ kind: 'message', from: from.id, to: addressed.to, addressed })
  }

  #take(member: Member, core: Raft<Item>): void {
    // What is committed was committed under the configuration that is in force before it is applied.
    this.judge.looked(core, this.disks)
    for (const addressed of core.takeMessages()) this.#send(member, addressed)
    if (member.installing === null) {
      member.flight ??= core.takeWrite()
      if (this.calm || this.chance(0.5)) this.#apply(member, core)
    }
    for (const { to, from, through } of core.takeFetches()) {
      const entries = from < member.disk.firstIndex ? [] : member.disk.range(from, through)
      if (entries.length === 0) core.fetchFailed(to)
      else core.fetched(to, entries.slice(0, 1 + Math.floor(this.random() * entries.length)))
    }
    for (const to of core.takeSnapshots()) {
      if (this.chance(0.3)) core.snapshotFailed(to)
      else this.parcels.push({ kind: 'snapshot', from: member.id, to, snapshot: member.applied })
    }
    for (const { read, index } of core.takeReads()) {
      this.judge.read(member.id, member.reads.get(read)!, index)
      member.reads.delete(read)
    }
    this.judge.looked(core, this.disks)
  }

  #apply(member: Member, core: Raft<Item>): void {
    for (const entry of core.takeCommitted(25)) {
      this.judge.applied(entry)
      const configuration = entry.reconfigures ? configurationOf(entry) : member.applied.configuration
      member.applied = { index: entry.index, term: entry.term, configuration }
      if (entry.reconfigures) core.reconfigured(configuration)
      core.applied(entry.index)
    }
  }

  #installed(member: Member, snapshot: SnapshotOf): void {
    member.installing = null
    member.disk.install(snapshot)
    member.applied = snapshot
    this.feed(member, (core) => core.restored(snapshot.index, snapshot.term, snapshot.configuration))
  }

  #install(member: Member, core: Raft<Item>, snapshot: SnapshotOf): boolean {
    // A snapshot is installed while nothing else is being written.
    const busy = member.flight !== null || member.installing !== null
    if (busy || !core.needsSnapshot(snapshot.index, snapshot.term)) return false
    member.installing = snapshot
    return true
  }
}
