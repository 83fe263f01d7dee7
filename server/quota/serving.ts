/**
 * Serves those who ask from what this member has: each whole request or, of one that takes what there is, a part. Must never hand out a
 * token twice, nor one of a tab whose time is over.
 */
import { burstOf, OK, share, type TakenHow } from '@leasehold/protocol'
import type { Account } from './account.js'
import type { Answers } from './answers.js'
import type { Ask, Asks, Need } from './asks.js'
import { ClientTabs } from './clienttabs.js'
import type { Purse } from './purse.js'

const UNAVAILABLE = 'nobody can say now whether there are tokens; nothing was taken'

export class Serving {
  readonly tabs = new ClientTabs()
  readonly #answers: Answers
  /** Admitted although there were no tokens, by right of their quota. */
  shadowed = 0
  unavailable = 0

  constructor(answers: Answers) {
    this.#answers = answers
  }

  /** Nobody waits in front of it. */
  mayServe({ needs }: Ask): boolean {
    for (const { account } of needs) if (account.waiting > 0) return false
    return true
  }

  /** From what is here; false where that is not enough. */
  serve(ask: Ask, nowMs: number, most = Number.MAX_SAFE_INTEGER): boolean {
    const { needs, upTo, session } = ask
    for (const { account, tokens } of needs) {
      const free = Math.min(most, account.freeAt(nowMs))
      if (upTo ? free === 0 : free < tokens) return false
    }
    const [{ account, tokens: wanted }] = needs as readonly [Need, ...Need[]]
    const tokens = upTo ? Math.min(wanted, account.free, most) : wanted
    if (session !== null) {
      this.answerClient(ask, tokens, nowMs)
      return true
    }
    if (upTo) account.spend(tokens, nowMs)
    else for (const need of needs) need.account.spend(need.tokens, nowMs)
    const how = needs.every((need) => need.account.how === 'exact') ? 'exact' : 'key'
    this.#answers.admitted(ask.to, ask.id, ask.attempt, account.view, tokens, account.remaining, how)
    return true
  }

  deny(ask: Ask, retryAfterMs: number, nowMs: number): void {
    const [{ account, tokens }] = ask.needs as readonly [Need, ...Need[]]
    if (ask.session !== null) this.answerClient(ask, 0, nowMs)
    else if (ask.needs.every((need) => need.account.view.spec.shadow)) {
      this.#answers.admitted(ask.to, ask.id, ask.attempt, account.view, tokens, 0, this.#shadow())
    } else this.#answers.exceed(ask.to, ask.id, ask.attempt, account.view, retryAfterMs, account.remaining)
  }

  withoutLeader(ask: Ask): void {
    const [{ account, tokens }] = ask.needs as readonly [Need, ...Need[]]
    const allows = ({ account: { view } }: Need) => view.spec.shadow || view.spec.whenUnavailable === 'allow'
    if (ask.session === null && ask.needs.every(allows)) {
      this.unavailable++
      const { view, remaining } = account
      this.#answers.admitted(ask.to, ask.id, ask.attempt, view, tokens, remaining, 'unavailable')
    } else this.#answers.refuse(ask.to, ask.id, ask.attempt, 'NO_QUORUM', UNAVAILABLE)
  }

  #shadow(): TakenHow {
    this.shadowed++
    return 'shadow'
  }

  /** What the client has from now on, after `tokens` more were passed on to it. */
  answerClient(ask: Ask, tokens: number, nowMs: number): void {
    const { to, id, attempt, session } = ask
    const account = ask.needs[0]!.account as Account
    const { spec } = account.view
    const leftMs = Math.max(0, Math.floor(account.endMs - nowMs))
    const tab = this.tabs.find(session!, account) ?? (tokens > 0 ? this.tabs.open(session!, account) : null)
    if (tab === null && tokens > 0) {
      this.#answers.refuse(to, id, attempt, 'LIMIT_REACHED', 'too many tabs are open; nothing was taken')
      return
    }
    if (tokens > 0) account.passOn(tab!, tokens)
    const retryAfterMs = Math.max(0, Math.ceil(account.exhaustedUntilMs - nowMs))
    const fields = [tab?.number ?? 0, tab?.granted ?? 0, tab === null ? 0 : leftMs, retryAfterMs, burstOf(spec)]
    this.#answers.reply(to, id, attempt, OK, [...fields, spec.shadow, spec.whenUnavailable])
  }

  /** Of those who have heard now: each as much as is fair, then in order whoever can be served with what is left; the others hear when to come back. */
  shareOut(asks: Asks, asked: readonly Ask[], nowMs: number): void {
    const answered = new Set<Ask>()
    const byAccount = new Map<Purse, Ask[]>()
    for (const ask of asked) {
      if (ask.needs.length > 1) continue
      const { account } = ask.needs[0]!
      const list = byAccount.get(account)
      if (list === undefined) byAccount.set(account, [ask])
      else list.push(ask)
    }
    for (const [account, group] of byAccount) {
      const wants = group.map(({ needs }) => needs[0]!.tokens)
      const fair = share(
        account.freeAt(nowMs),
        wants,
        wants.map(() => 1),
      )
      for (const [at, ask] of group.entries()) if (fair[at]! > 0 && this.serve(ask, nowMs, fair[at]!)) answered.add(ask)
    }
    for (const ask of asked) {
      if (answered.has(ask)) continue
      const served = this.serve(ask, nowMs)
      // Who waits for something else yet is not denied before he has heard of that, too.
      if (!served && ask.owed !== 0) continue
      if (!served) this.deny(ask, Math.max(1, untilMsOf(ask) - nowMs), nowMs)
      answered.add(ask)
    }
    asks.settle((ask) => answered.has(ask))
  }
}

function untilMsOf({ needs }: Ask): number {
  let untilMs = 0
  for (const { account } of needs) untilMs = Math.max(untilMs, account.exhaustedUntilMs)
  return untilMs
}
