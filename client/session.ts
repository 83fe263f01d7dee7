/**
 * What makes a client's requests one session at the cluster, through any number of connections: its id, the sequence
 * numbers that name its requests, the lowest of them still unanswered, and the cluster time that it knows.
 * Never uses a number twice, and never raises the mark over a request whose fate is open.
 */
import { LIMITS } from '@leasehold/protocol'
import type { Timeline } from './clocks.js'
import type { Mark } from './validity.js'

/** A known time older than this is asked for anew before it is sent with a request. */
const KNOWN_MS_MAX = LIMITS.retentionMs / 2

export class Session {
  /** 16 bytes, as 32 lower-case hex digits. */
  readonly id: string
  /** Seeds the jitter. */
  readonly seed: number
  readonly #timeline: Timeline
  #next = 1
  #lowest = 1
  readonly #unanswered = new Set<number>()
  #clusterId: string | null = null
  #knownMs = 0
  #known: Mark | null = null

  constructor(id: Uint8Array, timeline: Timeline) {
    let hex = ''
    for (const byte of id) hex += byte.toString(16).padStart(2, '0')
    this.id = hex
    this.seed = Number.parseInt(hex.slice(0, 8), 16) | 0
    this.#timeline = timeline
  }

  /** The lowest sequence number that is still waited for; the next one where none is. */
  get lowest(): number {
    return this.#lowest
  }

  /** How many requests are still waited for. */
  get unanswered(): number {
    return this.#unanswered.size
  }

  /** A number for one request, unanswered from now on. */
  open(): number {
    const seq = this.#next++
    this.#unanswered.add(seq)
    return seq
  }

  /** The request has its outcome, or its cancel has. */
  answered(seq: number): void {
    this.#unanswered.delete(seq)
    while (this.#lowest < this.#next && !this.#unanswered.has(this.#lowest)) this.#lowest++
  }

  /** The cluster that it is a session of: the one that greeted first, for good. Null before. */
  get clusterId(): string | null {
    return this.#clusterId
  }

  /** The first greeting; later ones are of the same cluster. */
  greeted(clusterId: string): void {
    this.#clusterId = clusterId
  }

  /** Cluster time as a member told it. One that lags behind teaches nothing. */
  learn(clusterMs: number): void {
    if (clusterMs < this.#knownMs) return
    this.#knownMs = clusterMs
    this.#known = this.#timeline.mark()
  }

  /** The cluster time to send with a first attempt, or null where it must be asked for first. */
  knownMs(): number | null {
    if (this.#known === null || this.#timeline.leftMs(this.#known, KNOWN_MS_MAX) <= 0) return null
    return this.#knownMs
  }
}
