/**
 * A member in small: entries go into the log, are applied once they are durable, and applying changes a table and brings
 * forth events, as a function of the entry alone. Beside it stands the truth, in plain arrays, and what of it was
 * durable at the last flush; a restart has to bring exactly that back.
 */
import { isDeepStrictEqual } from 'node:util'
import { type AuditEvent, auditSeq, type ChainedEvent, clusterMs, logIndex, term } from '@leasehold/protocol'
import type { Entry } from '@leasehold/server/machine'
import type { Disk } from '@leasehold/server/ports'
import type { Store } from '@leasehold/server/storage'
import { allEntries, allEvents, entryOf, eventOf, openOn, PlainTable } from './support.js'

const NAMES = 5

/** What a restart has to bring back. */
export interface Durable {
  readonly log: readonly Entry[]
  readonly first: number
  readonly checkpoint: number
  readonly auditFirst: number
  readonly auditLast: number
  readonly term: number
  readonly vote: string | null
}

/** What applying an entry does: rows by key (null: deleted), and how many events. */
function effects(entry: Entry): { rows: [string, string | null][]; events: number } {
  const rows: [string, string | null][] = []
  for (let at = 0; at < entry.commands.length; at += 1) {
    const key = `row-${(entry.index * 31 + entry.term * 17 + at * 7) % 11}`
    rows.push([key, (entry.index + at) % 3 === 0 ? null : `${entry.term}.${entry.index}.${at}`])
  }
  return { rows, events: (entry.index + entry.commands.length) % 4 }
}

export class Member {
  readonly #disk: Disk
  #table = new PlainTable('rows')
  #store!: Store
  #flush!: () => Promise<void>
  #applied = 0
  /** The last entry that was ever applied, before restarts, too: it is committed, whether or not it must be applied again. */
  #committed = 0
  #seq = 0
  /** The truth. Events are those of the entries as they stand in the log. */
  readonly log: Entry[] = []
  #first = 1
  #checkpoint = 0
  #auditFirst = 1
  #term = 0
  #vote: string | null = null
  durable: Durable = { log: [], first: 1, checkpoint: 0, auditFirst: 1, auditLast: 0, term: 0, vote: null }
  /** What the flush in flight will have made durable. */
  inFlight: Durable | null = null

  constructor(disk: Disk) {
    this.#disk = disk
  }

  get store(): Store {
    return this.#store
  }

  async open(): Promise<void> {
    this.#table = new PlainTable('rows')
    const opened = await openOn(this.#disk, [this.#table])
    this.#store = opened.store
    this.#flush = opened.flush
    this.#applied = this.#store.recovered.checkpointIndex
    this.#seq = eventsOf(this.durable.log.slice(0, this.#applied)).length
  }

  append(count: number, commands: number): void {
    const last = this.log.length
    const entries = Array.from({ length: count }, (_, at) =>
      entryOf(last + 1 + at, { term: Math.max(1, this.#term), commands, salt: `${last}-${at}` }),
    )
    this.log.push(...entries)
    this.#store.stageEntries(entries)
  }

  /** Entries as they mostly go: appended, made durable, applied. */
  async work(entries: number, commands: number): Promise<void> {
    this.append(entries, commands)
    await this.flush()
    this.apply(entries)
  }

  /** Replaces the last entries that are not committed, as a lost election does. */
  replace(count: number): void {
    const from = Math.max(this.#committed, this.log.length - count) + 1
    if (from > this.log.length) return
    this.vote()
    this.log.length = from - 1
    this.append(1, 2)
  }

  vote(): void {
    this.#term += 1
    this.#vote = this.#term % 3 === 0 ? null : `n${this.#term % 4}`
    this.#store.stageHardState({ term: term(this.#term), votedFor: this.#vote })
  }

  /** Applies durable entries. */
  apply(count: number): void {
    const to = Math.min(this.#applied + count, this.durable.log.length)
    while (this.#applied < to && this.log[this.#applied] === this.durable.log[this.#applied]) {
      const entry = this.log[this.#applied]!
      const { rows, events } = effects(entry)
      for (const [key, value] of rows) {
        if (value === null) this.#table.delete(key)
        else this.#table.set(key, value)
      }
      this.#applied += 1
      if (events > 0) {
        const made = Array.from({ length: events }, (_, at) => madeEvent(entry, this.#seq + 1 + at))
        this.#store.stageEvents(made)
      }
      this.#seq += events
    }
    this.#committed = Math.max(this.#committed, this.#applied)
  }

  checkpoint(): void {
    this.#store.stageCheckpoint(logIndex(this.#applied), clusterMs(this.#applied * 10))
    this.#checkpoint = this.#applied
  }

  trimLog(): void {
    this.#first = Math.max(this.#first, this.durable.checkpoint)
    this.#store.stageTrimLog(logIndex(this.#first))
  }

  trimAudit(): void {
    const { first, last } = this.#store.audit
    if (first > last) return
    this.#auditFirst = first + Math.floor((last - first) / 2)
    this.#store.stageTrimAudit(auditSeq(this.#auditFirst - 1))
  }

  async flush(): Promise<void> {
    const next = this.truth()
    this.inFlight = next
    await this.#flush()
    this.durable = next
    this.inFlight = null
  }

  /** What the flush that starts now makes durable. */
  truth(): Durable {
    return {
      log: this.log.slice(),
      first: this.#first,
      checkpoint: this.#checkpoint,
      auditFirst: this.#auditFirst,
      auditLast: Math.max(this.#seq, this.#store.audit.last),
      term: this.#term,
      vote: this.#vote,
    }
  }

  /** Ends, whatever is staged is lost, and opens again. */
  async restart(): Promise<string | null> {
    await this.#store.close()
    const { log, first, checkpoint, auditFirst, term, vote } = this.durable
    this.log.length = 0
    this.log.push(...log)
    this.#first = first
    this.#checkpoint = checkpoint
    this.#auditFirst = auditFirst
    this.#term = term
    this.#vote = vote
    await this.open()
    return this.compare(this.durable)
  }

  /** What differs from `durable`, or null. Entries below the checkpoint may have been dropped, for they are damaged. */
  async compare(durable: Durable): Promise<string | null> {
    const { recovered, audit } = this.#store
    const { log, checkpoint, term, vote } = durable
    const dropped = recovered.notices.some((notice) => notice.startsWith('Log entries'))
    const first = dropped ? checkpoint + 1 : durable.first
    const found = {
      first: recovered.firstIndex,
      last: recovered.lastIndex,
      checkpoint: recovered.checkpointIndex,
      term: recovered.hardState.term,
      vote: recovered.hardState.votedFor,
      auditFirst: audit.first,
      auditLast: audit.last,
    }
    const { auditFirst, auditLast } = durable
    const wanted = { first, last: log.length, checkpoint, term, vote, auditFirst, auditLast }
    if (!isDeepStrictEqual(found, wanted)) return `found ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`
    if (!isDeepStrictEqual(this.#table.content(), stateOf(log.slice(0, checkpoint)))) return 'other rows'
    if (!isDeepStrictEqual(await allEntries(this.#store), log.slice(first - 1))) return 'other entries'
    return this.compareAudit(eventsOf(log).slice(auditFirst - 1, auditLast))
  }

  async compareAudit(wanted: readonly AuditEvent[]): Promise<string | null> {
    const all = await allEvents(this.#store, {}, 7)
    if (!isDeepStrictEqual(all.map(bare), wanted)) return 'other events'
    for (const [at, event] of all.entries()) {
      if (at > 0 && event.previousHash !== all[at - 1]!.hash) return `the chain breaks at ${event.seq}`
    }
    for (let at = 0; at < NAMES; at += 1) {
      const name = `name/${at}`
      const named = await allEvents(this.#store, { name }, 3)
      if (
        !isDeepStrictEqual(
          named,
          all.filter((event) => event.name === name),
        )
      )
        return `another history of ${name}`
    }
    const prefixed = await allEvents(this.#store, { prefix: 'name/1' }, 3)
    return isDeepStrictEqual(
      prefixed,
      all.filter((event) => event.name.startsWith('name/1')),
    )
      ? null
      : 'another history of a prefix'
  }
}

/** Opens what a crash or damage has left. Returns null where it is one of these moments, exactly. Throws what opening throws. */
export async function judged(disk: () => Disk, moments: readonly Durable[]): Promise<string | null> {
  const wrong: string[] = []
  for (const moment of moments) {
    const member = new Member(disk())
    member.durable = moment
    await member.open()
    try {
      const difference = await member.compare(moment)
      if (difference === null) return null
      wrong.push(difference)
    } finally {
      await member.store.close()
    }
  }
  return wrong.join('; ')
}

/** Tells the entry that brought it forth: another entry in its place brings forth another event. */
function madeEvent(entry: Entry, seq: number): AuditEvent {
  return { ...eventOf(seq, `name/${(seq * 7) % NAMES}`), term: entry.term, holder: `holder-${entry.index}` }
}

function eventsOf(entries: readonly Entry[]): AuditEvent[] {
  const events: AuditEvent[] = []
  for (const entry of entries) {
    const { events: count } = effects(entry)
    for (let at = 0; at < count; at += 1) events.push(madeEvent(entry, events.length + 1))
  }
  return events
}

function stateOf(entries: readonly Entry[]): Record<string, string> {
  const rows = new Map<string, string>()
  for (const entry of entries) {
    for (const [key, value] of effects(entry).rows) {
      if (value === null) rows.delete(key)
      else rows.set(key, value)
    }
  }
  return Object.fromEntries([...rows].sort(([a], [b]) => (a < b ? -1 : 1)))
}

function bare({ previousHash: _previous, hash: _hash, ...event }: ChainedEvent): AuditEvent {
  return event
}
