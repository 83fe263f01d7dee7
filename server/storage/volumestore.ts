/**
 * The Store over a Disk: stages what the replica hands over straight into the next batch, and writes one synced batch at a
 * time, the marker in each. A failed write ends the process through `fatal`; nothing is ever acknowledged after it.
 */
import {
  type AuditEvent,
  type AuditSeq,
  type ChainedEvent,
  type ClusterMs,
  clusterMs,
  type LogIndex,
} from '@leasehold/protocol'
import type { Entry } from '../machine/index.js'
import type { Disk, Volume, VolumeBatch } from '../ports/index.js'
import type { AuditTail } from './audit.js'
import { Writer } from './bytes.js'
import { forgetBlock } from './forget.js'
import { AuditReader } from './history.js'
import { KIND, plainKey, seqKey } from './keys.js'
import { type FoundLog, LogTail } from './logtail.js'
import { type Marker, writeMarker } from './marker.js'
import { type LogRange, readLog } from './readlog.js'
import { ROW_HEAD_BYTES, sealRow } from './rows.js'
import type { SideFile } from './sidefile.js'
import { type EventPage, type EventQuery, type HardState, NotInLog, type Recovered, type Store } from './store.js'
import type { StateTables } from './tables.js'

/** What opening hands over. */
export interface Opened {
  readonly disk: Disk
  readonly volume: Volume
  readonly side: SideFile
  readonly live: number
  readonly marker: Marker
  readonly log: FoundLog
  /** Damaged entries that are no longer needed. */
  readonly dropped: LogRange | null
  readonly audit: AuditTail
  readonly state: StateTables
  readonly recovered: Recovered
  readonly fatal: (error: Error) => void
}

const ARENA_BYTES = 262_144
/** An arena that grew beyond this for one large batch is given back. */
const ARENA_KEPT_BYTES = 33_554_432

export class VolumeStore implements Store {
  readonly recovered: Recovered
  readonly #opened: Opened
  readonly #marker: Marker
  readonly #log: LogTail
  readonly #reader: AuditReader
  #batch: VolumeBatch | null = null
  /** Where the next batch's keys and values stand; the other one belongs to the batch in flight. */
  #arena = new Writer(ARENA_BYTES)
  #spare = new Writer(ARENA_BYTES)
  #hardStateChanged = false
  #dirty = false
  #inFlight: Promise<void> | null = null
  #failed = false
  #syncedCheckpoint: number
  #forgetting: Promise<void> | null = null
  #closing: Promise<void> | null = null

  constructor(opened: Opened) {
    this.#opened = opened
    this.recovered = opened.recovered
    this.#marker = opened.marker
    this.#log = new LogTail(opened.live, opened.marker, opened.log)
    this.#reader = new AuditReader(opened.volume, opened.live, opened.audit)
    this.#syncedCheckpoint = opened.marker.checkpoint.index
    if (opened.dropped !== null) this.#forgetEntries(opened.dropped)
  }

  async *entries(from: LogIndex, to: LogIndex): AsyncGenerator<readonly Entry[]> {
    // The scan reads a view of this very moment: what is trimmed or replaced later is still in it.
    const { first } = this.#marker.log
    const last = this.#log.durable
    if (from < first || to > last) throw new NotInLog(from, to, first, last)
    yield* readLog(this.#opened.volume, this.#opened.live, { from, to })
  }

  /** The batch that what is staged now will travel in. */
  #next(): VolumeBatch {
    if (this.#failed || this.#closing !== null) throw new Error('the store no longer writes')
    this.#dirty = true
    this.#batch ??= this.#opened.volume.batch()
    return this.#batch
  }

  stageEntries(entries: readonly Entry[]): void {
    if (entries.length === 0) return
    if (entries[0]!.index <= this.#marker.checkpoint.index) {
      throw new RangeError(`entry ${entries[0]!.index} is at or below the checkpoint`)
    }
    this.#log.stage(entries, this.#next(), this.#arena)
  }

  stageHardState(state: HardState): void {
    const marker = this.#marker
    if (state.term < marker.term) throw new RangeError(`term ${state.term} is lower than ${marker.term}`)
    if (state.term === marker.term && state.votedFor === marker.votedFor) return
    this.#next()
    marker.term = state.term
    marker.votedFor = state.votedFor
    this.#hardStateChanged = true
  }

  stageEvents(events: readonly AuditEvent[]): readonly ChainedEvent[] {
    const { audit } = this.#opened
    const chained = audit.stage(events)
    if (audit.staged) {
      const batch = this.#next()
      if (audit.full) audit.seal(batch, this.#arena)
    }
    return chained
  }

  stageCheckpoint(applied: LogIndex, timeMs: ClusterMs): void {
    const { checkpoint, log } = this.#marker
    if (applied < checkpoint.index || applied > log.last) {
      throw new RangeError(`entry ${applied} is not within the checkpoint ${checkpoint.index} and the end ${log.last}`)
    }
    const { state, audit } = this.#opened
    if (audit.behind && applied > this.recovered.lastIndex) throw audit.shortfall()
    state.stage(this.#next(), this.#arena)
    const { seq, hash } = audit.chainEnd
    checkpoint.index = applied
    checkpoint.term = this.#log.termOf(applied)
    checkpoint.timeMs = timeMs
    checkpoint.rows = state.digest.rows
    checkpoint.digestLow = state.digest.digestLow
    checkpoint.digestHigh = state.digest.digestHigh
    checkpoint.auditSeq = seq
    checkpoint.auditHash = hash
  }

  stageTrimLog(first: LogIndex): void {
    if (first > this.#syncedCheckpoint + 1) {
      throw new RangeError(
        `entries below ${first} are still needed: the synced checkpoint is ${this.#syncedCheckpoint}`,
      )
    }
    const { log } = this.#marker
    if (first <= log.first) return
    this.#forgetEntries({ from: log.first, to: first - 1 })
    this.#log.trim(first)
  }

  #forgetEntries({ from, to }: LogRange): void {
    const batch = this.#next()
    for (let index = from; index <= to; index += 1) batch.del(seqKey(this.#opened.live, KIND.entry, index))
  }

  stageTrimAudit(through: AuditSeq): void {
    const { audit } = this.#opened
    if (through < audit.first) return
    audit.trim(through)
    this.#next()
    this.#forget()
  }

  /** Takes the rows of trimmed blocks away, in the background: they travel in later batches. */
  #forget(): void {
    if (this.#forgetting !== null) return
    const run = async (): Promise<void> => {
      const { audit, volume, live } = this.#opened
      for (let block = audit.takeForgotten(); block !== null; block = audit.takeForgotten()) {
        const keys = await forgetBlock(volume, live, block)
        if (this.#failed || this.#closing !== null) return
        const batch = this.#next()
        for (const key of keys) batch.del(key)
      }
    }
    this.#forgetting = run()
      .catch((error: Error) => this.#fail(error))
      .finally(() => {
        this.#forgetting = null
      })
  }

  get staged(): boolean {
    return this.#dirty
  }
  get flushing(): boolean {
    return this.#inFlight !== null
  }

  flush(done: () => void): void {
    if (this.#inFlight !== null) throw new Error('a flush is in flight')
    const batch = this.#next()
    const { audit, live } = this.#opened
    const marker = this.#marker
    audit.seal(batch, this.#arena)
    audit.mark(marker.audit)
    marker.flush += 1
    const key = plainKey(live, KIND.marker)
    const from = this.#arena.length
    this.#arena.reserve(1_024)
    this.#arena.length += ROW_HEAD_BYTES
    writeMarker(this.#arena, marker)
    const value = this.#arena.view(from)
    sealRow(key, value)
    batch.put(key, value)
    const sync = this.#hardStateChanged
    const side = { flush: marker.flush, term: marker.term, votedFor: marker.votedFor }
    const checkpoint = marker.checkpoint.index
    const last = marker.log.last
    audit.flushing()
    this.#log.flushing()
    this.#batch = null
    this.#dirty = false
    this.#hardStateChanged = false
    ;[this.#arena, this.#spare] = [this.#spare, this.#arena]
    const write = async (): Promise<void> => {
      await batch.commit()
      await this.#opened.side.write(side, sync)
    }
    const finish = (): void => {
      this.#inFlight = null
      if (this.#spare.buffer.length > ARENA_KEPT_BYTES) this.#spare = new Writer(ARENA_BYTES)
      this.#spare.clear()
      this.#syncedCheckpoint = checkpoint
      this.#log.flushed(last, checkpoint)
      audit.flushed()
      if (audit.blocks.length > 0 && this.#closing === null) this.#forget()
      done()
    }
    this.#inFlight = write()
    this.#inFlight.then(finish, (error: Error) => this.#fail(error))
  }

  #fail(error: Error): void {
    if (this.#failed) return
    this.#failed = true
    this.#opened.fatal(error)
  }

  readEvents(query: EventQuery): Promise<EventPage> {
    return this.#reader.read(query)
  }

  get audit() {
    const { audit } = this.#opened
    return { first: audit.first, last: audit.last, bytes: audit.bytes, oldestMs: clusterMs(audit.oldestMs) }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { side, volume, disk } = this.#opened
    await this.#inFlight?.catch(() => {})
    await this.#forgetting
    await side.close()
    await volume.close()
    await disk.close()
  }
}
