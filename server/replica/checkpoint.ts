/**
 * When changed rows are written down. They may wait and coalesce, since the log brings them back: for a while, or up to
 * a count, and then travel in the next flush; when nothing else flushes, a flush is made for them. Where nothing
 * coalesces (a million leases, each renewed now and then) they travel as they come, or else every tenth flush would take as
 * long as the nine before it. The log is trimmed only below a checkpoint that has been synced.
 */
import { type ClusterMs, type LogIndex, logIndex } from '@leasehold/protocol'
import type { Entry, StoredTable } from '../machine/index.js'
import type { Store } from '../storage/index.js'
import { REPLICA_LIMITS } from './limits.js'
import type { ReplicatedLog } from './log.js'
import { LogTail } from './tail.js'

/** Entries that change no row worth a flush of its own (beats) still move the checkpoint, this seldom. */
const ENTRIES_MAX = 1_024

export interface CheckpointOptions {
  readonly checkpointMs?: number
  readonly checkpointRows?: number
  /** Entries of the log that are kept below a checkpoint. */
  readonly tailEntries?: number
}

export class Checkpoint {
  readonly #store: Store
  readonly #log: ReplicatedLog
  readonly #tables: readonly Pick<StoredTable, 'changeCount' | 'storedChangeCount'>[]
  readonly #ageMsMax: number
  readonly #rowsMax: number
  readonly #tail: LogTail
  #appliedIndex: LogIndex
  #appliedMs: ClusterMs
  #stagedIndex: LogIndex
  #inFlight: LogIndex | null = null
  #syncedIndex: LogIndex
  #trimmed: LogIndex
  /** Since when something worth a flush waits, on the monotonic clock. */
  #waitingSinceMs: number | null = null
  #commandsSinceStaged = 0

  constructor(
    store: Store,
    log: ReplicatedLog,
    tables: readonly Pick<StoredTable, 'changeCount' | 'storedChangeCount'>[],
    options: CheckpointOptions = {},
  ) {
    this.#store = store
    this.#log = log
    this.#tables = tables
    this.#ageMsMax = options.checkpointMs ?? REPLICA_LIMITS.checkpointMs
    this.#rowsMax = options.checkpointRows ?? REPLICA_LIMITS.checkpointRows
    const { checkpointIndex, firstIndex, lastIndex, lastTimeMs } = store.recovered
    this.#tail = new LogTail(firstIndex, lastIndex, options.tailEntries)
    this.#appliedIndex = this.#stagedIndex = this.#syncedIndex = checkpointIndex
    this.#appliedMs = lastTimeMs
    this.#trimmed = logIndex(Math.max(0, firstIndex - 1))
  }

  /** An entry has been applied; `matters` where it did more than move time on. */
  applied(entry: Entry, bytes: number, matters: boolean, nowMs: number): void {
    this.#appliedIndex = entry.index
    this.#appliedMs = entry.timeMs
    this.#commandsSinceStaged += entry.commands.length
    this.#tail.add(entry.index, bytes)
    if (matters) this.#waitingSinceMs ??= nowMs
  }

  /** A flush is about to start: what is due travels in it. */
  beforeFlush(nowMs: number): void {
    if (this.#due(nowMs, this.#ageMsMax)) this.stage()
  }

  /** Nothing else flushes: is a flush worth it by now? */
  idleDue(nowMs: number): boolean {
    // Storage stages deletions of its own, in the background.
    if (this.#store.staged) this.#waitingSinceMs ??= nowMs
    return this.#due(nowMs, REPLICA_LIMITS.idleFlushMs)
  }

  /** Stages everything, as the state stands now. */
  stage(): void {
    if (this.#appliedIndex > this.#stagedIndex) {
      this.#store.stageCheckpoint(this.#appliedIndex, this.#appliedMs)
      this.#stagedIndex = this.#inFlight = this.#appliedIndex
    }
    this.#waitingSinceMs = null
    this.#commandsSinceStaged = 0
    const through = this.#tail.trimmable(this.#syncedIndex)
    if (through <= this.#trimmed) return
    this.#log.trim(through)
    this.#trimmed = through
  }

  /** The flush is done: what travelled in it is durable. */
  flushed(): void {
    if (this.#inFlight === null) return
    this.#syncedIndex = this.#inFlight
    this.#inFlight = null
  }

  #due(nowMs: number, ageMs: number): boolean {
    if (this.#waitingSinceMs !== null && nowMs - this.#waitingSinceMs >= ageMs) return true
    if (this.#appliedIndex - this.#stagedIndex >= ENTRIES_MAX) return true
    let rows = 0
    let stored = 0
    for (const table of this.#tables) {
      rows += table.changeCount
      stored += table.storedChangeCount
    }
    if (rows >= this.#rowsMax) return true
    // Fresh rows may be gone before they are due (leases that come and go are to leave none behind): where there are many, all wait.
    const share = REPLICA_LIMITS.spreadShare * Math.max(rows, this.#commandsSinceStaged)
    return stored >= REPLICA_LIMITS.spreadRows && stored >= share
  }
}
