/**
 * Pages of the audit. A page does a bounded amount of work and may be short, or empty, and yet have a next one. The history
 * of one name reads fingerprints first, and only the segments that mention the name. A page never leaves out what fails its
 * checks: it answers AUDIT_CORRUPT.
 */
import { auditSeq, type ChainedEvent, ProtocolError } from '@leasehold/protocol'
import type { Volume } from '../ports/index.js'
import type { AuditTail, BlockSummary } from './audit.js'
import { blockAt, type ReadSegment, segmentAt, segmentsFrom } from './readaudit.js'
import { Damage, type RefusalCode, StorageRefusal } from './refusal.js'
import { nameHash, type SegmentMention } from './segments.js'
import type { EventPage, EventQuery } from './store.js'

/** Work that one page may do. */
const SEGMENTS_MAX = 128
const EVENTS_MAX = 16_384
const BLOCKS_MAX = 64
/** Segments read from the volume at a time. */
const CHUNK_ROWS = 4

/** A page being filled. */
class Page {
  readonly events: ChainedEvent[] = []
  readonly #wanted: (event: ChainedEvent) => boolean
  readonly #limit: number
  /** Everything up to here was looked at. */
  covered: number
  #segmentsLeft = SEGMENTS_MAX
  #eventsLeft = EVENTS_MAX

  constructor(covered: number, limit: number, wanted: (event: ChainedEvent) => boolean) {
    this.covered = covered
    this.#limit = limit
    this.#wanted = wanted
  }

  get full(): boolean {
    return this.events.length >= this.#limit || this.#segmentsLeft <= 0 || this.#eventsLeft <= 0
  }

  /** Looks at events in order, those already covered left out. */
  look(events: readonly ChainedEvent[]): void {
    this.#segmentsLeft -= 1
    this.#eventsLeft -= events.length
    for (const event of events) {
      if (event.seq <= this.covered) continue
      if (this.events.length >= this.#limit) return
      this.covered = event.seq
      if (this.#wanted(event)) this.events.push(event)
    }
  }
}

export class AuditReader {
  readonly #volume: Volume
  readonly #live: number
  readonly #audit: AuditTail

  constructor(volume: Volume, live: number, audit: AuditTail) {
    this.#volume = volume
    this.#live = live
    this.#audit = audit
  }

  /** Throws ProtocolError AUDIT_CORRUPT where something in the page's way is damaged or missing. */
  async read(query: EventQuery): Promise<EventPage> {
    const { name, prefix } = query
    const wanted = (event: ChainedEvent): boolean =>
      (name === undefined || event.name === name) && (prefix === undefined || event.name.startsWith(prefix))
    const page = new Page(Math.max(query.after, this.#audit.first - 1), query.limit, wanted)
    const [durable, last, pending] = [this.#audit.durable, this.#audit.last, this.#audit.pending()]
    try {
      if (page.covered < durable) {
        if (name === undefined) await this.#readAll(page, durable)
        else await this.#readNamed(page, nameHash(name), durable)
      }
    } catch (error) {
      throw corrupt(error)
    }
    if (page.covered >= durable && !page.full) page.look(pending)
    return { events: page.events, next: page.covered < last ? auditSeq(page.covered) : null }
  }

  async #readAll(page: Page, durable: number): Promise<void> {
    for await (const segment of segmentsFrom(this.#volume, this.#live, page.covered + 1, durable, CHUNK_ROWS)) {
      page.look(segment.events)
      if (page.full) return
    }
  }

  async #readNamed(page: Page, hash: number, durable: number): Promise<void> {
    const { openFirst } = this.#audit
    const spans: { first: number; last: number; damaged: boolean }[] = this.#audit.blocks.filter(
      (block: BlockSummary) => block.last > page.covered && block.first <= durable,
    )
    if (openFirst <= durable) spans.push({ first: openFirst, last: durable, damaged: false })
    for (const [at, span] of spans.entries()) {
      if (at >= BLOCKS_MAX || page.full) return
      const mentions = span.damaged ? null : await this.#mentions(span.first)
      if (mentions === null) await this.#readSpan(page, Math.min(span.last, durable))
      else await this.#readMentioned(page, mentions, hash, durable)
    }
  }

  /** What a block says of its segments, or null where its row is damaged and the segments themselves must be read. */
  async #mentions(first: number): Promise<readonly SegmentMention[] | null> {
    const known = this.#audit.inMemory(first)
    if (known !== null) return known
    try {
      return (await blockAt(this.#volume, this.#live, first)).segments
    } catch {
      return null
    }
  }

  async #readMentioned(page: Page, mentions: readonly SegmentMention[], hash: number, durable: number): Promise<void> {
    for (const mention of mentions) {
      if (mention.last <= page.covered) continue
      if (page.full || mention.first > durable) return
      if (mention.names === null) {
        await this.#readSpan(page, Math.min(mention.last, durable))
      } else if (mention.names.includes(hash)) {
        const segment: ReadSegment = await segmentAt(this.#volume, this.#live, mention.first)
        if (segment.head.last !== mention.last) throw new Damage(`The audit from event ${mention.first} on is damaged.`)
        page.look(segment.events)
      } else {
        page.covered = mention.last
      }
    }
  }

  async #readSpan(page: Page, last: number): Promise<void> {
    if (page.covered >= last) return
    for await (const segment of segmentsFrom(this.#volume, this.#live, page.covered + 1, last, CHUNK_ROWS)) {
      page.look(segment.events)
      if (page.full) return
    }
  }
}

/** Damage of the audit, and nothing else, is AUDIT_CORRUPT. */
function corrupt(error: unknown): unknown {
  const damaged = error instanceof Damage || (error instanceof StorageRefusal && DAMAGES.has(error.code))
  return damaged ? new ProtocolError('AUDIT_CORRUPT', (error as Error).message) : error
}

const DAMAGES: ReadonlySet<RefusalCode> = new Set<RefusalCode>(['DAMAGED', 'MISSING_FILES'])
