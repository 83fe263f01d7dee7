/**
 * What members tell each other once a second, while anybody asks by key: which keys ask for most, and, of whoever leads, which keys have buckets.
 * Of a bounded size, however much is asked for. Any of it may be lost: it is told again, and what is old is not believed.
 */
import { type PeerId, peersOf } from '@leasehold/protocol'
import type { Clock, Telemetry } from '../ports/index.js'
import type { Replica } from '../replica/index.js'
import type { Keyed } from './keyed.js'
import { KeyHash } from './keyhash.js'
import { encodeKeys, KEYS, type ListedMessage, type TalkMessage } from './keymessages.js'
import { QUOTA_LIMITS as L } from './limits.js'
import type { Summary } from './talkers.js'

export class Exchange {
  readonly #replica: Replica
  readonly #keyed: Keyed
  readonly #clock: Clock
  readonly #telemetry: Telemetry
  readonly #told = new Map<PeerId, { readonly summary: Summary; readonly atMs: number }>()
  readonly #hash = new KeyHash()
  #round = 0
  /** A list that has not arrived as a whole. */
  #arriving: { from: PeerId; round: number; hashes: Set<number>; parts: Set<number> } | null = null
  #stop: (() => void) | null = null

  constructor(replica: Replica, keyed: Keyed, clock: Clock, telemetry: Telemetry) {
    this.#replica = replica
    this.#keyed = keyed
    this.#clock = clock
    this.#telemetry = telemetry
  }

  /** Somebody asks by key. */
  start(): void {
    this.#stop ??= this.#clock.every(L.exchangeMs, () => this.#turn())
  }

  close(): void {
    this.#stop?.()
    this.#stop = null
  }

  /** This member's own, and what others have told lately. */
  summaries(nowMs: number): readonly Summary[] {
    const own = this.#keyed.talkers(nowMs).summary(L.talkers, Number.POSITIVE_INFINITY, nowMs)
    const summaries = [own]
    for (const { summary, atMs } of this.#told.values()) if (nowMs - atMs < L.exchangedMs) summaries.push(summary)
    return summaries
  }

  heardTalk(from: PeerId, { summary }: TalkMessage, nowMs: number): void {
    for (const [peer, { atMs }] of this.#told) if (nowMs - atMs >= L.exchangedMs) this.#told.delete(peer)
    this.#told.set(from, { summary, atMs: nowMs })
  }

  heardList(from: PeerId, { round, part, parts, hashes }: ListedMessage, nowMs: number): void {
    if (from !== this.#replica.leaderPeer) return
    if (this.#arriving?.from !== from || this.#arriving.round !== round) {
      this.#arriving = { from, round, hashes: new Set(), parts: new Set() }
    }
    const arriving = this.#arriving
    arriving.parts.add(part)
    for (const hash of hashes) arriving.hashes.add(hash)
    if (arriving.parts.size < parts) return
    this.#arriving = null
    this.#keyed.listed = arriving.hashes
    this.#keyed.listedUntilMs = nowMs + L.keyListedMs
  }

  #turn(): void {
    const nowMs = this.#clock.monotonicMs()
    const keyed = this.#keyed
    keyed.sweep(nowMs)
    if (this.#replica.leads) keyed.buckets.sweep(nowMs)
    else keyed.buckets.clear()
    const { configuration } = this.#replica
    const peers = configuration === null ? [] : peersOf(configuration)
    const summary = keyed.talkers(nowMs).summary(L.talkersToldMax, L.keyBytesMax, nowMs)
    const messages = summary.rows.length === 0 ? [] : [encodeKeys({ kind: KEYS.talk, summary })]
    if (this.#replica.leads) messages.push(...this.#lists())
    // This member itself is among them, and has no link.
    for (const peer of peers) for (const message of messages) this.#replica.tell(peer, message)
    this.#telemetry.gauge('quota_key_buckets', keyed.buckets.count)
    this.#telemetry.gauge('quota_keys_evicted', keyed.buckets.evicted)
    if (nowMs - keyed.askedMs >= L.exchangeIdleMs && keyed.buckets.count === 0) this.close()
  }

  #lists(): readonly Uint8Array[] {
    const hashes: number[] = []
    for (const [quota, key] of this.#keyed.buckets.keys()) {
      const seed = this.#hash.of(quota, 0).low
      hashes.push(this.#hash.of(key, seed).whole)
    }
    const round = ++this.#round
    const parts = Math.max(1, Math.ceil(hashes.length / L.keyPartMax))
    return Array.from({ length: parts }, (_, part) => {
      const piece = hashes.slice(part * L.keyPartMax, (part + 1) * L.keyPartMax)
      return encodeKeys({ kind: KEYS.listed, round, part, parts, hashes: piece })
    })
  }
}
