/**
 * The desks of several members, over replicas that are nothing but a leader, quotas and a way to each other: a message takes its time, or is
 * lost. Time is the test's.
 */

import { SeededRandom } from '@leasehold/client/testing'
import {
  checkQuotaSpec,
  clusterMs,
  ERRORS,
  LIMITS,
  memberOf,
  OK,
  type PeerId,
  peerIdOf,
  type QuotaView,
  run,
  TAKE,
  type TabReport,
  type TakeMode,
  type Want,
} from '@leasehold/protocol'
import { silent } from '@leasehold/server/ports'
import { createQuotas, type QuotaDesk } from '@leasehold/server/quota'
import type { Drawn, DrawOutcome, Recipient, Replica } from '@leasehold/server/replica'
import { VirtualClock } from '../support/virtualclock.js'

export const PER_KEY = { bandwidths: [{ tokens: 100, perMs: 1_000, burst: 100 }], perKey: true }

/** What became of a take. */
export interface Outcome {
  readonly code: number
  readonly fields: readonly unknown[]
  readonly atMs: number
}

class KeyReplica {
  readonly peer: PeerId
  readonly #world: KeyWorld
  readonly #hearers = new Set<(from: PeerId, message: Uint8Array) => void>()
  readonly format = 2
  readonly run = 1
  drawing = false
  readonly #drawn = new Set<(drawn: Drawn | null) => void>()
  /** Of the draw under way. */
  wants: readonly Want[] = []
  reports: readonly TabReport[] = []
  /** Nobody hears it, nor it anybody. */
  apart = false

  constructor(peer: PeerId, world: KeyWorld) {
    this.peer = peer
    this.#world = world
  }

  get leaderPeer(): PeerId | null {
    return this.#world.leader
  }
  get leads(): boolean {
    return this.#world.leader === this.peer
  }
  get ready(): boolean {
    return this.#world.leader !== null
  }
  get configuration() {
    return this.#world.configuration
  }
  getQuota(name: string): QuotaView | null {
    return this.#world.quotas.get(name) ?? null
  }
  onDrawn(listener: (drawn: Drawn | null) => void): () => void {
    this.#drawn.add(listener)
    return () => this.#drawn.delete(listener)
  }
  draw(reports: readonly TabReport[], wants: readonly Want[]): number {
    this.drawing = true
    this.reports = reports
    this.wants = wants
    return ++this.#world.draws
  }

  /** The draw under way is executed; each want is granted so much of what it is for. Null: a snapshot took the state's place. */
  executed(granted: Readonly<Record<string, number>> | null, retryAfterMs = 0): void {
    this.drawing = false
    const seq = this.#world.draws
    const outcomes = this.wants.map(({ quota }): DrawOutcome => {
      const tokens = granted?.[quota] ?? 0
      const drawn = (this.#tabs.get(quota) ?? 0) + tokens
      this.#tabs.set(quota, drawn)
      const times = { endMs: clusterMs(0), validMs: LIMITS.quotaGrantMs, retryAfterMs }
      return { quota, version: 1, tab: drawn > 0 ? 1 : 0, granted: tokens, drawn, available: 0, ...times }
    })
    for (const listener of this.#drawn)
      listener(granted === null ? null : { member: memberOf(this.peer), run: run(1), seq, outcomes })
  }
  /** What was drawn of each, all told. */
  readonly #tabs = new Map<string, number>()
  onTold(hearer: (from: PeerId, message: Uint8Array) => void): () => void {
    this.#hearers.add(hearer)
    return () => this.#hearers.delete(hearer)
  }
  tell(to: PeerId, message: Uint8Array): boolean {
    const other = this.#world.replicas.find(({ peer }) => peer === to)
    if (other === undefined || other === this || this.apart || other.apart) return false
    const bytes = message.slice()
    this.#world.told.push({ from: this.peer, to, bytes })
    this.#world.clock.after(this.#world.delayMs, () => {
      if (!this.apart && !other.apart) for (const hearer of other.#hearers) hearer(this.peer, bytes)
    })
    return true
  }
}

export class KeyWorld {
  readonly clock = new VirtualClock()
  readonly random: SeededRandom
  readonly quotas = new Map<string, QuotaView>()
  readonly replicas: readonly KeyReplica[]
  readonly desks: QuotaDesk[]
  readonly told: { from: PeerId; to: PeerId; bytes: Uint8Array }[] = []
  leader: PeerId | null
  delayMs = 1
  draws = 0
  #version = 0

  constructor(members = 3, seed = 1) {
    this.random = new SeededRandom(seed)
    this.replicas = Array.from({ length: members }, (_, at) => new KeyReplica(peerIdOf(`n${at}`, 'd'), this))
    this.leader = this.replicas[0]!.peer
    this.desks = this.replicas.map((_, at) => this.#desk(at))
  }

  get nowMs(): number {
    return this.clock.monotonicMs()
  }

  get configuration() {
    const voters = this.replicas.map(({ peer }) => peer)
    return { voters, outgoing: [], learners: [], addresses: Object.fromEntries(voters.map((peer) => [peer, 'a:1'])) }
  }

  set(name: string, spec: object = PER_KEY): void {
    this.quotas.set(name, { name, version: ++this.#version, spec: checkQuotaSpec(spec), available: 0, outstanding: 0 })
  }

  /** Another member leads from now on; null: nobody. */
  lead(at: number | null): void {
    this.leader = at === null ? null : this.replicas[at]!.peer
  }

  /** A member's process begins anew: it knows nothing of what was taken. */
  restart(at: number): void {
    void this.desks[at]!.close(this.nowMs)
    this.desks[at] = this.#desk(at)
  }

  #desk(at: number): QuotaDesk {
    const replica = this.replicas[at]! as unknown as Replica
    return createQuotas({ replica, clock: this.clock, random: this.random, telemetry: silent })
  }

  /** Its outcome, once there is one. */
  take(
    at: number,
    items: readonly (readonly [quota: string, key: string | null, cost?: number])[],
    options: Options = {},
  ) {
    const asked: Asked = { outcome: null }
    const to: Recipient = {
      reply: (_id, _attempt, code, fields) => {
        if (asked.outcome !== null) throw new Error('answered twice')
        asked.outcome = { code, fields, atMs: this.nowMs }
        options.done?.(asked.outcome)
      },
      flush: () => {},
    }
    const request = {
      mode: options.mode ?? TAKE.all,
      items: items.map(([quota, key, cost = 1]) => ({ quota, key, cost })),
    }
    this.desks[at]!.take(request, to, 1, 1, this.nowMs + (options.withinMs ?? 5_000))
    return asked
  }

  /** Whether one is admitted that needs no more than a second for its answer. */
  admits(at: number, key: string, cost = 1): boolean {
    const asked = this.take(at, [['q', key, cost]])
    for (let ms = 0; asked.outcome === null && ms < 1_000; ms++) this.clock.advance(1)
    return asked.outcome?.code === OK
  }
}

export interface Asked {
  outcome: Outcome | null
}

export interface Options {
  readonly mode?: TakeMode
  readonly withinMs?: number
  readonly done?: (outcome: Outcome) => void
}

export const isDenied = ({ code }: Outcome): boolean => code === ERRORS.QUOTA_EXCEEDED.wire
