/**
 * A naive model of the machine, written from the text of the design alone: plain arrays, no heaps, no indexes, no rows. Everything
 * is looked up by walking, and every due thing is found by sorting all of them. It shares no code with the machine, so that
 * the two can only agree where both are right (or the text was read wrongly twice).
 *
 * For tests of the machine, for simulations (the log order replayed against it), and for planted faults.
 */
import type {
  Acquire,
  AdmitRun,
  AuditEvent,
  CancelWait,
  Command,
  Configuration,
  LeaseView,
  LossReason,
  Reply,
  Revoke,
} from '@leasehold/protocol'
import { ERRORS, INTERNAL_OP, OFFERED, OK, OP, QUEUED } from '@leasehold/protocol'
import type { Applied, Entry } from '@leasehold/server/machine'
import { ModelGrants } from './modelgrants.js'
import { drop, type Grant, no, type Remembered, type Start } from './modelmemory.js'

/** Replies are compared without the sentences meant for people. */
export const withoutDetail = (reply: Reply): Reply =>
  reply.code >= 10 && typeof reply.fields[1] === 'number' && reply.fields.length === 2
    ? { code: reply.code, fields: [] }
    : reply

/** All of the machine: its time, its commands, its readers. */
export class Model extends ModelGrants {
  apply(entry: Entry): Applied {
    this.entry = entry
    this.settled = []
    this.revoked = []
    this.events = []
    this.moveTime(entry)
    for (let step = 0; step < this.limits.sweepPerEntryMax; step++) {
      const due = this.due()[0]
      if (due === undefined) break
      due()
    }
    const executed = this.counts(entry)
    const replies = executed ? entry.commands.map((command) => this.execute(command)) : []
    return {
      executed,
      replies,
      settled: this.settled as unknown as Applied['settled'],
      revoked: this.revoked as unknown as Applied['revoked'],
      drawn: [],
      events: this.events as AuditEvent[],
      moreDue: this.due().length > 0,
    }
  }

  // --- time

  moveTime(entry: Entry): void {
    const newTerm = entry.term > this.term
    this.term = entry.term
    this.timeMs = entry.timeMs
    if (newTerm && this.timeMs - this.holdAtMs >= this.limits.holdEveryMs) this.holdAtMs = this.timeMs
    if (this.timeMs - this.holdAtMs >= this.limits.holdMs) this.horizonMs = this.timeMs
  }

  /** Everything that is due, the most urgent first, as what is to be done about it. */
  due(): (() => void)[] {
    const byEnd = [
      ...this.grants.map((g) => ({ endMs: g.endMs, token: g.token, end: () => this.endOfTime(g) })),
      ...this.delays.map((d) => ({ endMs: d.untilMs, token: d.grant.token, end: () => this.endDelay(d) })),
    ]
      .filter((x) => x.endMs <= this.horizonMs)
      .sort((a, b) => a.endMs - b.endMs || a.token - b.token)
    const waits = this.waiting
      .filter((w) => this.overAt(w) <= this.timeMs)
      .sort((a, b) => this.overAt(a) - this.overAt(b) || a.id - b.id)
    const old = (atMs: number) => this.timeMs - atMs > this.limits.retentionMs
    const rows = this.endingRows()
    const oldest = rows.length > 1 ? rows[0]!.at(-1)! : undefined
    const rowDue = oldest !== undefined && this.timeMs - oldest.atMs > this.limits.endingKeptMs
    return [
      ...byEnd.map((x) => x.end),
      ...waits.map((w) => () => this.giveUpOn(w)),
      ...this.remembered
        .filter((r) => r.outcome.is !== 'queued' && old(r.atMs))
        .map((r) => () => drop(this.remembered, r)),
      ...this.marks.filter((m) => old(m.atMs)).map((m) => () => drop(this.marks, m)),
      ...(rowDue ? [() => void this.endingRowsGone++] : []),
    ]
  }
  // --- commands

  execute(command: Command): Reply {
    switch (command.op) {
      case OP.acquire:
        this.touch(command.name)
        return this.once(command, (r) => this.acquire(command, r))
      case OP.revoke:
        this.touch(command.name)
        return this.once(command, (r) => this.revoke(command, r))
      case OP.renew:
      case OP.release:
      case OP.transfer:
        return this.byToken(command)
      case OP.cancelWait:
        return this.cancel(command)
      case OP.quotaSet:
        return this.quotaSet(command)
      case INTERNAL_OP.admitRun:
        return this.admit(command)
      case INTERNAL_OP.configure:
        return this.configure(command.configuration)
      case INTERNAL_OP.waiterLost:
        for (const w of this.waiting)
          if (w.id === command.waiter && w.member === this.entry.member) w.lostMs ??= this.timeMs
        break
      case INTERNAL_OP.trimAudit:
        this.audit.first = Math.max(this.audit.first, Math.min(command.through, this.audit.last) + 1)
        break
      case INTERNAL_OP.raiseTokens:
        this.token = Math.max(this.token, command.floor - 1)
        break
    }
    return { code: OK, fields: [] }
  }

  admit({ op: _op, ...start }: AdmitRun): Reply {
    const before = this.startOf(start.member)
    if (before?.nonce === start.nonce) return { code: OK, fields: [before.run] }
    if (before === undefined && this.starts.length >= this.limits.membersMax) return no('LIMIT_REACHED')
    this.gone(start.member)
    this.starts.push({ ...start, run: ++this.runs })
    this.raiseFormat()
    return { code: OK, fields: [this.runs] }
  }

  configure(c: Configuration): Reply {
    if (c.voters.length === 0) return no('INVALID_ARGUMENT')
    this.configuration = c
    const all = [...c.voters, ...c.outgoing, ...c.learners]
    const removed = this.starts.filter(({ member }) => !all.some((peer) => peer.startsWith(`${member}@`)))
    for (const { member } of removed) this.gone(member)
    this.raiseFormat()
    return { code: OK, fields: [] }
  }

  /** To the newest format that all members were admitted with. */
  raiseFormat(): void {
    const c = this.configuration
    if (c === null) return
    const all = [...c.voters, ...c.outgoing, ...c.learners].map((peer) => peer.split('@')[0]!)
    while (all.every((member) => (this.startOf(member)?.formatMax ?? 1) > this.format)) this.format++
  }

  startOf(member: string): Start | undefined {
    return this.starts.find((one) => one.member === member)
  }

  /** The member's process is no more. */
  gone(member: string): void {
    for (const w of this.waiting) if (w.member === member) w.lostMs ??= this.timeMs
    this.starts = this.starts.filter((one) => one.member !== member)
  }

  /** Whether the entry is executed: an uncounted one, or a batch of the current run above all that were. */
  counts({ member, run, batch }: Entry): boolean {
    if (batch === 0) return true
    if (this.startOf(member)?.run !== run || batch <= this.lastBatch(run)) return false
    this.executed = this.executed.filter((one) => one.run !== run)
    this.executed.push({ member, run, batch })
    return true
  }

  lastBatch(run: number): number {
    return this.executed.find((one) => one.run === run)?.batch ?? 0
  }

  once(c: Acquire | Revoke, run: (r: Remembered | null) => Reply): Reply {
    if (c.request === null) return run(null)
    const { scope, key, lowest, knownMs } = c.request
    const { principal } = c
    this.raise(principal, c.request)
    const { request: _token, principal: _who, ...rest } = c
    const parameters = JSON.stringify({ ...rest, waitMs: 0 })
    const known = this.find(principal, scope, key)
    if (known !== undefined) {
      if (known.parameters !== null && known.parameters !== parameters) return no('IDEMPOTENCY_MISMATCH')
      return this.again(c.name, known) ?? run(known)
    }
    const answered = typeof key === 'number' && key < Math.max(lowest, this.lowest(principal, scope))
    if (answered || this.timeMs - knownMs > this.limits.retentionMs) return no('STALE')
    if (this.full(principal)) return no('LIMIT_REACHED')
    // one that is past its retention, and was not swept yet, makes way
    this.remembered = this.remembered.filter((r) => !(r.principal === principal && r.scope === scope && r.key === key))
    return run({ principal, scope, key, parameters, outcome: { is: 'nobody' }, atMs: 0 })
  }

  /** The answer to a retry; undefined where there is no outcome to answer with. */
  again(name: string, r: Remembered): Reply | undefined {
    if (r.outcome.is === 'queued') {
      const { waiter } = r.outcome
      const w = this.waiting.find((one) => one.id === waiter)!
      if (this.overAt(w) > this.timeMs) {
        w.lostMs = null
        w.member = this.entry.member
        return { code: QUEUED, fields: [w.id] }
      }
      this.giveUpOn(w)
    }
    const { outcome } = r
    if (outcome.is === 'granted') {
      const g = this.grantOf(name)
      if (g?.token !== outcome.token) return this.lost(name, outcome.token)
      const leftMs = Math.max(0, g.endMs - this.timeMs)
      if (!g.claimed) return { code: OFFERED, fields: [g.token, leftMs, g.ttlMs, true] }
      return { code: OK, fields: [g.token, g.ttlMs, leftMs, true, g.holder] }
    }
    if (outcome.is === 'held') return this.held(outcome, true)
    if (outcome.is === 'revoked') return { code: OK, fields: [outcome.token, true] }
    if (outcome.is === 'nobody') return no('LEASE_NOT_FOUND')
    return outcome.is === 'given up' ? no('STALE') : undefined
  }

  acquire(c: Acquire, r: Remembered | null): Reply {
    const blocked = this.blockerOf(c.name)
    if (blocked === undefined) {
      const g = this.newGrant(c, this.timeMs + c.ttlMs, true)
      this.tell('granted', g, null, 'acquire', c.principal, false)
      this.remember(r, { is: 'granted', token: g.token })
      return { code: OK, fields: [g.token, g.ttlMs, g.ttlMs, false, g.holder] }
    }
    const deadlineMs = r?.outcome.is === 'place lost' ? r.outcome.deadlineMs : this.timeMs + c.waitMs
    if (deadlineMs <= this.timeMs) {
      this.remember(r, { is: 'held', ...blocked })
      return this.held(blocked, false)
    }
    if (this.queueOf(c.name).length >= this.limits.waitersPerNameMax) return no('LIMIT_REACHED')
    const id = ++this.waiterIds
    this.waiting.push({ id, ask: c, deadlineMs, member: this.entry.member, lostMs: null })
    this.remember(r, { is: 'queued', waiter: id })
    return { code: QUEUED, fields: [id] }
  }

  revoke(c: Revoke, r: Remembered | null): Reply {
    const g = this.grantOf(c.name)
    if (g === undefined) {
      this.remember(r, { is: 'nobody' })
      return no('LEASE_NOT_FOUND')
    }
    this.revoked.push({ principal: g.principal, name: g.name, token: g.token, reason: 'revoked' })
    this.end(g, 'revoked', 'revoked', 'revoke', c.principal)
    this.remember(r, { is: 'revoked', token: g.token })
    return { code: OK, fields: [g.token, false] }
  }

  byToken(c: Extract<Command, { token: unknown }>): Reply {
    this.touch(c.name)
    const g = this.grantOf(c.name)
    if (g?.token !== c.token) {
      const ended = this.endingOf(c.token)
      const mine = ended?.name === c.name ? ended : undefined
      const released = c.op === OP.release && mine?.reason === 'released'
      const transferred = c.op === OP.transfer && mine?.reason === 'transferred' && mine.to === c.to
      return released || transferred ? { code: OK, fields: [true] } : this.lost(c.name, c.token)
    }
    if (c.op === OP.release) {
      this.end(g, 'released', 'released', 'release', c.principal)
      return { code: OK, fields: [false] }
    }
    if (c.op === OP.transfer) {
      const w = this.queueOf(c.name).find((one) => one.ask.holder === c.to && this.overAt(one) > this.timeMs)
      if (w === undefined) return no('NO_SUCH_WAITER')
      this.endings.push({ token: g.token, name: g.name, reason: 'transferred', to: c.to, atMs: this.timeMs })
      drop(this.grants, g)
      this.tell('transferred', g, 'transferred', 'transfer', c.principal, false)
      this.offer(w, 'transfer')
      return { code: OK, fields: [false] }
    }
    g.endMs = this.timeMs + g.ttlMs
    if (g.claimed) g.renewals++
    else this.tell('granted', g, null, 'claim', c.principal, false)
    g.claimed = true
    return { code: OK, fields: [g.token, g.ttlMs, g.ttlMs, false, g.holder] }
  }

  cancel(c: CancelWait): Reply {
    const r = this.find(c.principal, c.scope, c.key)
    if (r === undefined) {
      if (typeof c.key === 'number' && c.key < this.lowest(c.principal, c.scope)) return { code: OK, fields: [] }
      if (this.full(c.principal)) return no('LIMIT_REACHED')
      const { principal, scope, key } = c
      this.remembered = this.remembered.filter(
        (one) => !(one.principal === principal && one.scope === scope && one.key === key),
      )
      this.remember({ principal, scope, key, parameters: null, outcome: { is: 'nobody' }, atMs: 0 }, { is: 'given up' })
      return { code: OK, fields: [] }
    }
    if (r.outcome.is === 'queued') {
      const { waiter } = r.outcome
      this.touch(this.waiting.find((w) => w.id === waiter)!.ask.name)
    }
    const { outcome } = r
    if (outcome.is === 'queued') {
      this.waiting = this.waiting.filter((w) => w.id !== outcome.waiter)
      this.settled.push({ waiter: outcome.waiter, reply: no('STALE') })
      this.remember(r, { is: 'given up' })
    } else if (outcome.is === 'place lost') this.remember(r, { is: 'given up' })
    else if (outcome.is === 'granted') {
      const before = this.grants.find((g) => g.token === outcome.token)
      if (before !== undefined) this.touch(before.name)
      const g = this.grants.find((one) => one.token === outcome.token)
      if (g !== undefined) this.end(g, 'released', 'released', 'gave-up', c.principal)
    }
    return { code: OK, fields: [] }
  }
  lost(name: string, token: number): Reply {
    const ended = this.endingOf(token)
    let reason: LossReason = 'unknown'
    if (ended !== undefined) reason = ended.name === name ? ended.reason : 'unknown'
    else if (token <= this.token) {
      const newer = (this.grantOf(name) ?? this.delayOf(name)?.grant)?.token ?? 0
      const elsewhere = [...this.grants, ...this.delays.map((d) => d.grant)].some((g) => g.token === token)
      if (newer > token && !elsewhere) reason = 'superseded'
    }
    return { code: ERRORS.LEASE_LOST.wire, fields: [token, reason] }
  }

  // --- readers

  view(name: string): LeaseView | null {
    const g = this.grantOf(name)
    const d = this.delayOf(name)
    let seen: { grant: Grant; endMs: number; state: LeaseView[5] } | null = null
    if (g !== undefined && g.endMs > this.horizonMs) {
      seen = { grant: g, endMs: g.endMs, state: g.claimed ? 'held' : 'offered' }
    } else if (g?.claimed && g.endMs + g.lockDelayMs > this.horizonMs) {
      seen = { grant: g, endMs: g.endMs + g.lockDelayMs, state: 'delayed' }
    } else if (d !== undefined && d.untilMs > this.horizonMs) {
      seen = { grant: d.grant, endMs: d.untilMs, state: 'delayed' }
    }
    if (seen === null) return null
    const { grant } = seen
    const leftMs = Math.max(0, seen.endMs - this.timeMs)
    const waiters = this.queueOf(name).length
    return [
      name,
      grant.holder,
      grant.token,
      grant.ttlMs,
      leftMs,
      seen.state,
      waiters,
      grant.meta,
    ] as unknown as LeaseView
  }

  list(query: { prefix: string; after: string | null; limit: number }): { leases: LeaseView[]; next: string | null } {
    const names = [...this.grants.map((g) => g.name), ...this.delays.map((d) => d.grant.name)]
      .filter((name) => name.startsWith(query.prefix) && (query.after === null || name > query.after))
      .sort()
    const views = names.map((name) => this.view(name)).filter((view) => view !== null)
    const leases = views.slice(0, query.limit)
    return { leases, next: views.length > query.limit ? leases.at(-1)![0] : null }
  }

  members(): unknown[] {
    return [...this.starts]
      .sort((a, b) => (a.member < b.member ? -1 : 1))
      .map(({ member: id, run, nonce, url, peerUrl, formatMax }) => ({
        id,
        run,
        nonce,
        batch: this.lastBatch(run),
        url,
        peerUrl,
        formatMax,
      }))
  }

  get timed(): boolean {
    return this.grants.length + this.delays.length > 0
  }
}
