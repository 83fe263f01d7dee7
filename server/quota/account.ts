/**
 * What this member has of one quota. Of the tokens in its tab each is in one place: free (to be spent or passed on here), passed on to clients,
 * spent, or returned. Only what nobody can spend any more is ever reported as spent or returned; whatever is left when the tab ends is lost.
 *
 * drawn = free + passed on + spent + returned, always.
 */
import { burstOf, type QuotaView, type TabReport, tokensPerMsOf } from '@leasehold/protocol'
import type { DrawOutcome } from '../replica/index.js'
import type { ClientTab } from './clienttabs.js'
import { QUOTA_LIMITS as L } from './limits.js'
import type { Purse } from './purse.js'

export class Account implements Purse {
  readonly how = 'exact'
  readonly name: string
  view: QuotaView
  /** 0: none. */
  tab = 0
  drawn = 0
  free = 0
  spent = 0
  returned = 0
  /** On the monotonic clock. */
  endMs = 0
  /** Clients that have tokens of this tab. */
  readonly clients = new Set<ClientTab>()
  #reportedSpent = 0
  #reportedReturned = 0
  /** That the cluster had left to be drawn, as of the last draw. */
  available = 0
  /** Nothing is to be had before. */
  exhaustedUntilMs = 0
  /** Requests that wait for tokens of it. */
  waiting = 0
  /** Tokens asked for, a millisecond, lately. */
  #demandPerMs = 0
  #asked = 0
  #measuredMs: number
  askedMs: number
  drawnMs = Number.NEGATIVE_INFINITY
  cycleMs: number = L.cycleMsMax
  /** With less free it is time to draw. */
  lowTokens = 0

  constructor(view: QuotaView, nowMs: number) {
    this.name = view.name
    this.view = view
    this.#measuredMs = nowMs
    this.askedMs = nowMs
    this.see(view)
  }

  /** The specification as it is now. */
  see(view: QuotaView): void {
    this.view = view
    const halfLifeMs = burstOf(view.spec) / (4 * tokensPerMsOf(view.spec))
    this.cycleMs = Math.min(Math.max(halfLifeMs, L.cycleMsMin), L.cycleMsMax)
  }

  /** Tokens that are left, as far as is known here. */
  get remaining(): number {
    return this.free + this.available
  }

  /** Somebody asks for so many, whether or not they are there. */
  asks(tokens: number, nowMs: number): void {
    this.#asked += tokens
    this.askedMs = nowMs
  }

  /** Tokens that may be spent or passed on now. */
  freeAt(nowMs: number): number {
    if (this.endMs !== 0 && nowMs >= this.endMs) this.end()
    return this.free
  }

  /** So many are free. */
  spend(tokens: number): void {
    this.free -= tokens
    this.spent += tokens
    this.#check()
  }

  /** The tab's time is over, by this member's clock: before it is by the cluster's. */
  end(): void {
    for (const client of this.clients) client.over = true
    this.clients.clear()
    // Nobody can spend any of it any more, and nobody knows what clients did: it counts as spent, as it will in the cluster.
    this.spent = this.drawn - this.returned
    this.free = this.endMs = 0
  }

  /** A draw was executed; it was asked for at `askedMs`. */
  took({ tab, granted, drawn, available }: DrawOutcome, endMs: number, nowMs: number): void {
    this.available = available
    if (granted === 0) return
    this.freeAt(nowMs)
    if (tab === this.tab) {
      // What a draw brought of which nothing was heard here: nobody has it.
      this.returned += drawn - this.drawn - granted
    } else {
      this.end()
      this.tab = tab
      // Of a tab that is not known here any more all that came before has ended.
      this.spent = drawn - granted
      this.returned = this.#reportedSpent = this.#reportedReturned = 0
    }
    this.drawn = drawn
    this.free += granted
    this.endMs = Math.max(this.endMs, endMs)
    this.freeAt(nowMs)
    this.#check()
  }

  /** What is free goes back. */
  giveBack(): void {
    this.returned += this.free
    this.free = 0
  }

  // What clients have

  passOn(client: ClientTab, tokens: number): void {
    this.free -= tokens
    client.granted += tokens
    this.clients.add(client)
    this.#check()
  }

  /** Of a client whose tokens are of this tab. Cumulative. */
  reported(client: ClientTab, spent: number, returned: number): void {
    const nowSpent = Math.max(client.spent, Math.min(spent, client.granted - client.returned))
    const nowReturned = Math.max(client.returned, Math.min(returned, client.granted - nowSpent))
    this.spent += nowSpent - client.spent
    this.free += nowReturned - client.returned
    client.spent = nowSpent
    client.returned = nowReturned
    this.#check()
  }

  // Draws

  /** Something became known that the cluster does not know yet. */
  get unreported(): boolean {
    return this.spent !== this.#reportedSpent || this.returned !== this.#reportedReturned
  }

  /** What is to be said with the next draw; null: nothing new. */
  report(): TabReport | null {
    if (this.tab === 0 || !this.unreported) return null
    this.#reportedSpent = this.spent
    this.#reportedReturned = this.returned
    return { quota: this.name, tab: this.tab, spent: this.spent, returned: this.returned }
  }

  /** Tokens to draw beyond what is waited for. */
  aheadOf(members: number): number {
    const most = Math.floor(burstOf(this.view.spec) / (2 * members))
    return Math.min(most, Math.floor(this.#demandPerMs * L.aheadMs)) - this.free
  }

  /** At a tick: what is asked for, lately. */
  measure(nowMs: number): void {
    const elapsedMs = nowMs - this.#measuredMs
    if (elapsedMs < L.cycleMsMin) return
    this.#demandPerMs += L.demandShare * (this.#asked / elapsedMs - this.#demandPerMs)
    if (this.#asked === 0 && this.#demandPerMs * L.aheadMs < 0.5) this.#demandPerMs = 0
    this.#asked = 0
    this.#measuredMs = nowMs
    this.lowTokens = Math.floor((this.#demandPerMs * L.aheadMs) / 2)
  }

  /** Something here goes on by itself. */
  isActive(nowMs: number): boolean {
    return (
      this.endMs !== 0 ||
      this.unreported ||
      this.waiting > 0 ||
      this.#demandPerMs > 0 ||
      nowMs - this.askedMs < L.forgetMs
    )
  }

  #check(): void {
    if (this.free >= 0 && this.spent + this.returned + this.free <= this.drawn) return
    throw new Error(
      `quota ${this.name}: ${this.free} free, ${this.spent} spent, ${this.returned} returned of ${this.drawn}`,
    )
  }
}
