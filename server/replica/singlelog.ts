/**
 * The log of a cluster with one member: what is synced is committed. It writes what every engine writes (term, vote,
 * entries), so that the same directory can grow into a larger cluster.
 *
 * It must never lead a term that is not on disk, and never have two appends under way.
 */
import {
  type ClusterMs,
  type Command,
  clusterMs,
  type LogIndex,
  logIndex,
  ProtocolError,
  run,
  type Term,
  term,
  wallMs,
} from '@leasehold/protocol'
import type { Entry } from '../machine/index.js'
import type { Clock, Telemetry } from '../ports/index.js'
import type { Store } from '../storage/index.js'
import type { LogFollower, LogStatus, ReplicatedLog } from './log.js'

export interface SingleLogOptions {
  readonly store: Store
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly memberId: string
}

export class SingleLog implements ReplicatedLog {
  readonly #store: Store
  readonly #clock: Clock
  readonly #telemetry: Telemetry
  readonly #memberId: string
  #follower: LogFollower | null = null
  #term: Term
  #commitIndex: LogIndex
  #lastIndex: LogIndex
  #lastTimeMs: ClusterMs
  #leading = false
  #closed = false
  /** The append under way. */
  #flight: Entry | null = null
  #landed: (() => void) | null = null

  constructor(options: SingleLogOptions) {
    this.#store = options.store
    this.#clock = options.clock
    this.#telemetry = options.telemetry
    this.#memberId = options.memberId
    const { hardState, checkpointIndex, lastIndex, lastTimeMs } = options.store.recovered
    this.#term = hardState.term
    this.#commitIndex = checkpointIndex
    this.#lastIndex = lastIndex
    this.#lastTimeMs = lastTimeMs
  }

  get status(): LogStatus {
    return {
      term: this.#term,
      leader: this.#leading ? this.#memberId : null,
      commitIndex: this.#commitIndex,
      lastIndex: this.#lastIndex,
    }
  }

  get ready(): boolean {
    return this.#leading && this.#flight === null && !this.#store.flushing
  }

  async start(follower: LogFollower): Promise<void> {
    if (this.#follower !== null) throw new Error('a log is started once')
    this.#follower = follower
    const startedMs = this.#clock.monotonicMs()
    const from = this.#commitIndex
    if (from < this.#lastIndex) {
      for await (const chunk of this.#store.entries(logIndex(from + 1), this.#lastIndex)) {
        if (this.#closed) return
        for (const entry of chunk) {
          this.#commitIndex = entry.index
          follower.apply(entry)
        }
      }
    }
    if (this.#commitIndex !== this.#lastIndex) throw new Error('the log ends before its last index')
    const next = term(this.#term + 1)
    this.#store.stageHardState({ term: next, votedFor: this.#memberId })
    await new Promise<void>((resolve) => this.#store.flush(resolve))
    if (this.#closed) return
    this.#term = next
    this.#leading = true
    this.#telemetry.log('info', 'leading', {
      term: next,
      replayed: this.#lastIndex - from,
      ms: Math.round(this.#clock.monotonicMs() - startedMs),
    })
    follower.lead(next, this.#lastTimeMs)
  }

  append(batch: { timeMs: ClusterMs; wallMs: number; commands: readonly Command[] }): LogIndex {
    if (!this.ready) throw new Error('the log takes one batch at a time, from a leader')
    if (batch.timeMs < this.#lastTimeMs) throw new Error('cluster time never goes back')
    const index = logIndex(this.#lastIndex + 1)
    const entry: Entry = {
      term: this.#term,
      index,
      timeMs: batch.timeMs,
      wallMs: wallMs(batch.wallMs),
      member: this.#memberId,
      // Nothing is ever sent twice to a log in the same process: its batches need no count.
      run: run(0),
      batch: 0,
      commands: batch.commands,
    }
    this.#lastIndex = index
    this.#lastTimeMs = clusterMs(batch.timeMs)
    this.#flight = entry
    this.#store.stageEntries([entry])
    this.#store.flush(this.#done)
    return index
  }

  /** One member knows what is committed: all of it has been applied in the turn in which it was. */
  async readBarrier(): Promise<void> {
    if (!this.#leading) throw new ProtocolError('NO_QUORUM', 'this member does not lead')
  }

  trim(through: LogIndex): void {
    this.#store.stageTrimLog(logIndex(through + 1))
  }

  /** Waits for the append under way and its apply. Safe to call twice. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#flight !== null) await new Promise<void>((resolve) => (this.#landed = resolve))
    this.#leading = false
  }

  readonly #done = (): void => {
    const entry = this.#flight!
    this.#flight = null
    this.#commitIndex = entry.index
    // The next batch closes and starts its way to the disk before this one is applied: disk and processor overlap.
    this.#follower!.settled(entry.index, true)
    this.#follower!.apply(entry)
    this.#landed?.()
  }
}
