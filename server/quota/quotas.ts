/**
 * The quotas of one member. It decides from tokens that it has drawn, passes tokens on to clients that decide by themselves, and draws for
 * all its quotas together, one draw at a time. A token is spent or passed on only after its draw was committed, and within the tab's time
 * as this member's clock, less drift, has it. Must never say that a token was spent or returned which somebody may still spend.
 */
import {
  type DrawRequest,
  LIMITS,
  ProtocolError,
  QUOTA_FORMAT,
  TAKE,
  type TakeItem,
  type TakeRequest,
  type TopQuery,
  type Want,
} from '@leasehold/protocol'
import type { Clock, Random, Telemetry } from '../ports/index.js'
import type { Drawn, Recipient, Replica } from '../replica/index.js'
import { Account } from './account.js'
import { Answers } from './answers.js'
import { type Ask, Asks, type Need, newAsk, OWED } from './asks.js'
import { claimsOf } from './claims.js'
import type { QuotaDesk, Top } from './desk.js'
import { Keys } from './keys.js'
import { QUOTA_LIMITS as L } from './limits.js'
import { instead } from './namedkeys.js'
import type { Purse } from './purse.js'
import { Rules } from './rules.js'
import { Serving } from './serving.js'

export interface QuotasOptions {
  readonly replica: Replica
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: Telemetry
}

const GOING = { code: 'SHUTTING_DOWN', message: 'this member is shutting down; nothing was taken' } as const
const CROWDED = 'too many requests wait for tokens; nothing was taken'
const LATE = 'the deadline passed while the request waited for tokens; nothing was taken'

export class Quotas implements QuotaDesk {
  readonly #replica: Replica
  readonly #clock: Clock
  readonly #telemetry: Telemetry
  readonly #accounts = new Map<string, Account>()
  readonly #asks = new Asks()
  readonly #answers: Answers
  readonly #rules: Rules
  readonly #serving: Serving
  readonly #keys: Keys
  readonly #stops: (() => void)[]
  /** The draw under way, and when it was asked for; 0: none. */
  #seq = 0
  #drawnMs = 0
  #disarm: (() => void) | null = null
  #ticking: (() => void) | null = null
  #draining = false
  #closed = false
  #idle: (() => void) | null = null

  constructor({ replica, clock, random, telemetry }: QuotasOptions) {
    this.#replica = replica
    this.#clock = clock
    this.#answers = new Answers(random)
    this.#rules = new Rules(replica)
    this.#serving = new Serving(this.#answers)
    this.#telemetry = telemetry
    this.#keys = new Keys({ replica, clock, telemetry, asks: this.#asks, shared: (seq) => this.#shared(seq) })
    this.#stops = [replica.onDrawn((drawn) => this.#drawn(drawn)), () => this.#keys.close()]
  }

  // As the front door sees it

  take({ mode, items }: TakeRequest, to: Recipient, id: number, attempt: number, deadlineMs: number): void {
    const nowMs = this.#clock.monotonicMs()
    const fault = this.#draining ? GOING : this.#rules.fault(items)
    if (fault !== null) {
      this.#answers.refuse(to, id, attempt, fault.code, fault.message)
      return
    }
    if (mode === TAKE.peek) {
      this.#peek(items[0]!, to, id, attempt, nowMs)
      return
    }
    const alone = items.length === 1 ? instead(this.#replica, items[0]!) : null
    if (alone !== null && alone.key !== null) {
      const view = this.#replica.getQuota(alone.quota)!
      const left = this.#keys.light(view, alone, nowMs)
      if (left !== null) {
        this.#answers.admitted(to, id, attempt, view, alone.cost, left, 'key')
        return
      }
    }
    const needs = this.#needsOf(items, nowMs)
    if (needs === null) {
      this.#answers.refuse(to, id, attempt, 'OVERLOADED', CROWDED)
      return
    }
    const ask = newAsk(needs, to, id, attempt, deadlineMs, nowMs, mode === TAKE.upTo, null)
    const first = this.#serving.mayServe(ask)
    if (first) this.#keys.fetch(ask, nowMs)
    if (first && this.#serving.serve(ask, nowMs)) this.#watchLow(needs, nowMs)
    else this.#wait(ask, nowMs)
  }

  #peek(item: TakeItem, to: Recipient, id: number, attempt: number, nowMs: number): void {
    const { quota, key } = instead(this.#replica, item)
    const view = this.#replica.getQuota(quota)!
    if (key !== null) this.#answers.admitted(to, id, attempt, view, 0, this.#keys.peek(view, key, nowMs), 'key')
    else {
      const left = this.#accountOf(quota, nowMs).freeAt(nowMs) + view.available
      this.#answers.admitted(to, id, attempt, view, 0, left, 'exact')
    }
  }

  draw(request: DrawRequest, session: object, to: Recipient, id: number, attempt: number, deadlineMs: number): void {
    const nowMs = this.#clock.monotonicMs()
    const { quota, wanted, tab: number, spent, returned } = request
    const fault =
      this.#draining && wanted > 0 ? GOING : this.#rules.fault([{ quota, cost: Math.max(1, wanted), key: null }])
    if (fault !== null) {
      this.#answers.refuse(to, id, attempt, fault.code, fault.message)
      return
    }
    const account = this.#accountOf(quota, nowMs)
    account.freeAt(nowMs)
    const tab = this.#serving.tabs.find(session, account)
    if (tab !== null && tab.number === number) account.reported(tab, spent, returned)
    this.#tick()
    const ask = newAsk([{ account, tokens: wanted }], to, id, attempt, deadlineMs, nowMs, true, session)
    if (wanted === 0) {
      this.#serving.answerClient(ask, 0, nowMs)
      return
    }
    account.asks(wanted, nowMs)
    if (this.#serving.mayServe(ask) && account.free >= wanted && account.endMs - nowMs >= L.passOnMsMin)
      this.#serving.serve(ask, nowMs)
    else this.#wait(ask, nowMs)
  }

  detach(to: Recipient): void {
    this.#asks.settle((ask) => ask.to === to)
    this.#serving.tabs.forget(to)
    this.#answers.forget(to)
  }

  top({ name, limit }: TopQuery): Top {
    const view = this.#replica.getQuota(name)
    if (view === null) throw new ProtocolError('QUOTA_NOT_FOUND', `there is no quota ${name}`)
    if (!view.spec.perKey) throw new ProtocolError('INVALID_ARGUMENT', `${name} has no keys`)
    return this.#keys.top(name, limit, this.#clock.monotonicMs())
  }

  async close(untilMs: number): Promise<void> {
    this.#draining = true
    const nowMs = this.#clock.monotonicMs()
    this.#asks.settle((ask) => {
      this.#answers.refuse(ask.to, ask.id, ask.attempt, GOING.code, GOING.message)
      return true
    })
    this.#answers.flush()
    for (const account of this.#accounts.values()) if (account.freeAt(nowMs) > 0) account.giveBack()
    const owes = () => this.#seq !== 0 || [...this.#accounts.values()].some((account) => account.unreported)
    if (!this.#closed && owes() && this.#replica.leaderPeer !== null) {
      let disarm = () => {}
      const late = new Promise<void>((resolve) => {
        disarm = this.#clock.after(Math.max(0, untilMs - nowMs), resolve)
      })
      const done = new Promise<void>((resolve) => {
        this.#idle = () => {
          if (!owes()) resolve()
        }
      })
      this.#send(nowMs)
      await Promise.race([done, late])
      disarm()
    }
    this.#closed = true
    this.#disarm?.()
    this.#ticking?.()
    for (const stop of this.#stops) stop()
  }

  /** Null: too many keys are asked for. */
  #needsOf(items: readonly TakeItem[], nowMs: number): readonly Need[] | null {
    const sums = new Map<Purse, number>()
    for (const item of items) {
      const { quota, key, cost } = instead(this.#replica, item)
      const purse = key === null ? this.#accountOf(quota, nowMs) : this.#keys.account(quota, key, nowMs)
      if (purse === null) return null
      if (key !== null && items.length > 1) this.#keys.count(item, nowMs)
      if (purse instanceof Account) purse.asks(cost, nowMs)
      sums.set(purse, (sums.get(purse) ?? 0) + cost)
    }
    return [...sums].map(([account, tokens]) => ({ account, tokens }))
  }

  #accountOf(name: string, nowMs: number): Account {
    const view = this.#replica.getQuota(name)!
    const known = this.#accounts.get(name)
    if (known !== undefined) {
      if (known.view.version !== view.version) known.see(view)
      return known
    }
    const account = new Account(view, nowMs)
    this.#accounts.set(name, account)
    this.#tick()
    return account
  }

  #wait(ask: Ask, nowMs: number): void {
    if (this.#deniedFor(ask, nowMs)) return
    if ((ask.owed & OWED.draw) !== 0 && this.#cannotSay(nowMs)) this.#serving.withoutLeader(ask)
    else if (this.#asks.count >= L.waitingMax) this.#answers.refuse(ask.to, ask.id, ask.attempt, 'OVERLOADED', CROWDED)
    else {
      this.#asks.add(ask)
      if ((ask.owed & OWED.draw) !== 0) this.#soon()
      else this.#tick()
      if ((ask.owed & OWED.keys) !== 0) this.#keys.soon()
    }
  }

  /** It is known that there is nothing before a moment: no draw is needed for that. */
  #deniedFor(ask: Ask, nowMs: number): boolean {
    let untilMs = 0
    for (const { account, tokens } of ask.needs) {
      if (account.free < tokens) untilMs = Math.max(untilMs, account.exhaustedUntilMs)
    }
    if (untilMs <= nowMs) return false
    this.#serving.deny(ask, untilMs - nowMs, nowMs)
    return true
  }

  /** Nobody leads, or nobody answers. */
  #cannotSay(nowMs: number): boolean {
    if (this.#seq !== 0) return nowMs - this.#drawnMs >= L.unavailableMs
    return this.#replica.leaderPeer === null && !this.#replica.ready
  }

  // The cycle

  /** What was spent left little: more is drawn before it runs out. */
  #watchLow(needs: readonly Need[], nowMs: number): void {
    for (const { account } of needs) {
      if (!(account instanceof Account)) continue
      if (account.free < account.lowTokens && nowMs - account.drawnMs >= account.cycleMs) this.#soon()
    }
  }

  #soon(): void {
    this.#tick()
    if (this.#seq === 0) this.#disarm ??= this.#clock.after(L.drawGatherMs, this.#due)
  }

  readonly #due = (): void => {
    this.#disarm = null
    this.#send(this.#clock.monotonicMs())
  }

  /** Asks for all that is waited for and wanted in advance, and says what became of what was drawn. */
  #send(nowMs: number): void {
    const { run, drawing, format } = this.#replica
    if (this.#seq !== 0 || this.#closed || drawing || run === null || format < QUOTA_FORMAT) return
    const { configuration } = this.#replica
    const members = Math.max(1, configuration?.voters.length ?? 1)
    const claims = claimsOf(this.#asks.all, this.#draining ? [] : this.#accounts.values(), members, nowMs)
    const wants: Want[] = []
    for (const [account, list] of claims) {
      if (wants.length >= LIMITS.drawQuotasMax) break
      wants.push({ quota: account.name, claims: list })
    }
    const reports = []
    for (const account of this.#accounts.values()) {
      account.freeAt(nowMs)
      if (reports.length >= LIMITS.drawQuotasMax) break
      const report = account.report()
      if (report !== null) reports.push(report)
      if (report !== null || claims.has(account)) account.drawnMs = nowMs
    }
    if (wants.length === 0 && reports.length === 0) return
    // Validity counts from here, whenever and however often it is sent.
    this.#drawnMs = nowMs
    this.#seq = this.#replica.draw(reports, wants)
    for (const ask of this.#asks.all) {
      if (ask.seq === 0 && ask.needs.some(({ account }) => claims.has(account as Account))) ask.seq = this.#seq
    }
  }

  #drawn(drawn: Drawn | null): void {
    const nowMs = this.#clock.monotonicMs()
    this.#answers.outside = true
    if (drawn === null) this.#missed(nowMs)
    else if (drawn.seq === this.#seq) this.#outcome(drawn, nowMs)
    this.#answers.outside = false
    this.#answers.flush()
    this.#idle?.()
    if (this.#asks.count > 0 || this.#owed(nowMs)) this.#soon()
  }

  #outcome({ outcomes }: Drawn, nowMs: number): void {
    const seq = this.#seq
    this.#seq = 0
    const shares = new Map<Account, number>()
    for (const outcome of outcomes) {
      const account = this.#accounts.get(outcome.quota)
      if (account === undefined) continue
      const endMs = this.#drawnMs + Math.floor(outcome.validMs * (1 - LIMITS.driftMin)) - 2
      account.took(outcome, endMs, nowMs)
      // Not before the next draw is due, either: what flows in meanwhile is drawn with it.
      const { retryAfterMs } = outcome
      account.exhaustedUntilMs =
        retryAfterMs > 0 ? Math.max(nowMs + retryAfterMs, account.drawnMs + account.cycleMs) : 0
      shares.set(account, account.freeAt(nowMs))
    }
    const asked = this.#asks.all.filter((ask) => ask.seq === seq)
    for (const ask of asked) ask.owed &= ~OWED.draw
    this.#serving.shareOut(this.#asks, asked, nowMs)
  }

  /** What was asked for under keys is answered. */
  #shared(keySeq: number): void {
    const nowMs = this.#clock.monotonicMs()
    const asked = this.#asks.all.filter((ask) => ask.keySeq === keySeq)
    for (const ask of asked) ask.owed &= ~OWED.keys
    this.#answers.outside = true
    this.#serving.shareOut(this.#asks, asked, nowMs)
    this.#answers.outside = false
    this.#answers.flush()
  }

  /** A snapshot took the state's place: what was drawn meanwhile cannot be told from what was spent. It is let go, and ends by itself. */
  #missed(nowMs: number): void {
    if (this.#seq === 0 || this.#replica.drawing) return
    const seq = this.#seq
    this.#seq = 0
    for (const ask of this.#asks.all) if (ask.seq === seq) ask.seq = 0
    for (const account of this.#accounts.values()) account.freeAt(nowMs)
  }

  #tick(): void {
    if (this.#ticking !== null || this.#closed) return
    this.#ticking = this.#clock.every(L.tickMs, () => this.#look())
  }

  /** Reports what is due, lets go of what is idle, and answers those who waited for too long. */
  #look(): void {
    const nowMs = this.#clock.monotonicMs()
    this.#answers.outside = true
    const silent = this.#cannotSay(nowMs)
    this.#asks.settle((ask) => {
      if (nowMs >= ask.deadlineMs) this.#answers.refuse(ask.to, ask.id, ask.attempt, 'OVERLOADED', LATE)
      else if (silent && (ask.owed & OWED.draw) !== 0) this.#serving.withoutLeader(ask)
      else if ((ask.owed & OWED.keys) !== 0 && nowMs - ask.sinceMs >= L.unavailableMs) this.#serving.withoutLeader(ask)
      else return false
      return true
    })
    this.#answers.outside = false
    this.#answers.flush()
    this.#keys.look(nowMs)
    let active = this.#seq !== 0 || this.#asks.count > 0
    for (const account of this.#accounts.values()) {
      account.measure(nowMs)
      if (nowMs - account.askedMs >= L.idleMs && account.freeAt(nowMs) > 0 && account.waiting === 0) account.giveBack()
      if (account.isActive(nowMs)) active = true
      else this.#accounts.delete(account.name)
    }
    this.#telemetry.gauge('quota_admitted_shadow', this.#serving.shadowed)
    this.#telemetry.gauge('quota_admitted_unavailable', this.#serving.unavailable)
    if (this.#owed(nowMs)) this.#send(nowMs)
    if (active) return
    this.#ticking?.()
    this.#ticking = null
  }

  /** A draw is due, also where nobody waits. */
  #owed(nowMs: number): boolean {
    for (const account of this.#accounts.values()) {
      if (nowMs - account.drawnMs < account.cycleMs) continue
      if (account.unreported || (account.free < account.lowTokens && account.exhaustedUntilMs <= nowMs)) return true
    }
    return false
  }
}

export function createQuotas(options: QuotasOptions): QuotaDesk {
  return new Quotas(options)
}
