/**
 * The growing end of the audit: chains events, gathers them into segments and these into blocks, and remembers what is not
 * durable yet. Events that a replay brings forth again are only compared with what is stored: the chain must meet.
 */
import { type AuditEvent, type AuditSeq, auditSeq, type ChainedEvent, sharedEventBytes } from '@leasehold/protocol'
import type { VolumeBatch } from '../ports/index.js'
import { Writer } from './bytes.js'
import { Chain, hexOf } from './chain.js'
import { KIND, seqKey } from './keys.js'
import type { Marker } from './marker.js'
import { StorageRefusal } from './refusal.js'
import { sealRow } from './rows.js'
import {
  type Block,
  encodeBlock,
  namesIn,
  OpenBlock,
  SEGMENT_BYTES_MAX,
  SEGMENT_EVENTS_MAX,
  type SegmentMention,
  writeSegment,
} from './segments.js'

/** What memory keeps of a closed block. */
export interface BlockSummary {
  readonly first: number
  readonly last: number
  readonly firstMs: number
  readonly lastMs: number
  readonly bytes: number
  /** Its row fails its checks: its segments are read instead. */
  readonly damaged: boolean
}

export class AuditTail {
  readonly #live: number
  readonly #chain: Chain
  /** While a replay catches up: where it has to meet what is stored. */
  #meeting: { readonly seq: number; readonly hash: string } | null
  #first: number
  /** Of the chain. Behind `#stored` during a replay. */
  #last: number
  /** Last event that was staged, ever. */
  #stored: number
  #durable: number
  #closedBytes = 0
  /** Closed blocks, in order. */
  readonly blocks: BlockSummary[] = []
  /** Closed blocks whose rows may not be durable yet. */
  #closing: Block[] = []
  readonly #open = new OpenBlock()
  /** Sealed or not, but not durable. */
  #pending: ChainedEvent[] = []
  #unsealed: ChainedEvent[] = []
  readonly #body = new Writer(65_536)
  /** Events of the batch in flight, at the head of `#pending`. */
  #inFlight = 0

  constructor(live: number, marker: Marker) {
    const { checkpoint, audit } = marker
    this.#live = live
    const behind = checkpoint.auditSeq < audit.last
    this.#chain = new Chain(hexOf(behind ? checkpoint.auditHash : audit.lastHash))
    this.#meeting = behind ? { seq: audit.last, hash: hexOf(audit.lastHash) } : null
    this.#first = audit.first
    this.#last = behind ? checkpoint.auditSeq : audit.last
    this.#stored = audit.last
    this.#durable = audit.last
  }

  get first(): AuditSeq {
    return auditSeq(this.#first)
  }
  get last(): AuditSeq {
    return auditSeq(this.#stored)
  }
  /** Up to here the volume holds it. */
  get durable(): number {
    return this.#durable
  }
  get bytes(): number {
    const oldest = this.blocks[0]
    const trimmed = oldest === undefined ? 0 : Math.max(0, this.#first - oldest.first)
    const share = oldest === undefined ? 0 : Math.min(1, trimmed / (oldest.last - oldest.first + 1))
    return Math.round(this.#closedBytes - share * (oldest?.bytes ?? 0) + this.#open.bytes + this.#body.length)
  }
  /** Cluster time of the oldest event, or of one not much before it. */
  get oldestMs(): number {
    const oldest = this.blocks.find((block) => block.last >= this.#first)
    return oldest?.firstMs ?? this.#open.firstMs
  }
  get staged(): boolean {
    return this.#unsealed.length > 0
  }
  /** A replay has not brought forth yet all that is stored. */
  get behind(): boolean {
    return this.#meeting !== null
  }
  /** The refusal of a replay that came to its end and is behind. */
  shortfall(): StorageRefusal {
    return new StorageRefusal(
      'DAMAGED',
      `Replaying the log brings forth the audit up to event ${this.#last} only; it is stored up to event ${this.#stored}.`,
    )
  }
  /** Events that are not durable yet, in order. A copy. */
  pending(): readonly ChainedEvent[] {
    return this.#pending.slice()
  }
  /** Where the chain stands now, for a checkpoint. */
  get chainEnd(): { readonly seq: number; readonly hash: Uint8Array } {
    return { seq: this.#last, hash: Buffer.from(this.#chain.head, 'hex') }
  }

  /** Opening found this closed block. */
  foundBlock(block: BlockSummary): void {
    this.blocks.push(block)
    this.#closedBytes += block.bytes
  }

  /** Opening found this segment of the open block. */
  foundOpen(segment: SegmentMention, firstMs: number, lastMs: number): void {
    this.#open.add(segment, firstMs, lastMs)
  }

  /** Chains the events, and returns the new ones. Throws RangeError where their numbers do not continue. */
  stage(events: readonly AuditEvent[]): ChainedEvent[] {
    const chained: ChainedEvent[] = []
    for (const event of events) {
      if (event.seq !== this.#last + 1) throw new RangeError(`event ${event.seq} does not follow ${this.#last}`)
      const canonical = sharedEventBytes(event)
      const previousHash = this.#chain.head
      const linked = chainedEvent(event, previousHash, this.#chain.add(canonical))
      this.#last += 1
      if (this.#meeting !== null) {
        this.#meet(this.#meeting)
        continue
      }
      chained.push(linked)
      this.#gather(linked, canonical)
    }
    return chained
  }

  #meet(meeting: { readonly seq: number; readonly hash: string }): void {
    if (this.#last < meeting.seq) return
    if (this.#chain.head !== meeting.hash) {
      throw new StorageRefusal(
        'DAMAGED',
        `Replaying the log brings forth another audit than the stored one, at or before event ${meeting.seq}.`,
      )
    }
    this.#meeting = null
  }

  #gather(event: ChainedEvent, canonical: Uint8Array): void {
    this.#body.u32(canonical.length)
    this.#body.bytes(canonical)
    this.#unsealed.push(event)
    this.#pending.push(event)
    this.#stored = event.seq
  }

  /** True once the events gathered fill a segment. */
  get full(): boolean {
    return this.#unsealed.length >= SEGMENT_EVENTS_MAX || this.#body.length >= SEGMENT_BYTES_MAX
  }

  /** Puts the events gathered so far into the batch, as one segment. */
  seal(batch: VolumeBatch, writer: Writer): void {
    const events = this.#unsealed
    if (events.length === 0) return
    const [first, last] = [events[0]!, events[events.length - 1]!]
    const from = writer.length
    writer.u32(0)
    const head = {
      count: events.length,
      first: first.seq,
      last: last.seq,
      firstMs: first.clusterMs,
      lastMs: last.clusterMs,
      previous: first.previousHash,
      hash: last.hash,
    }
    writeSegment(writer, head, this.#body.view(0))
    const key = seqKey(this.#live, KIND.segment, first.seq)
    const value = writer.view(from)
    sealRow(key, value)
    batch.put(key, value)
    const names = namesIn(events)
    this.foundOpen({ first: first.seq, last: last.seq, bytes: value.length, names }, first.clusterMs, last.clusterMs)
    this.#unsealed = []
    this.#body.clear()
    if (this.#open.full) this.#closeBlock(batch)
  }

  #closeBlock(batch: VolumeBatch): void {
    const { bytes } = this.#open
    const block = this.#open.close()
    const { key, value } = encodeBlock(this.#live, block)
    batch.put(key, value)
    const { first, last, firstMs, lastMs } = block
    this.blocks.push({ first, last, firstMs, lastMs, bytes, damaged: false })
    this.#closing.push(block)
    this.#closedBytes += bytes
  }

  /** Writes its part of the marker. Everything gathered must have been sealed. */
  mark(marker: Marker['audit']): void {
    marker.first = this.#first
    marker.last = this.#stored
    if (this.#meeting === null) marker.lastHash = Buffer.from(this.#chain.head, 'hex')
    marker.openFirst = this.#open.first ?? this.#stored + 1
  }

  /** A batch with all that was sealed so far starts. */
  flushing(): void {
    this.#inFlight = this.#pending.length
  }

  /** It is durable. */
  flushed(): void {
    if (this.#inFlight > 0) {
      this.#durable = this.#pending[this.#inFlight - 1]!.seq
      this.#pending = this.#pending.slice(this.#inFlight)
      this.#inFlight = 0
    }
    this.#closing = this.#closing.filter((block) => block.last > this.#durable)
  }

  /** Segments of the open block, and of blocks whose rows are not durable yet. */
  inMemory(first: number): readonly SegmentMention[] | null {
    if (this.#open.first === first) return this.#open.segments.slice()
    return this.#closing.find((block) => block.first === first)?.segments ?? null
  }

  get openFirst(): number {
    return this.#open.first ?? this.#stored + 1 - this.#unsealed.length
  }

  /** Readers see nothing up to and including `through` any more. */
  trim(through: number): void {
    if (through > this.#stored) throw new RangeError(`event ${through} is not there yet`)
    this.#first = Math.max(this.#first, through + 1)
  }

  /** Takes the first block off the list once it lies wholly below what readers see. */
  takeForgotten(): BlockSummary | null {
    const block = this.blocks[0]
    if (block === undefined || block.last >= this.#first || block.last > this.#durable) return null
    this.blocks.shift()
    this.#closedBytes -= block.bytes
    return block
  }
}

/** Field by field: at tens of thousands of events a second, spreading the event into a larger object costs more than its hash. */
function chainedEvent(event: AuditEvent, previousHash: string, hash: string): ChainedEvent {
  return {
    seq: event.seq,
    type: event.type,
    name: event.name,
    holder: event.holder,
    token: event.token,
    reason: event.reason,
    cause: event.cause,
    principal: event.principal,
    wallMs: event.wallMs,
    clusterMs: event.clusterMs,
    member: event.member,
    term: event.term,
    renewals: event.renewals,
    vacant: event.vacant,
    previousHash,
    hash,
  }
}
