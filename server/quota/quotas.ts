/**
 * The quotas of one member. It decides from tokens that it has drawn, passes tokens on to clients that decide by themselves, and draws for
 * all its quotas together, one draw at a time. A token is spent or passed on only after its draw was committed, and within the tab's time
 * as this member's clock, less drift, has it. Must never say that a token was spent or returned which somebody may still spend.
 */
import {
  burstOf,
  type DrawRequest,
  LIMITS,
  OK,
  ProtocolError,
  QUOTA_FORMAT,
  share,
  TAKE,
  type TakeItem,
  type TakenHow,
  type TakeRequest,
  type TopQuery,
  type Want,
} from '@leasehold/protocol'
import type { Drawn } from '../machine/index.js'
import type { Clock, Random, Telemetry } from '../ports/index.js'
import type { Recipient, Replica } from '../replica/index.js'
import { Account } from './account.js'
import { Answers } from './answers.js'
import { type Ask, Asks, type Need } from './asks.js'
import { claimsOf } from './claims.js'
import { ClientTabs } from './clienttabs.js'
import type { QuotaDesk, Top } from './desk.js'
import type { KeyedAdmission } from './keyedadmission.js'
import { QUOTA_LIMITS as L } from './limits.js'
import { Rules } from './rules.js'

export interface QuotasOptions {
  readonly replica: Replica
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: Telemetry
  readonly keyed: KeyedAdmission
}

const GOING = { code: 'SHUTTING_DOWN', message: 'this member is shutting down; nothing was taken' } as const
const UNAVAILABLE = 'nobody can say now whether there are tokens; nothing was taken'
const CROWDED = 'too many requests wait for tokens; nothing was taken'
const LATE = 'the deadline passed while the request waited for tokens; nothing was taken'

export class Quotas implements QuotaDesk {
  readonly #replica: Replica
  readonly #clock: Clock
  readonly #telemetry: Telemetry
  readonly #keyed: KeyedAdmission
  readonly #accounts = new Map<string, Account>()
  readonly #tabs = new ClientTabs()
  readonly #asks = new Asks()
  readonly #answers: Answers
  readonly #rules: Rules
  readonly #stops: (() => void)[]
  /** The draw under way, and when it was asked for; 0: none. */
  #seq = 0
  #drawnMs = 0
  #disarm: (() => void) | null = null
  #ticking: (() => void) | null = null
  #draining = false
  #closed = false
  #idle: (() => void) | null = null
  /** Admitted although there were no tokens, by right of their quota. */
  #shadowed = 0
  #unavailable = 0

  constructor({ replica, clock, random, telemetry, keyed }: QuotasOptions) {
    this.#replica = replica
    this.#clock = clock
    this.#answers = new Answers(random)
    this.#rules = new Rules(replica)
    this.#telemetry = telemetry
    this.#keyed = keyed
    this.#stops = [replica.onDrawn((drawn) => this.#drawn(drawn))]
  }

  // As the front door sees it

  take({ mode, items }: TakeRequest, to: Recipient, id: number, attempt: number, deadlineMs: number): void {
    const nowMs = this.#clock.monotonicMs()
    const fault = this.#draining ? GOING : this.#rules.fault(items)
    if (fault !== null) {
      this.#answers.refuse(to, id, attempt, fault.code, fault.message)
      return
    }
    const needs = this.#needsOf(items, nowMs)
    if (mode === TAKE.peek) {
      this.#peek(items[0]!, needs[0], to, id, attempt, nowMs)
      return
    }
    const keys = items.filter((item) => this.#rules.named(item) === null)
    if (keys.length > 0 && !this.#admitKeys(keys, needs, to, id, attempt, nowMs)) return
    if (needs.length === 0) return
    for (const { account, tokens } of needs) account.asks(tokens, nowMs)
    const ask: Ask = {
      ...{ needs, to, id, attempt, deadlineMs, sinceMs: nowMs, upTo: mode === TAKE.upTo, session: null, seq: 0 },
    }
    if (this.#mayServe(ask) && this.#serve(ask, nowMs)) this.#watchLow(needs, nowMs)
    else this.#wait(ask, nowMs)
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
    const tab = this.#tabs.find(session, account)
    if (tab !== null && tab.number === number) account.reported(tab, spent, returned)
    this.#tick(nowMs)
    const ask: Ask = {
      needs: [{ account, tokens: wanted }],
      ...{ to, id, attempt, deadlineMs, sinceMs: nowMs, upTo: true, session, seq: 0 },
    }
    if (wanted === 0) {
      this.#answerClient(ask, 0, nowMs)
      return
    }
    account.asks(wanted, nowMs)
    if (this.#mayServe(ask) && account.free >= wanted && account.endMs - nowMs >= L.passOnMsMin) this.#serve(ask, nowMs)
    else this.#wait(ask, nowMs)
  }

  detach(to: Recipient): void {
    this.#asks.settle((ask) => ask.to === to)
    this.#tabs.forget(to)
    this.#answers.forget(to)
  }

  top({ name, limit }: TopQuery): Top {
    const view = this.#replica.getQuota(name)
    if (view === null) throw new ProtocolError('QUOTA_NOT_FOUND', `there is no quota ${name}`)
    if (!view.spec.perKey) throw new ProtocolError('INVALID_ARGUMENT', `${name} has no keys`)
    return this.#keyed.top(view, limit)
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
    this.#keyed.close()
  }

  // Judging

  #needsOf(items: readonly TakeItem[], nowMs: number): readonly Need[] {
    if (items.length === 1) {
      const name = this.#rules.named(items[0]!)
      return name === null ? [] : [{ account: this.#accountOf(name, nowMs), tokens: items[0]!.cost }]
    }
    const sums = new Map<string, number>()
    for (const item of items) {
      const name = this.#rules.named(item)
      if (name !== null) sums.set(name, (sums.get(name) ?? 0) + item.cost)
    }
    return [...sums].map(([name, tokens]) => ({ account: this.#accountOf(name, nowMs), tokens }))
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
    this.#tick(nowMs)
    return account
  }

  /** Keys are decided at once; where exact quotas are asked for as well, these come first. False: it is answered. */
  #admitKeys(
    keys: readonly TakeItem[],
    needs: readonly Need[],
    to: Recipient,
    id: number,
    attempt: number,
    nowMs: number,
  ): boolean {
    for (const { account, tokens } of needs) {
      if (account.freeAt(nowMs) >= tokens) continue
      account.asks(tokens, nowMs)
      this.#soon(nowMs)
      if (account.view.spec.shadow) continue
      this.#answers.exceed(to, id, attempt, account.view, Math.max(1, account.exhaustedUntilMs - nowMs), account.free)
      return false
    }
    let how: TakenHow = 'key'
    let [remaining, resetMs, limit] = [Number.MAX_SAFE_INTEGER, 0, Number.MAX_SAFE_INTEGER]
    for (const { quota, key, cost } of keys) {
      const view = this.#replica.getQuota(quota)!
      const decided = this.#keyed.admit(view, key!, cost)
      if (!decided.admitted && !view.spec.shadow) {
        this.#answers.exceed(to, id, attempt, view, decided.retryAfterMs, decided.remaining)
        return false
      }
      if (!decided.admitted) how = this.#shadow()
      remaining = Math.min(remaining, decided.remaining)
      resetMs = Math.max(resetMs, decided.resetMs)
      limit = Math.min(limit, burstOf(view.spec))
    }
    if (needs.length > 0) return true
    let taken = 0
    for (const { cost } of keys) taken += cost
    this.#answers.reply(to, id, attempt, OK, [taken, remaining, limit, resetMs, how])
    return false
  }

  #peek(item: TakeItem, need: Need | undefined, to: Recipient, id: number, attempt: number, nowMs: number): void {
    if (need === undefined) {
      const view = this.#replica.getQuota(item.quota)!
      const limit = burstOf(view.spec)
      this.#answers.reply(to, id, attempt, OK, [0, limit, limit, 0, 'key'])
      return
    }
    const { account } = need
    const view = this.#replica.getQuota(account.name)!
    this.#answers.admitted(to, id, attempt, account, 0, account.freeAt(nowMs) + view.available, 'exact')
  }

  // Serving

  /** Nobody waits in front of it. */
  #mayServe({ needs }: Ask): boolean {
    for (const { account } of needs) if (account.waiting > 0) return false
    return true
  }

  /** From what is here; false where that is not enough. */
  #serve(ask: Ask, nowMs: number, most = Number.MAX_SAFE_INTEGER): boolean {
    const { needs, upTo, session } = ask
    for (const { account, tokens } of needs) {
      const free = Math.min(most, account.freeAt(nowMs))
      if (upTo ? free === 0 : free < tokens) return false
    }
    const [{ account, tokens: wanted }] = needs as readonly [Need, ...Need[]]
    const tokens = upTo ? Math.min(wanted, account.free, most) : wanted
    if (session !== null) {
      this.#answerClient(ask, tokens, nowMs)
      return true
    }
    if (upTo) account.spend(tokens)
    else for (const need of needs) need.account.spend(need.tokens)
    this.#answers.admitted(ask.to, ask.id, ask.attempt, account, tokens, account.remaining, 'exact')
    return true
  }

  #wait(ask: Ask, nowMs: number): void {
    if (this.#deniedFor(ask, nowMs)) return
    if (this.#cannotSay(nowMs)) this.#withoutLeader(ask)
    else if (this.#asks.count >= L.waitingMax) this.#answers.refuse(ask.to, ask.id, ask.attempt, 'OVERLOADED', CROWDED)
    else {
      this.#asks.add(ask)
      this.#soon(nowMs)
    }
  }

  /** It is known that there is nothing before a moment: no draw is needed for that. */
  #deniedFor(ask: Ask, nowMs: number): boolean {
    let untilMs = 0
    for (const { account, tokens } of ask.needs) {
      if (account.free < tokens) untilMs = Math.max(untilMs, account.exhaustedUntilMs)
    }
    if (untilMs <= nowMs) return false
    this.#deny(ask, untilMs - nowMs, nowMs)
    return true
  }

  #deny(ask: Ask, retryAfterMs: number, nowMs: number): void {
    const [{ account, tokens }] = ask.needs as readonly [Need, ...Need[]]
    if (ask.session !== null) this.#answerClient(ask, 0, nowMs)
    else if (ask.needs.every((need) => need.account.view.spec.shadow)) {
      this.#answers.admitted(ask.to, ask.id, ask.attempt, account, tokens, 0, this.#shadow())
    } else this.#answers.exceed(ask.to, ask.id, ask.attempt, account.view, retryAfterMs, account.remaining)
  }

  /** Nobody leads, or nobody answers. */
  #cannotSay(nowMs: number): boolean {
    if (this.#seq !== 0) return nowMs - this.#drawnMs >= L.unavailableMs
    return this.#replica.leaderPeer === null && !this.#replica.ready
  }

  #withoutLeader(ask: Ask): void {
    const [{ account, tokens }] = ask.needs as readonly [Need, ...Need[]]
    const allows = ({ account: { view } }: Need) => view.spec.shadow || view.spec.whenUnavailable === 'allow'
    if (ask.session === null && ask.needs.every(allows)) {
      this.#unavailable++
      this.#answers.admitted(ask.to, ask.id, ask.attempt, account, tokens, account.remaining, 'unavailable')
    } else this.#answers.refuse(ask.to, ask.id, ask.attempt, 'NO_QUORUM', UNAVAILABLE)
  }

  #shadow(): TakenHow {
    this.#shadowed++
    return 'shadow'
  }

  // Answers

  /** What the client has from now on, after `tokens` more were passed on to it. */
  #answerClient(ask: Ask, tokens: number, nowMs: number): void {
    const { to, id, attempt, session } = ask
    const { account } = ask.needs[0]!
    const { spec } = account.view
    const leftMs = Math.max(0, Math.floor(account.endMs - nowMs))
    const tab = this.#tabs.find(session!, account) ?? (tokens > 0 ? this.#tabs.open(session!, account) : null)
    if (tab === null && tokens > 0) {
      this.#answers.refuse(to, id, attempt, 'LIMIT_REACHED', 'too many tabs are open; nothing was taken')
      return
    }
    if (tokens > 0) account.passOn(tab!, tokens)
    const retryAfterMs = Math.max(0, Math.ceil(account.exhaustedUntilMs - nowMs))
    const fields = [tab?.number ?? 0, tab?.granted ?? 0, tab === null ? 0 : leftMs, retryAfterMs, burstOf(spec)]
    this.#answers.reply(to, id, attempt, OK, [...fields, spec.shadow, spec.whenUnavailable])
  }

  // The cycle

  /** What was spent left little: more is drawn before it runs out. */
  #watchLow(needs: readonly Need[], nowMs: number): void {
    for (const { account } of needs) {
      if (account.free < account.lowTokens && nowMs - account.drawnMs >= account.cycleMs) this.#soon(nowMs)
    }
  }

  #soon(nowMs: number): void {
    this.#tick(nowMs)
    if (this.#seq === 0) this.#disarm ??= this.#clock.after(L.drawGatherMs, this.#due)
  }

  readonly #due = (): void => {
    this.#disarm = null
    this.#send(this.#clock.monotonicMs())
  }

  /** Asks for all that is waited for and wanted in advance, and says what became of what was drawn. */
  #send(nowMs: number): void {
    const { run, drawing, status } = this.#replica
    if (this.#seq !== 0 || this.#closed || drawing || run === null || status.format < QUOTA_FORMAT) return
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
      if (ask.seq === 0 && ask.needs.some(({ account }) => claims.has(account))) ask.seq = this.#seq
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
    if (this.#asks.count > 0 || this.#owed(nowMs)) this.#soon(nowMs)
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
    this.#shareOut(seq, nowMs)
  }

  /** Each as much as is fair, then in order whoever can be served with what is left; the others hear when to come back. */
  #shareOut(seq: number, nowMs: number): void {
    const answered = new Set<Ask>()
    const asked = this.#asks.all.filter((ask) => ask.seq === seq)
    const byAccount = new Map<Account, Ask[]>()
    for (const ask of asked) {
      if (ask.needs.length > 1) continue
      const { account } = ask.needs[0]!
      const list = byAccount.get(account)
      if (list === undefined) byAccount.set(account, [ask])
      else list.push(ask)
    }
    for (const [account, asks] of byAccount) {
      const wants = asks.map(({ needs }) => needs[0]!.tokens)
      const fair = share(
        account.freeAt(nowMs),
        wants,
        wants.map(() => 1),
      )
      for (const [at, ask] of asks.entries()) if (fair[at]! > 0 && this.#serve(ask, nowMs, fair[at]!)) answered.add(ask)
    }
    for (const ask of asked) {
      if (answered.has(ask)) continue
      if (!this.#serve(ask, nowMs)) this.#deny(ask, Math.max(1, untilMsOf(ask) - nowMs), nowMs)
      answered.add(ask)
    }
    this.#asks.settle((ask) => answered.has(ask))
  }

  /** A snapshot took the state's place: what was drawn meanwhile cannot be told from what was spent. It is let go, and ends by itself. */
  #missed(nowMs: number): void {
    if (this.#seq === 0 || this.#replica.drawing) return
    const seq = this.#seq
    this.#seq = 0
    for (const ask of this.#asks.all) if (ask.seq === seq) ask.seq = 0
    for (const account of this.#accounts.values()) account.freeAt(nowMs)
  }

  #tick(nowMs: number): void {
    if (this.#ticking !== null || this.#closed) return
    this.#keyed.tick(nowMs)
    this.#ticking = this.#clock.every(L.tickMs, () => this.#look())
  }

  /** Reports what is due, lets go of what is idle, and answers those who waited for too long. */
  #look(): void {
    const nowMs = this.#clock.monotonicMs()
    this.#answers.outside = true
    const silent = this.#cannotSay(nowMs)
    this.#asks.settle((ask) => {
      if (nowMs >= ask.deadlineMs) this.#answers.refuse(ask.to, ask.id, ask.attempt, 'OVERLOADED', LATE)
      else if (silent) this.#withoutLeader(ask)
      else return false
      return true
    })
    this.#answers.outside = false
    this.#answers.flush()
    let active = this.#seq !== 0 || this.#asks.count > 0
    for (const account of this.#accounts.values()) {
      account.measure(nowMs)
      if (nowMs - account.askedMs >= L.idleMs && account.freeAt(nowMs) > 0 && account.waiting === 0) account.giveBack()
      if (account.isActive(nowMs)) active = true
      else this.#accounts.delete(account.name)
    }
    this.#keyed.tick(nowMs)
    this.#telemetry.gauge('quota_admitted_shadow', this.#shadowed)
    this.#telemetry.gauge('quota_admitted_unavailable', this.#unavailable)
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

function untilMsOf({ needs }: Ask): number {
  let untilMs = 0
  for (const { account } of needs) untilMs = Math.max(untilMs, account.exhaustedUntilMs)
  return untilMs
}

export function createQuotas(options: QuotasOptions): QuotaDesk {
  return new Quotas(options)
}
