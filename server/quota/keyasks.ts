/**
 * How requests for tokens under keys reach whoever leads: all that wait go in one message, one at a time; where this member leads they are answered
 * at once. Whatever is lost is asked again; tokens of a lost answer are lost with it, and flow into the bucket again.
 */
import { LIMITS, type PeerId, type QuotaView, utf8Bytes } from '@leasehold/protocol'
import type { Replica } from '../replica/index.js'
import { type Asks, OWED } from './asks.js'
import { KeyAccount } from './keyaccount.js'
import type { Keyed } from './keyed.js'
import { encodeKeys, KEYS, type KeyAskMessage, type KeyShareMessage, type NamedAsk } from './keymessages.js'
import { QUOTA_LIMITS as L } from './limits.js'
import { type KeyShare, startMaxOf } from './softbuckets.js'

/** An ask that was sent, and has no answer yet. */
interface Sent {
  readonly seq: number
  readonly to: PeerId
  readonly sentMs: number
  readonly accounts: readonly KeyAccount[]
}

const NOTHING: KeyShare = { granted: 0, retryAfterMs: L.keyPauseMs, remaining: 0 }

export class KeyAsks {
  readonly #replica: Replica
  readonly #keyed: Keyed
  #seq = 0
  #sent: Sent | null = null

  constructor(replica: Replica, keyed: Keyed) {
    this.#replica = replica
    this.#keyed = keyed
  }

  get under(): boolean {
    return this.#sent !== null
  }

  /** Where this member leads: from its own buckets. */
  fetch(account: KeyAccount, least: number, wanted: number, nowMs: number): void {
    const { back } = account
    account.back = 0
    const taken = Math.ceil(account.takenAt(nowMs))
    account.took(this.#share(account.view, account.key, { least, wanted, back, taken }, nowMs), 0, nowMs)
  }

  /** The same for all who waited for another leader. Returns the number of their ask; 0: nobody does. */
  fetchAll(asks: Asks, nowMs: number): number {
    const seq = this.#seq + 1
    const wishes = new Map<KeyAccount, Wish>()
    gather(asks, seq, wishes, () => true)
    if (wishes.size === 0) return 0
    this.#seq = seq
    for (const [account, { least, wanted }] of wishes) {
      const lacking = wanted - account.freeAt(nowMs)
      if (lacking > 0) this.fetch(account, Math.min(least, lacking), lacking, nowMs)
    }
    return seq
  }

  /** Sends what was not asked for yet. Requests keep the number of the ask that they are part of. */
  send(asks: Asks, nowMs: number): void {
    const to = this.#replica.leaderPeer
    if (this.#sent !== null || to === null || this.#replica.leads) return
    const seq = this.#seq + 1
    const wishes = new Map<KeyAccount, Wish>()
    let bytes = 0
    const fits = (account: KeyAccount) => {
      if (wishes.has(account)) return true
      bytes += utf8Bytes(account.key) + utf8Bytes(account.name)
      return wishes.size < L.keyAsksMax && bytes <= L.keyBytesMax
    }
    gather(asks, seq, wishes, fits)
    for (const account of this.#keyed.returning) if (fits(account)) wishes.set(account, wishes.get(account) ?? NO_WISH)
    if (wishes.size === 0) return
    const named = [...wishes].map(([account, { least, wanted }]): NamedAsk => {
      const { name: quota, key, back } = account
      const lacking = Math.max(0, wanted - account.freeAt(nowMs))
      account.back = 0
      this.#keyed.returning.delete(account)
      return { quota, key, least, wanted: lacking, back, taken: Math.ceil(account.takenAt(nowMs)) }
    })
    this.#seq = seq
    this.#sent = { seq, to, sentMs: nowMs, accounts: [...wishes.keys()] }
    // Where there is no link it is as good as lost.
    this.#replica.tell(to, encodeKeys({ kind: KEYS.ask, seq, asks: named }))
  }

  /** Of another member: it is answered if this one leads. */
  asked(from: PeerId, { seq, asks }: KeyAskMessage, nowMs: number): void {
    if (!this.#replica.leads) return
    const shares = asks.map((ask) => {
      const view = this.#replica.getQuota(ask.quota)
      return view?.spec.perKey === true ? this.#share(view, ask.key, ask, nowMs) : NOTHING
    })
    this.#replica.tell(from, encodeKeys({ kind: KEYS.share, seq, shares }))
  }

  /** The answer to an ask of this member; the ask's number, or 0 where nobody waits for it any more. */
  answered(from: PeerId, { seq, shares }: KeyShareMessage, nowMs: number): number {
    const sent = this.#sent
    if (sent === null || sent.seq !== seq || sent.to !== from || shares.length !== sent.accounts.length) return 0
    this.#sent = null
    for (const [at, account] of sent.accounts.entries()) account.took(shares[at]!, account.of.pauseMs, nowMs)
    return seq
  }

  /** Gives up an ask that was lost, or was made of somebody who leads no more. True where there is something to send again. */
  lost(asks: Asks, nowMs: number): boolean {
    const sent = this.#sent
    if (sent === null) return false
    if (nowMs - sent.sentMs < L.keyAgainMs && this.#replica.leaderPeer === sent.to) return false
    this.#sent = null
    for (const ask of asks.all) if (ask.keySeq === sent.seq) ask.keySeq = 0
    return true
  }

  #share(view: QuotaView, key: string, ask: Omit<NamedAsk, 'quota' | 'key'>, nowMs: number): KeyShare {
    return this.#keyed.buckets.ask(view, key, ask, startMaxOf(view), nowMs)
  }
}

/** What is waited for under one key. */
interface Wish {
  least: number
  wanted: number
}

const NO_WISH: Wish = Object.freeze({ least: 0, wanted: 0 })

/** Of those who have not asked yet, in order, up to the first that does not fit. */
function gather(asks: Asks, seq: number, wishes: Map<KeyAccount, Wish>, fits: (account: KeyAccount) => boolean): void {
  for (const ask of asks.all) {
    if (ask.keySeq !== 0 || (ask.owed & OWED.keys) === 0) continue
    const needs = ask.needs.filter(({ account }) => account instanceof KeyAccount)
    if (!needs.every(({ account }) => fits(account as KeyAccount))) return
    for (const { account, tokens } of needs) {
      const least = ask.upTo ? 1 : tokens
      const wish = wishes.get(account as KeyAccount)
      if (wish === undefined) wishes.set(account as KeyAccount, { least, wanted: tokens })
      else {
        wish.least = Math.min(wish.least, least)
        wish.wanted = Math.min(LIMITS.tokenMax, wish.wanted + tokens)
      }
    }
    ask.keySeq = seq
  }
}
