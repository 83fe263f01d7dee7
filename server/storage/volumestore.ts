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
  logIndex,
  term,
} from '@leasehold/protocol'
import type { Entry } from '../machine/index.js'
import type { Disk, Volume, VolumeBatch } from '../ports/index.js'
import { Writer } from './bytes.js'
import { Exchange } from './exchange.js'
import { BEHIND_FILE } from './files.js'
import { forgetBlock } from './forget.js'
import { AuditReader } from './history.js'
import { encodeIdentity, type IdentityRecord } from './identity.js'
import { KIND, LIVE_KEY, plainKey, seqKey } from './keys.js'
import { type LiveRows, recoveredFrom } from './liverows.js'
import { LogTail } from './logtail.js'
import { type Marker, writeMarker } from './marker.js'
import { type LogRange, readLog } from './readlog.js'
import { StorageRefusal } from './refusal.js'
import { ROW_HEAD_BYTES, sealRow, wrapRow } from './rows.js'
import { type SideFile, type SideRecord, sideOf } from './sidefile.js'
import {
  type EventPage,
  type EventQuery,
  type HardState,
  type IncomingSnapshot,
  NotInLog,
  type OutgoingSnapshot,
  type Recovered,
  type Store,
} from './store.js'

/** What opening hands over. */
export interface Opened {
  readonly disk: Disk
  readonly volume: Volume
  readonly side: SideFile
  readonly identity: IdentityRecord
  readonly rows: LiveRows
  readonly fatal: (error: Error) => void
}

const ARENA_BYTES = 262_144
/** An arena that grew beyond this for one large batch is given back. */
const ARENA_KEPT_BYTES = 33_554_432

export class VolumeStore implements Store {
  readonly #opened: Opened
  #rows: LiveRows
  #recovered: Recovered
  #log: LogTail
  #reader: AuditReader
  #batch: VolumeBatch | null = null
  /** Where the next batch's keys and values stand; the other one belongs to the batch in flight. */
  #arena = new Writer(ARENA_BYTES)
  #spare = new Writer(ARENA_BYTES)
  #hardStateChanged = false
  #dirty = false
  #inFlight: Promise<void> | null = null
  #failed = false
  #syncedCheckpoint: number
  #syncedFlush: number
  readonly #exchange: Exchange
  #forgetting: Promise<void> | null = null
  #closing: Promise<void> | null = null

  constructor(opened: Opened) {
    const { rows, volume, identity } = opened
    this.#opened = opened
    this.#rows = rows
    this.#recovered = recoveredFrom(identity, rows)
    this.#log = new LogTail(rows)
    this.#reader = new AuditReader(volume, rows.live, rows.audit)
    this.#syncedCheckpoint = rows.marker.checkpoint.index
    this.#syncedFlush = rows.marker.flush
    if (rows.dropped !== null) this.#forgetEntries(rows.dropped)
    this.#exchange = new Exchange({
      volume,
      identity,
      live: () => this.#rows.live,
      appliedIndex: () => this.#syncedCheckpoint,
      switchTo: (fresh) => this.#switchTo(fresh),
      fatal: (error) => this.#fail(error),
    })
  }

  get recovered(): Recovered {
    return this.#recovered
  }
  get flushes(): number {
    return this.#syncedFlush
  }

  async *entries(from: LogIndex, to: LogIndex): AsyncGenerator<readonly Entry[]> {
    // The scan reads a view of this very moment: what is trimmed or replaced later is still in it.
    const { live, marker } = this.#rows
    const { first } = marker.log
    const last = this.#log.durable
    if (from < first || to > last) throw new NotInLog(from, to, first, last)
    yield* readLog(this.#opened.volume, live, { from, to })
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
    if (entries[0]!.index <= this.#rows.marker.checkpoint.index) {
      throw new RangeError(`entry ${entries[0]!.index} is at or below the checkpoint`)
    }
    this.#log.stage(entries, this.#next(), this.#arena)
  }

  stageHardState(state: HardState): void {
    const { marker } = this.#rows
    if (state.term < marker.term) throw new RangeError(`term ${state.term} is lower than ${marker.term}`)
    if (state.term === marker.term && state.votedFor === marker.votedFor) return
    this.#next()
    marker.term = state.term
    marker.votedFor = state.votedFor
    this.#hardStateChanged = true
  }

  stageEvents(events: readonly AuditEvent[]): readonly ChainedEvent[] {
    const { audit } = this.#rows
    const chained = audit.stage(events)
    if (audit.staged) {
      const batch = this.#next()
      if (audit.full) audit.seal(batch, this.#arena)
    }
    return chained
  }

  stageCheckpoint(applied: LogIndex, timeMs: ClusterMs): void {
    const { state, audit, marker } = this.#rows
    const { checkpoint, log } = marker
    if (applied < checkpoint.index || applied > log.last) {
      throw new RangeError(`entry ${applied} is not within the checkpoint ${checkpoint.index} and the end ${log.last}`)
    }
    if (audit.behind && applied > this.#recovered.lastIndex) throw audit.shortfall()
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

  stageTrimLog(wanted: LogIndex): LogIndex {
    const first = Math.min(wanted, this.#exchange.neededFrom)
    if (first > this.#syncedCheckpoint + 1) {
      throw new RangeError(
        `entries below ${first} are still needed: the synced checkpoint is ${this.#syncedCheckpoint}`,
      )
    }
    const { log } = this.#rows.marker
    if (first > log.first) {
      this.#forgetEntries({ from: log.first, to: first - 1 })
      this.#log.trim(first)
    }
    return logIndex(log.first)
  }

  #forgetEntries({ from, to }: LogRange): void {
    const batch = this.#next()
    for (let index = from; index <= to; index += 1) batch.del(seqKey(this.#rows.live, KIND.entry, index))
  }

  stageTrimAudit(through: AuditSeq): void {
    const { audit } = this.#rows
    if (through < audit.first) return
    audit.trim(through)
    this.#next()
    this.#forget()
  }

  /** Takes the rows of trimmed blocks away, in the background: they travel in later batches. */
  #forget(): void {
    if (this.#forgetting !== null) return
    const run = async (): Promise<void> => {
      const { volume } = this.#opened
      const { audit, live } = this.#rows
      for (let block = audit.takeForgotten(); block !== null; block = audit.takeForgotten()) {
        const keys = await forgetBlock(volume, live, block)
        if (this.#failed || this.#closing !== null || this.#rows.live !== live) return
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
    const { audit, live, marker } = this.#rows
    audit.seal(batch, this.#arena)
    audit.mark(marker.audit)
    this.#mark(batch, live, marker)
    const sync = this.#hardStateChanged
    const side = sideOf(marker)
    const checkpoint = marker.checkpoint.index
    const last = marker.log.last
    const log = this.#log
    audit.flushing()
    log.flushing()
    this.#batch = null
    this.#dirty = false
    this.#hardStateChanged = false
    ;[this.#arena, this.#spare] = [this.#spare, this.#arena]
    const finish = (): void => {
      this.#inFlight = null
      if (this.#spare.buffer.length > ARENA_KEPT_BYTES) this.#spare = new Writer(ARENA_BYTES)
      this.#spare.clear()
      this.#syncedCheckpoint = checkpoint
      this.#syncedFlush = side.flush
      log.flushed(last, checkpoint)
      audit.flushed()
      if (audit.blocks.length > 0 && this.#closing === null) this.#forget()
      done()
    }
    this.#inFlight = this.#write(batch, side, sync)
    this.#inFlight.then(finish, (error: Error) => this.#fail(error))
  }

  /** Puts the marker of the next batch into it. */
  #mark(batch: VolumeBatch, live: number, marker: Marker): void {
    marker.flush += 1
    const key = plainKey(live, KIND.marker)
    const from = this.#arena.length
    this.#arena.reserve(1_024)
    this.#arena.length += ROW_HEAD_BYTES
    writeMarker(this.#arena, marker)
    const value = this.#arena.view(from)
    sealRow(key, value)
    batch.put(key, value)
  }

  async #write(batch: VolumeBatch, side: SideRecord, sync: boolean): Promise<void> {
    await batch.commit()
    await this.#opened.side.write(side, sync)
  }

  #fail(error: Error): void {
    if (this.#failed) return
    this.#failed = true
    this.#opened.fatal(error)
  }

  async readEvents(query: EventQuery): Promise<EventPage> {
    const reader = this.#reader
    try {
      return await reader.read(query)
    } catch (error) {
      // A snapshot has taken the place of what was being read.
      if (reader === this.#reader) throw error
      return this.readEvents(query)
    }
  }

  snapshot(): Promise<OutgoingSnapshot> {
    return this.#exchange.send()
  }

  receiveSnapshot(): IncomingSnapshot {
    if (this.#failed || this.#closing !== null) throw new Error('the store no longer writes')
    return this.#exchange.receive()
  }

  /** Makes what was received the live rows: one batch with the row that names them, their marker, and the identity. */
  async #switchTo(rows: LiveRows): Promise<Recovered> {
    while (this.#inFlight !== null) await this.#inFlight
    if (this.#failed || this.#closing !== null)
      throw new StorageRefusal('BAD_COPY', 'It came to a store that is being closed.')
    const { live, marker } = rows
    const old = this.#rows.marker
    if (marker.term > old.term)
      throw new RangeError(`a snapshot of term ${marker.term} came to a log of term ${old.term}`)
    Object.assign(marker, { flush: old.flush, term: old.term, votedFor: old.votedFor })
    this.#arena.clear()
    this.#batch = null
    const batch = this.#opened.volume.batch()
    const identity = plainKey(live, KIND.identity)
    batch.put(LIVE_KEY, wrapRow(LIVE_KEY, Uint8Array.of(live)))
    batch.put(identity, wrapRow(identity, encodeIdentity(this.#opened.identity)))
    this.#mark(batch, live, marker)
    this.#inFlight = this.#write(batch, sideOf(marker), true)
    await this.#inFlight
    this.#inFlight = null
    this.#arena.clear()
    this.#batch = null
    this.#dirty = false
    this.#hardStateChanged = false
    this.#adopt(rows)
    // A vote that was staged while the switch was under way stands.
    if (old.term > marker.term || old.votedFor !== marker.votedFor) {
      this.stageHardState({ term: term(old.term), votedFor: old.votedFor })
    }
    return this.#recovered
  }

  #adopt(rows: LiveRows): void {
    const { volume, identity } = this.#opened
    this.#rows = rows
    this.#recovered = recoveredFrom(identity, rows)
    this.#log = new LogTail(rows)
    this.#reader = new AuditReader(volume, rows.live, rows.audit)
    this.#syncedCheckpoint = rows.marker.checkpoint.index
    this.#syncedFlush = rows.marker.flush
  }

  async disown(found: string): Promise<StorageRefusal> {
    await this.#opened.disk.replaceFile(BEHIND_FILE, new TextEncoder().encode(found))
    return new StorageRefusal('BEHIND', found)
  }

  freeBytes(): Promise<number> {
    return this.#opened.disk.freeBytes()
  }

  get audit() {
    const { audit } = this.#rows
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
    await this.#exchange.close()
    await side.close()
    await volume.close()
    await disk.close()
  }
}
