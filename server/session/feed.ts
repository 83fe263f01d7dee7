/**
 * The stream of changes, for watches of both fronts (session frames and server-sent events). A watch is live, or it is
 * behind and reads pages of the audit until it has caught up; nothing is ever queued for a slow reader, it falls behind
 * instead. Must never skip an event, repeat one, or let one watch's reading hold up another's.
 */
import {
  type AuditSeq,
  auditSeq,
  type ChainedEvent,
  decodeCursor,
  type ErrorCode,
  encodeCursor,
  ProtocolError,
  type WatchQuery,
} from '@leasehold/protocol'
import type { Telemetry } from '../ports/index.js'
import type { Replica } from '../replica/index.js'
import type { SessionLimits } from './limits.js'

/** Who reads a watch. */
export interface WatchSink {
  /** In order, never empty. */
  events(events: readonly ChainedEvent[]): void
  /** The watch is over: nothing follows. */
  end(code: ErrorCode, detail: string): void
  /** Takes no more for now; `wake` tells the watch when it does. */
  readonly congested: boolean
}

const PAGES_AT_ONCE = 8

export class Feed {
  readonly replica: Replica
  readonly telemetry: Telemetry
  readonly limits: SessionLimits
  readonly #byPrefix = new Map<string, Set<Watch>>()
  readonly #due: Watch[] = []
  readonly #stop: () => void
  #reading = 0
  #count = 0

  constructor(replica: Replica, telemetry: Telemetry, limits: SessionLimits) {
    this.replica = replica
    this.telemetry = telemetry
    this.limits = limits
    this.#stop = replica.subscribe({ events: (events) => this.#publish(events) })
  }

  /**
   * From behind the cursor, or from now on where it is null. What is ahead of this member must be waited for first (`caughtUp`).
   * Throws ProtocolError INVALID_ARGUMENT (no cursor), CURSOR_COMPACTED, LIMIT_REACHED.
   */
  open(query: WatchQuery, sink: WatchSink): Watch {
    if (this.#count >= this.limits.watchesMax)
      throw new ProtocolError('LIMIT_REACHED', `at most ${this.limits.watchesMax} watches on a member`)
    const watch = new Watch(this, query.prefix, this.#start(query.cursor), sink)
    let same = this.#byPrefix.get(query.prefix)
    if (same === undefined) {
      same = new Set()
      this.#byPrefix.set(query.prefix, same)
    }
    same.add(watch)
    this.#count++
    watch.wake()
    return watch
  }

  /** Ends every watch without a word: their connections say goodbye themselves. */
  close(): void {
    this.#stop()
    for (const same of [...this.#byPrefix.values()]) for (const watch of [...same]) watch.close()
  }

  // for watches

  remove(watch: Watch): void {
    const same = this.#byPrefix.get(watch.prefix)
    if (!same?.delete(watch)) return
    this.#count--
    if (same.size === 0) this.#byPrefix.delete(watch.prefix)
  }

  /** Queues one page for a watch that is behind; the next one queues again, behind the others. */
  due(watch: Watch): void {
    this.#due.push(watch)
    this.#read()
  }

  #read(): void {
    while (this.#reading < PAGES_AT_ONCE) {
      const watch = this.#due.shift()
      if (watch === undefined) return
      this.#reading++
      void watch.page().finally(() => {
        this.#reading--
        this.#read()
      })
    }
  }

  #start(cursor: string | null): AuditSeq {
    const { audit, status } = this.replica
    if (cursor === null) return audit.last
    const seq = decodeCursor(cursor, status.clusterId)
    if (seq + 1 < audit.first || seq > audit.last)
      throw new ProtocolError('CURSOR_COMPACTED', 'cursor: what follows it is not kept here; start over without one')
    return auditSeq(seq)
  }

  #publish(events: readonly ChainedEvent[]): void {
    const last = events.at(-1)
    if (last === undefined) return
    for (const [prefix, watches] of this.#byPrefix) {
      const matching = prefix === '' ? events : events.filter((event) => event.name.startsWith(prefix))
      for (const watch of watches) watch.live(matching, last.seq)
    }
  }
}

export class Watch {
  readonly prefix: string
  readonly #feed: Feed
  readonly #sink: WatchSink
  /** Every event up to here was delivered, or is of another prefix. */
  #seq: AuditSeq
  #state: 'live' | 'behind' | 'paging' | 'closed' = 'behind'

  constructor(feed: Feed, prefix: string, seq: AuditSeq, sink: WatchSink) {
    this.#feed = feed
    this.prefix = prefix
    this.#seq = seq
    this.#sink = sink
  }

  /** Where a reader that has seen all that was delivered goes on. */
  get cursor(): string {
    return encodeCursor(this.#feed.replica.status.clusterId, this.#seq)
  }

  /** The sink takes events again. */
  wake(): void {
    if (this.#state !== 'behind') return
    if (this.#seq >= this.#feed.replica.audit.last) {
      this.#state = 'live'
      return
    }
    this.#state = 'paging'
    this.#feed.due(this)
  }

  /** Safe to call twice. */
  close(): void {
    this.#state = 'closed'
    this.#feed.remove(this)
  }

  // for the feed

  live(events: readonly ChainedEvent[], through: AuditSeq): void {
    if (this.#state !== 'live' || through <= this.#seq) return
    if (this.#sink.congested) {
      this.#state = 'behind'
      return
    }
    const fresh =
      events[0] !== undefined && events[0].seq <= this.#seq ? events.filter((e) => e.seq > this.#seq) : events
    this.#seq = through
    if (fresh.length > 0) this.#deliver(fresh)
  }

  /** Reads and delivers one page. Never rejects. */
  async page(): Promise<void> {
    if (this.#state !== 'paging') return
    const { replica } = this.#feed
    const through = replica.audit.last
    if (this.#seq + 1 < replica.audit.first) {
      this.#end('CURSOR_COMPACTED', 'events that this watch had not seen yet were trimmed')
      return
    }
    try {
      const page = await replica.readEvents({
        after: this.#seq,
        limit: this.#feed.limits.watchPage,
        ...(this.prefix !== '' && { prefix: this.prefix }),
      })
      if (this.#state !== 'paging') return
      this.#seq = page.next ?? auditSeq(Math.max(through, this.#seq, page.events.at(-1)?.seq ?? 0))
      this.#state = 'behind'
      if (page.events.length > 0) this.#deliver(page.events)
      if (!this.#sink.congested) this.wake()
    } catch (error) {
      if (error instanceof ProtocolError) this.#end(error.code, error.message)
      else {
        this.#feed.telemetry.log('error', 'watch.failed', { error })
        this.#end('INTERNAL', 'the history could not be read')
      }
    }
  }

  /** A sink that fails ends its own watch, not the feed of all others. */
  #deliver(events: readonly ChainedEvent[]): void {
    try {
      this.#sink.events(events)
    } catch (error) {
      this.#feed.telemetry.log('error', 'watch.failed', { error })
      this.close()
    }
  }

  #end(code: ErrorCode, detail: string): void {
    if (this.#state === 'closed') return
    this.close()
    this.#sink.end(code, detail)
  }
}
