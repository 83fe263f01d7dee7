/**
 * The committed history of a world, as the first member to apply each entry has it. Every other application of the same
 * index, by any member, in any run, must be the same entry and have the same outcome; the naive model must agree; replies must come from
 * it, in an order that real time allows.
 */
import type { ClientCommand, Reply } from '@leasehold/protocol'
import type { Applied, Entry, MachineLimits } from '@leasehold/server/machine'
import { Machine } from '@leasehold/server/machine'
import { Model, withoutDetail } from '../machine/model.js'
import { canonical } from './canonical.js'
import type { Claims } from './claim.js'
import { digestOf } from './digest.js'
import type { Holders } from './holders.js'
import type { Scheduler } from './scheduler.js'
import type { Trace } from './trace.js'

/** States are compared at every so many entries; computing a digest takes longer than applying an entry. */
const DIGEST_EVERY = 64

/** Where in the log a reply was made. */
export interface Place {
  readonly index: number
  /** Null for the final answer of one that waited. */
  readonly command: ClientCommand | null
}

interface Line {
  readonly entry: Entry
  readonly print: string
  readonly outcome: string
  digest: string | null
}

/** What the ledger asks of whoever knows disks and leaders, when an entry is applied for the first time. */
export type Committed = (entry: Entry, by: string) => void

export class Ledger {
  /** The highest index of which an answer has left a member. */
  ackedIndex = 0
  /** Commands that were executed, retries and replays included. */
  executed = 0
  readonly model: Model
  readonly #claims: Claims
  readonly #scheduler: Scheduler
  readonly #trace: Trace
  readonly #holders: Holders
  readonly #committed: Committed
  readonly #lines: Line[] = []
  readonly #places = new WeakMap<readonly unknown[], Place>()
  /** Attempts that were sent, less those that were executed, by command. */
  readonly #owed = new Map<string, number>()

  constructor(
    parts: { claims: Claims; scheduler: Scheduler; trace: Trace; holders: Holders; limits: MachineLimits },
    committed: Committed,
  ) {
    this.#claims = parts.claims
    this.#scheduler = parts.scheduler
    this.#trace = parts.trace
    this.#holders = parts.holders
    this.#committed = committed
    this.model = new Model(parts.limits)
  }

  get last(): number {
    return this.#lines.length
  }
  line(index: number): Line | undefined {
    return this.#lines[index - 1]
  }

  /** An attempt leaves its client. */
  sent(command: ClientCommand): void {
    const key = canonical(command)
    this.#owed.set(key, (this.#owed.get(key) ?? 0) + 1)
  }

  /** A member has applied an entry. Returns the outcome with replies that can be told from all others. */
  applied(by: string, entry: Entry, applied: Applied, machine: Machine): Applied {
    const { index } = entry
    const print = printOf(entry)
    const outcome = outcomeOf(applied)
    if (index === this.last + 1) this.#first(by, entry, print, applied, outcome)
    const line = this.line(index)
    if (line === undefined)
      this.#claims.broken(`${by} applies entry ${index}, and the last one before it is ${this.last}`)
    else {
      this.#claims.hold(
        line.print === print,
        () => `${by} applies another entry ${index}:\n  ${print}\n  ${line.print}`,
      )
      this.#claims.hold(line.outcome === outcome, () => `${by}: outcome of ${index}:\n  ${outcome}\n  ${line.outcome}`)
      if (index % DIGEST_EVERY === 0) this.#compare(by, line, machine)
    }
    return this.#traceable(entry, applied)
  }

  #first(by: string, entry: Entry, print: string, applied: Applied, outcome: string): void {
    this.#lines.push({ entry, print, outcome, digest: null })
    this.#trace.note(this.#scheduler.nowMs, 'commit', by, entry.term, entry.index, entry.timeMs, entry.commands.length)
    this.#committed(entry, by)
    const wanted = outcomeOf({ ...this.model.apply(entry), drawn: applied.drawn, moreDue: applied.moreDue })
    this.#claims.hold(
      wanted === outcome,
      () => `entry ${entry.index} is not what the model does:\n  ${outcome}\n  ${wanted}`,
    )
    for (const event of applied.events) this.#holders.event(event)
    for (const command of applied.executed ? entry.commands : []) {
      if (!('principal' in command)) continue
      this.executed++
      const key = canonical(command)
      const owed = this.#owed.get(key) ?? 0
      this.#claims.hold(owed > 0, () => `executed more often than it was sent: ${key} in entry ${entry.index}`)
      this.#owed.set(key, owed - 1)
    }
  }

  #compare(by: string, line: Line, machine: Machine): void {
    const digest = digestOf(machine.tables)
    line.digest ??= digest
    this.#claims.hold(line.digest === digest, () => `${by} has another state after entry ${line.entry.index}`)
  }

  #traceable(entry: Entry, applied: Applied): Applied {
    const replies = applied.replies.map(({ code, fields }, at): Reply => {
      const command = entry.commands[at]!
      return { code, fields: this.#placed(fields, entry.index, 'principal' in command ? command : null) }
    })
    const settled = applied.settled.map(({ waiter, reply }) => ({
      waiter,
      reply: { code: reply.code, fields: this.#placed(reply.fields, entry.index, null) },
    }))
    return { ...applied, replies, settled }
  }

  #placed(fields: readonly unknown[], index: number, command: ClientCommand | null): readonly unknown[] {
    const own = [...fields]
    this.#places.set(own, { index, command })
    return own
  }

  /** A member hands out an answer. Null for one that came from no entry. */
  answered(
    by: string,
    fields: readonly unknown[],
    sent: { readonly ackedIndex: number; command: ClientCommand },
  ): Place | null {
    const place = this.#places.get(fields) ?? null
    if (place === null) return null
    const { index, command } = place
    this.#claims.hold(index <= this.last, () => `${by} answers from entry ${index}, which is not committed`)
    this.#claims.hold(
      index > sent.ackedIndex,
      () => `${by} answers from entry ${index} what was sent after an answer from ${sent.ackedIndex} had left`,
    )
    if (command !== null) {
      const [found, wanted] = [canonical(command), canonical(sent.command)]
      this.#claims.hold(found === wanted, () => `${by} answers ${found} to who asked ${wanted}`)
    }
    if (index > this.ackedIndex) this.ackedIndex = index
    return place
  }
}

const printOf = (entry: Entry): string =>
  canonical([entry.term, entry.index, entry.timeMs, entry.wallMs, entry.member, entry.run, entry.batch, entry.commands])

const bare = ({ code, fields }: Reply): readonly unknown[] => {
  const reply = withoutDetail({ code, fields })
  return [reply.code, reply.fields]
}

const outcomeOf = ({ executed, replies, settled, revoked, events, moreDue }: Applied): string =>
  JSON.stringify([
    executed,
    replies.map(bare),
    settled.map(({ waiter, reply }) => [waiter, bare(reply)]),
    revoked.map(({ principal, name, token, reason }) => [principal, name, token, reason]),
    events,
    moreDue,
  ])

/** A machine that shows the ledger everything it applies. */
export class WatchedMachine extends Machine {
  readonly #by: string
  readonly #ledger: Ledger
  readonly #alive: (machine: WatchedMachine) => boolean

  /** `alive` says whether its process still is; it is asked at every entry, with the machine that applies it. */
  constructor(by: string, ledger: Ledger, limits: Partial<MachineLimits>, alive: (machine: WatchedMachine) => boolean) {
    super(limits)
    this.#by = by
    this.#ledger = ledger
    this.#alive = alive
  }

  override apply(entry: Entry): Applied {
    const applied = super.apply(entry)
    return this.#alive(this) ? this.#ledger.applied(this.#by, entry, applied, this) : applied
  }
}
