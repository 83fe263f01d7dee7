/** Keyed admission as the desk uses it: who is admitted at once, what is asked of whoever leads, and what members tell each other about keys. */
import { type PeerId, ProtocolError, type QuotaView, type TakeItem } from '@leasehold/protocol'
import type { Clock, Telemetry } from '../ports/index.js'
import type { Replica } from '../replica/index.js'
import { type Ask, type Asks, OWED } from './asks.js'
import type { Top } from './desk.js'
import { Exchange } from './exchange.js'
import { KeyAccount } from './keyaccount.js'
import { KeyAsks } from './keyasks.js'
import { Keyed } from './keyed.js'
import { decodeKeys, KEYS, type KeyMessage } from './keymessages.js'
import { QUOTA_LIMITS as L } from './limits.js'
import { mergeTalkers } from './talkers.js'

export interface KeysParts {
  readonly replica: Replica
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Those who wait. */
  readonly asks: Asks
  /** The ask with this number was answered. */
  readonly shared: (seq: number) => void
}

export class Keys {
  readonly #parts: KeysParts
  readonly #keyed: Keyed
  readonly #asks: KeyAsks
  readonly #exchange: Exchange
  readonly #unhear: () => void
  #disarm: (() => void) | null = null

  constructor(parts: KeysParts) {
    const { replica, clock, telemetry } = parts
    this.#parts = parts
    this.#keyed = new Keyed(replica)
    this.#asks = new KeyAsks(replica, this.#keyed)
    this.#exchange = new Exchange(replica, this.#keyed, clock, telemetry)
    this.#unhear = replica.onTold((from, message) => this.#told(from, message))
  }

  /** Takes at once what needs no bucket, and returns how much is left, about; null: it has to be asked for. */
  light(view: QuotaView, item: TakeItem, nowMs: number): number | null {
    this.count(item, nowMs)
    return this.#keyed.light(view, item.key!, item.cost, nowMs)
  }

  /** Somebody asks for it, whether or not he gets it. */
  count(item: TakeItem, nowMs: number): void {
    this.#exchange.start()
    this.#keyed.count(item, nowMs)
  }

  peek(view: QuotaView, key: string, nowMs: number): number {
    return this.#keyed.peek(view, key, nowMs)
  }

  /** Null: there are too many. */
  account(quota: string, key: string, nowMs: number): KeyAccount | null {
    return this.#keyed.account(this.#parts.replica.getQuota(quota)!, key, nowMs)
  }

  /** Where this member leads it has its answer at once. Nobody waits in front of it. */
  fetch(ask: Ask, nowMs: number): void {
    if ((ask.owed & OWED.keys) === 0 || !this.#parts.replica.leads) return
    for (const { account, tokens } of ask.needs) {
      if (!(account instanceof KeyAccount) || account.freeAt(nowMs) >= tokens) continue
      this.#asks.fetch(account, ask.upTo ? 1 : tokens - account.free, tokens - account.free, nowMs)
    }
    ask.owed &= ~OWED.keys
  }

  /** Somebody waits. */
  soon(): void {
    if (!this.#asks.under) this.#disarm ??= this.#parts.clock.after(L.drawGatherMs, this.#due)
  }

  /** Now and then, while anything goes on. */
  look(nowMs: number): void {
    const { asks, replica } = this.#parts
    if (this.#asks.lost(asks, nowMs)) this.#asks.send(asks, nowMs)
    if (replica.leads) this.#lead(nowMs)
    else if (!this.#asks.under) this.#asks.send(asks, nowMs)
  }

  top(name: string, limit: number, nowMs: number): Top {
    return mergeTalkers(this.#exchange.summaries(nowMs), name, limit)
  }

  close(): void {
    this.#unhear()
    this.#disarm?.()
    this.#exchange.close()
  }

  /** Those who waited for another leader, when this member has become it. */
  #lead(nowMs: number): void {
    const seq = this.#asks.fetchAll(this.#parts.asks, nowMs)
    if (seq !== 0) this.#parts.shared(seq)
  }

  readonly #due = (): void => {
    this.#disarm = null
    this.look(this.#parts.clock.monotonicMs())
  }

  #told(from: PeerId, message: Uint8Array): void {
    const nowMs = this.#parts.clock.monotonicMs()
    const heard = this.#decoded(from, message)
    switch (heard?.kind) {
      case KEYS.ask:
        // Who answers has a list to tell.
        this.#exchange.start()
        this.#asks.asked(from, heard, nowMs)
        break
      case KEYS.share: {
        const seq = this.#asks.answered(from, heard, nowMs)
        if (seq === 0) break
        this.#parts.shared(seq)
        this.#asks.send(this.#parts.asks, nowMs)
        break
      }
      case KEYS.listed:
        this.#exchange.heardList(from, heard, nowMs)
        break
      case KEYS.talk:
        this.#exchange.heardTalk(from, heard, nowMs)
        break
    }
  }

  /** Null, with a word in the log: what another member sends must not end this one. */
  #decoded(from: PeerId, message: Uint8Array): KeyMessage | null {
    try {
      return decodeKeys(message)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#parts.telemetry.log('warn', 'message about keys not understood', { from, error: error.message })
      return null
    }
  }
}
