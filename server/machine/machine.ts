/**
 * The replicated state machine: `apply(entry)` -> replies, answers to those who waited, events. Pure and synchronous:
 * it never reads a clock, draws a random number, awaits or imports I/O. What it computes is a function of its state
 * and the entry alone, so every member, and every replay of the log, arrives at the same state.
 *
 * Its tables are all of its state. Rows are loaded into them before the first apply or read, or not at all: what is
 * derived from rows (queues, what is due, the order of names) is built at the first use, or by `loaded()`.
 */
import {
  type AuditSeq,
  auditSeq,
  type ClusterMs,
  type Command,
  type Configuration,
  type FencingToken,
  FORMATS,
  INTERNAL_OP,
  type LeaseView,
  type LogIndex,
  OP,
  type QuotaView,
  type Reply,
  type Term,
} from '@leasehold/protocol'
import { acquire } from './commands/acquire.js'
import { allocate } from './commands/allocate.js'
import { cancelWait } from './commands/cancel.js'
import { admitRun, configure, raiseTokens, trimAudit, waiterLost } from './commands/internal.js'
import { quotaDelete, quotaSet } from './commands/quotas.js'
import { revoke } from './commands/revoke.js'
import { release, renew, transfer } from './commands/tokens.js'
import type { Applied, Entry, StoredTable, TabView } from './entry.js'
import { assertMachineLimits, MACHINE_LIMITS, type MachineLimits } from './limits.js'
import type { MemberView } from './members.js'
import { DONE } from './replies.js'
import { State } from './state.js'
import { sweep, sweepDue } from './sweep.js'
import { listOf, quotasOf, viewOf } from './view.js'

export class Machine {
  /** Not to be used before loaded(). */
  readonly #rows: State
  #derived = false
  /** Everything that storage writes down and loads. */
  readonly tables: readonly StoredTable[]

  /**
   * Limits other than the usual are for tests: they are part of the state's meaning, the same on every member for
   * ever. So is another newest format.
   */
  constructor(limits: Partial<MachineLimits> = {}, formatMax = FORMATS.max) {
    const all = { ...MACHINE_LIMITS, ...limits }
    assertMachineLimits(all)
    const state = new State(all, formatMax)
    this.#rows = state
    this.tables = [
      state.meta,
      state.leases.table,
      state.leases.renewals.table,
      state.waiters.table,
      state.endings.table,
      state.scopes,
      state.records,
      state.members.table,
      state.configuration,
      state.quotas.table,
      state.quotas.tabs,
      state.quotas.drawers,
    ]
  }

  /** Builds what is derived from loaded rows. Safe to call twice; the first use of the machine calls it, too. */
  loaded(): void {
    if (this.#derived) return
    this.#derived = true
    this.#rows.loaded()
  }

  get #state(): State {
    this.loaded()
    return this.#rows
  }

  /**
   * Throws for an entry that cannot follow the last one, for a command that this version does not know, and where the cluster goes on to a
   * format that it does not know.
   */
  apply(entry: Entry): Applied {
    const state = this.#state
    state.time.advance(entry)
    state.member = entry.member
    state.settled = []
    state.revoked = []
    state.drawn = []
    state.audit.begin(entry)
    sweep(state)
    const executed = state.members.takes(entry)
    const replies: Reply[] = []
    if (executed) for (const command of entry.commands) replies.push(execute(state, command))
    return {
      executed,
      replies,
      settled: state.settled,
      revoked: state.revoked,
      drawn: state.drawn,
      events: state.audit.end(),
      moreDue: sweepDue(state),
    }
  }

  get timeMs(): ClusterMs {
    return this.#state.time.nowMs
  }
  get horizonMs(): ClusterMs {
    return this.#state.time.horizonMs
  }

  /** The format in use (format.ts): nothing newer may be written. */
  get format(): number {
    return this.#state.meta.row.format
  }

  /** What was applied last, and the last fencing token that was granted: for whoever goes on from a salvaged state. */
  get position(): { readonly index: LogIndex; readonly term: Term; readonly token: FencingToken } {
    const { index, term, token } = this.#state.meta.row
    return { index: index as LogIndex, term: term as Term, token: token as FencingToken }
  }

  /**
   * Whether beats are needed: somebody may wait for time to move on (the end of a lease, an offer, a delay, a wait, a tab of tokens; a bucket that fills).
   * Not so for what is only remembered: it is judged by the time of whoever asks, and swept with the next entry,
   * whenever that comes.
   */
  get timed(): boolean {
    return this.#state.leases.size > 0 || this.#state.quotas.timed
  }

  /** Who votes, who learns, where each is reached. Null before any was configured. */
  get configuration(): Configuration | null {
    return this.#state.configuration.current
  }
  /** Every member whose process was ever admitted and that was not removed, in the order of their ids. */
  get members(): readonly MemberView[] {
    return this.#state.members.views()
  }

  /** Null for a free name. */
  lease(name: string): LeaseView | null {
    const lease = this.#state.leases.get(name)
    return lease === undefined ? null : viewOf(this.#state, lease)
  }

  /** `next` is the last name of the page, or null where the listing ends. */
  list(query: { prefix: string; after: string | null; limit: number }): {
    leases: readonly LeaseView[]
    next: string | null
  } {
    return listOf(this.#state, query)
  }

  /** Null where there is none. */
  quota(name: string): QuotaView | null {
    const quota = this.#state.quotas.get(name)
    return quota === null ? null : this.#state.quotas.view(quota)
  }

  /** `next` is the last name of the page, or null where the listing ends. */
  listQuotas(query: { prefix: string; after: string | null; limit: number }): {
    quotas: readonly QuotaView[]
    next: string | null
  } {
    return quotasOf(this.#state, query)
  }

  /** What this member's process has drawn, of tabs that have not ended. */
  tabsOf(member: string): readonly TabView[] {
    return this.#state.quotas.tabsOf(member)
  }

  /** The last draw of this member's process that was executed; 0 before any. */
  lastDrawOf(member: string): number {
    return this.#state.quotas.lastDrawOf(member)
  }

  /** Held and offered ones, those included that have ended and wait for the sweep. */
  get leaseCount(): number {
    return this.#state.leases.liveCount
  }
  get waiterCount(): number {
    return this.#state.waiters.size
  }
  /** The seqs that are kept: none while first > last. */
  get audit(): { readonly first: AuditSeq; readonly last: AuditSeq } {
    const meta = this.#state.meta.row
    return { first: auditSeq(meta.auditFirst), last: auditSeq(meta.auditLast) }
  }
}

function execute(state: State, command: Command): Reply {
  switch (command.op) {
    case OP.acquire:
      return acquire(state, command)
    case OP.renew:
      return renew(state, command)
    case OP.release:
      return release(state, command)
    case OP.transfer:
      return transfer(state, command)
    case OP.revoke:
      return revoke(state, command)
    case OP.cancelWait:
      return cancelWait(state, command)
    case OP.quotaSet:
      return quotaSet(state, command)
    case OP.quotaDelete:
      return quotaDelete(state, command)
    case INTERNAL_OP.beat:
    case INTERNAL_OP.sweep:
      return DONE // the entry itself has moved time on and swept
    case INTERNAL_OP.admitRun:
      return admitRun(state, command)
    case INTERNAL_OP.waiterLost:
      return waiterLost(state, command)
    case INTERNAL_OP.trimAudit:
      return trimAudit(state, command)
    case INTERNAL_OP.raiseTokens:
      return raiseTokens(state, command)
    case INTERNAL_OP.configure:
      return configure(state, command)
    case INTERNAL_OP.allocate:
      return allocate(state, command)
    default:
      throw new Error(`a command that this version does not know: ${JSON.stringify(command)}`)
  }
}
