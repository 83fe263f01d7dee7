/**
 * Grants of the naive model (model.ts): who has a name, who is next, how a grant ends, and what is told of it.
 */
import type { Acquire, AuditCause, AuditType, LossReason, QuotaSet, Reply } from '@leasehold/protocol'
import { ERRORS, OFFERED, OK, quotaFields } from '@leasehold/protocol'
import { type Delay, drop, type Grant, ModelMemory, no, type Waiting } from './modelmemory.js'

/** Knows how grants begin and end. */
export class ModelGrants extends ModelMemory {
  overAt(w: Waiting): number {
    return w.lostMs === null ? w.deadlineMs : Math.min(w.deadlineMs, w.lostMs + this.limits.lostWaiterKeptMs)
  }

  grantOf(name: string): Grant | undefined {
    return this.grants.find((g) => g.name === name)
  }
  delayOf(name: string): Delay | undefined {
    return this.delays.find((d) => d.grant.name === name)
  }
  queueOf(name: string): Waiting[] {
    return this.waiting
      .filter((w) => w.ask.name === name)
      .sort((a, b) => b.ask.priority - a.ask.priority || a.id - b.id)
  }

  /** What has ended is ended before anybody touches it. */
  touch(name: string): void {
    const grant = this.grantOf(name)
    if (grant !== undefined && grant.endMs <= this.horizonMs) this.endOfTime(grant)
    const delay = this.delayOf(name)
    if (delay !== undefined && delay.untilMs <= this.horizonMs) this.endDelay(delay)
  }

  endOfTime(g: Grant): void {
    this.end(g, 'expired', 'expired', g.claimed ? 'ttl' : 'unclaimed', g.principal)
  }

  end(g: Grant, type: AuditType, reason: LossReason, cause: AuditCause, principal: string): void {
    this.endings.push({ token: g.token, name: g.name, reason, to: null, atMs: this.timeMs })
    const endedMs = reason === 'expired' ? g.endMs : this.timeMs
    const unclean = g.claimed && g.lockDelayMs > 0 && (reason === 'expired' || reason === 'revoked')
    const untilMs = endedMs + g.lockDelayMs
    if (unclean && untilMs > this.horizonMs) {
      drop(this.grants, g)
      this.delays.push({ grant: g, untilMs })
      this.tell(type, g, reason, cause, principal, true)
      return
    }
    const next = this.nextFor(g.name)
    drop(this.grants, g)
    this.tell(type, g, reason, cause, principal, next === undefined)
    if (next !== undefined) this.offer(next, 'queue')
  }

  endDelay(d: Delay): void {
    const next = this.nextFor(d.grant.name)
    drop(this.delays, d)
    if (next !== undefined) this.offer(next, 'queue')
  }

  /** The first in the queue who still waits; those before him who do not any more are told so. */
  nextFor(name: string): Waiting | undefined {
    for (const w of this.queueOf(name)) {
      if (this.overAt(w) > this.timeMs) return w
      this.giveUpOn(w)
    }
    return undefined
  }

  offer(w: Waiting, cause: AuditCause): void {
    drop(this.waiting, w)
    const windowMs = Math.min(this.limits.claimWithinMs, w.ask.ttlMs)
    const g = this.newGrant(w.ask, this.timeMs + windowMs, false)
    this.tell('offered', g, null, cause, g.principal, false)
    this.outcomeOf(w.id, { is: 'granted', token: g.token })
    this.settled.push({ waiter: w.id, reply: { code: OFFERED, fields: [g.token, windowMs, g.ttlMs, false] } })
  }

  newGrant(ask: Acquire, endMs: number, claimed: boolean): Grant {
    const { name, holder, principal, ttlMs, lockDelayMs, meta } = ask
    const g = { name, holder, principal, token: ++this.token, ttlMs, endMs, lockDelayMs, meta, renewals: 0, claimed }
    this.grants.push(g)
    return g
  }

  /** A wait is over without an offer. */
  giveUpOn(w: Waiting): void {
    drop(this.waiting, w)
    if (this.overAt(w) < w.deadlineMs) {
      this.outcomeOf(w.id, { is: 'place lost', deadlineMs: w.deadlineMs })
      this.settled.push({ waiter: w.id, reply: no('OUTCOME_UNKNOWN') })
      return
    }
    const by = this.blockerOf(w.ask.name)!
    this.outcomeOf(w.id, { is: 'held', ...by })
    this.settled.push({ waiter: w.id, reply: this.held(by, false) })
  }

  blockerOf(name: string): { holder: string; untilMs: number; meta: string | null } | undefined {
    const g = this.grantOf(name)
    if (g !== undefined) return { holder: g.holder, untilMs: g.endMs, meta: g.meta }
    const d = this.delayOf(name)
    return d && { holder: d.grant.holder, untilMs: d.untilMs, meta: d.grant.meta }
  }

  tell(type: AuditType, g: Grant, reason: LossReason | null, cause: AuditCause, principal: string, vacant: boolean) {
    this.events.push({
      seq: ++this.audit.last,
      type,
      name: g.name,
      holder: g.holder,
      token: g.token,
      reason,
      cause,
      principal,
      wallMs: this.entry.wallMs,
      clusterMs: this.timeMs,
      member: this.entry.member,
      term: this.term,
      renewals: g.renewals,
      vacant,
    })
  }
  held(by: { holder: string; untilMs: number; meta: string | null }, replayed: boolean): Reply {
    const leftMs = Math.max(0, by.untilMs - this.timeMs)
    return { code: ERRORS.LEASE_HELD.wire, fields: [by.holder, leftMs, by.meta, replayed] }
  }

  /** Of a quota that nothing stands against: its version, and that it changed. What is drawn from it others judge. */
  quotaSet({ name, spec, principal }: QuotaSet): Reply {
    const text = JSON.stringify(quotaFields(spec))
    const before = this.quotas.get(name)
    if (before?.text === text) return { code: OK, fields: [before.version, false] }
    const version = ++this.token
    this.quotas.set(name, { text, version })
    const { wallMs, member } = this.entry
    const which = {
      seq: ++this.audit.last,
      type: 'quotaSet',
      name,
      holder: '',
      token: version,
      reason: null,
      cause: 'quota',
    }
    const at = { wallMs, clusterMs: this.timeMs, member, term: this.term, renewals: 0, vacant: false }
    this.events.push({ ...which, principal, ...at } as never)
    return { code: OK, fields: [version, false] }
  }
}
