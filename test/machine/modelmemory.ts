/**
 * What the naive model (model.ts) knows, and what it remembers of what is over: endings, outcomes of requests, marks.
 * Plain arrays; whatever is asked for is found by walking.
 */
import type { Acquire, Configuration, LossReason, Reply, RequestToken } from '@leasehold/protocol'
import { ERRORS, type ErrorCode } from '@leasehold/protocol'
import type { Entry, MachineLimits } from '@leasehold/server/machine'

export interface Grant {
  name: string
  holder: string
  principal: string
  token: number
  ttlMs: number
  endMs: number
  lockDelayMs: number
  meta: string | null
  renewals: number
  claimed: boolean
}
export interface Delay {
  grant: Grant
  untilMs: number
}
export interface Waiting {
  id: number
  ask: Acquire
  deadlineMs: number
  member: string
  lostMs: number | null
}
export interface Ended {
  token: number
  name: string
  reason: LossReason
  to: string | null
  atMs: number
}
export type Outcome =
  | { is: 'queued'; waiter: number }
  | { is: 'granted'; token: number }
  | { is: 'held'; holder: string; untilMs: number; meta: string | null }
  | { is: 'revoked'; token: number }
  | { is: 'nobody' }
  | { is: 'given up' }
  | { is: 'place lost'; deadlineMs: number }
export interface Remembered {
  principal: string
  scope: string
  key: number | string
  /** null: given up before it arrived. */
  parameters: string | null
  outcome: Outcome
  atMs: number
}
export interface Mark {
  principal: string
  scope: string
  lowest: number
  atMs: number
}

/** One start of a member's process, as it was admitted. */
export interface Start {
  member: string
  run: number
  nonce: string
  url: string
  peerUrl: string
  formatMax: number
}

export const no = (code: ErrorCode): Reply => ({ code: ERRORS[code].wire, fields: [] })
export const drop = <T>(list: T[], item: T) => void list.splice(list.indexOf(item), 1)

/** All that the model holds. */
export class ModelMemory {
  readonly limits: MachineLimits
  timeMs = 0
  horizonMs = 0
  term = 0
  format = 1
  holdAtMs = Number.NEGATIVE_INFINITY
  token = 0
  readonly quotas = new Map<string, { text: string; version: number }>()
  waiterIds = 0
  runs = 0
  /** The current start of each member that is known. */
  starts: Start[] = []
  /** The last counted batch of each run that was executed. */
  executed: { member: string; run: number; batch: number }[] = []
  configuration: Configuration | null = null
  audit = { first: 1, last: 0 }
  grants: Grant[] = []
  delays: Delay[] = []
  waiting: Waiting[] = []
  /** Ever since the beginning; what is forgotten is judged when it is asked for. */
  endings: Ended[] = []
  endingRowsGone = 0
  /** In the order of their outcomes; queued ones anywhere. */
  remembered: Remembered[] = []
  /** In the order of their raises. */
  marks: Mark[] = []
  entry!: Entry
  settled: { waiter: number; reply: Reply }[] = []
  revoked: { principal: string; name: string; token: number; reason: string }[] = []
  events: unknown[] = []

  constructor(limits: MachineLimits) {
    this.limits = limits
  }
  /** Endings are forgotten by age, and row by row of `endingsPerRow` beyond `endingsMax`. */
  endingRows(): Ended[][] {
    const { endingsPerRow, endingsMax } = this.limits
    const rows: Ended[][] = []
    for (let at = 0; at < this.endings.length; at += endingsPerRow)
      rows.push(this.endings.slice(at, at + endingsPerRow))
    this.endingRowsGone = Math.max(this.endingRowsGone, rows.length - endingsMax / endingsPerRow)
    return rows.slice(this.endingRowsGone)
  }

  endingOf(token: number): Ended | undefined {
    const found = this.endingRows()
      .flat()
      .find((e) => e.token === token)
    return found && this.timeMs - found.atMs <= this.limits.endingKeptMs ? found : undefined
  }

  outcomeOf(waiter: number, outcome: Outcome): void {
    const r = this.remembered.find((one) => one.outcome.is === 'queued' && one.outcome.waiter === waiter)
    if (r !== undefined) this.remember(r, outcome)
  }

  remember(r: Remembered | null, outcome: Outcome): void {
    if (r === null) return
    if (this.remembered.includes(r)) drop(this.remembered, r)
    r.outcome = outcome
    r.atMs = this.timeMs
    this.remembered.push(r)
  }

  find(principal: string, scope: string, key: number | string): Remembered | undefined {
    const r = this.remembered.find((one) => one.principal === principal && one.scope === scope && one.key === key)
    if (r === undefined || r.outcome.is === 'queued') return r
    return this.timeMs - r.atMs > this.limits.retentionMs ? undefined : r
  }

  full(principal: string): boolean {
    const count = [...this.remembered, ...this.marks].filter((one) => one.principal === principal).length
    return count >= this.limits.recordsPerPrincipalMax
  }

  markOf(principal: string, scope: string): Mark | undefined {
    return this.marks.find((m) => m.principal === principal && m.scope === scope)
  }
  lowest(principal: string, scope: string): number {
    const mark = this.markOf(principal, scope)
    return mark === undefined || this.timeMs - mark.atMs > this.limits.retentionMs ? 0 : mark.lowest
  }

  raise(principal: string, { scope, lowest }: RequestToken): void {
    if (lowest <= this.lowest(principal, scope)) return
    const before = this.markOf(principal, scope)
    if (before === undefined && this.full(principal)) return
    if (before !== undefined) drop(this.marks, before)
    this.marks.push({ principal, scope, lowest, atMs: this.timeMs })
    const below = this.remembered
      .filter((r) => r.principal === principal && r.scope === scope && typeof r.key === 'number' && r.key < lowest)
      .sort((a, b) => Number(a.key) - Number(b.key))
    for (const r of below) {
      drop(this.remembered, r)
      const { outcome } = r
      if (outcome.is !== 'queued') continue
      this.waiting = this.waiting.filter((w) => w.id !== outcome.waiter)
      this.settled.push({ waiter: outcome.waiter, reply: no('STALE') })
    }
  }
}
