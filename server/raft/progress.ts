/** Where one follower stands, as its leader sees it, and what is on its way to it. */
import { type LogIndex, logIndex, type Term, term } from '@leasehold/protocol'
import type { RaftLimits } from './limits.js'
import type { PeerId } from './types.js'

/** Appends on their way: how far each reaches, and its bytes. A ring that is never allocated again. */
export class Window {
  readonly #bytesMax: number
  readonly #ends: Float64Array
  readonly #sizes: Float64Array
  #first = 0
  #count = 0
  #bytes = 0

  constructor(limits: RaftLimits) {
    this.#bytesMax = limits.windowBytesMax
    this.#ends = new Float64Array(limits.windowMessagesMax)
    this.#sizes = new Float64Array(limits.windowMessagesMax)
  }

  get open(): boolean {
    return this.#count < this.#ends.length && this.#bytes < this.#bytesMax
  }

  push(end: LogIndex, bytes: number): void {
    if (!this.open) throw new Error('the window is full')
    const at = (this.#first + this.#count++) % this.#ends.length
    this.#ends[at] = end
    this.#sizes[at] = bytes
    this.#bytes += bytes
  }

  /** All that reaches no further has arrived. */
  acknowledge(through: LogIndex): void {
    while (this.#count > 0 && this.#ends[this.#first]! <= through) {
      this.#bytes -= this.#sizes[this.#first]!
      this.#first = (this.#first + 1) % this.#ends.length
      this.#count--
    }
  }

  clear(): void {
    this.#count = 0
    this.#bytes = 0
  }
}

const NEVER = Number.NEGATIVE_INFINITY

export class Progress {
  readonly peer: PeerId
  readonly window: Window
  /**
   * probe: where the logs agree is not known; one append at a time asks. replicate: it is known; appends stream through the
   * window. snapshot: what it lacks is no longer in the log; nothing is sent until it has a snapshot. lost: its directory is behind what
   * it acknowledged; it is sent nothing more, and counts for nothing, until it is replaced.
   */
  state: 'probe' | 'replicate' | 'snapshot' | 'lost' = 'probe'
  /** Durable there, and the same as here. Never goes back in a term, but to 0 where it is lost. */
  match: LogIndex = logIndex(0)
  /** To be sent next. Above match. */
  next: LogIndex
  linked = true
  /** When it answered last, in the leader's ticks. */
  heardTick = NEVER
  /** The same, but never if its link has closed since. */
  presentTick = NEVER
  /** The newest round of reads that it has confirmed. */
  round = 0
  /** In probe: one is on its way; or none is worth sending before there is an entry to send with it, or an answer to a heartbeat. */
  paused = true
  /** When the last one was sent. */
  probedTick = NEVER
  /** In probe: nothing is sent before this tick; its snapshot has failed. In snapshot: when it is reminded. */
  retryTick = 0
  /** In snapshot: the one on its way holds at least this much. */
  offered: LogIndex = logIndex(0)
  offeredTerm: Term = term(0)
  /** Its entries are being read from the disk. */
  fetching = false
  /** It may have missed something: it is to be sent an append, be it empty, that shows. */
  nudge = false
  heartbeatDue = true
  /** It is to be reminded of `match`: it may have restarted since it acknowledged that, on another directory than it says. */
  reminderDue = false
  /** The highest commit it was told of in an append. */
  told: LogIndex = logIndex(0)

  constructor(peer: PeerId, next: LogIndex, limits: RaftLimits) {
    this.peer = peer
    this.next = next
    this.window = new Window(limits)
  }

  probe(next: LogIndex): void {
    this.state = 'probe'
    this.next = next
    this.paused = false
    this.told = logIndex(0)
    this.#restart()
  }

  replicate(): void {
    this.state = 'replicate'
    this.retryTick = 0
    this.next = logIndex(this.match + 1)
    this.#restart()
  }

  awaitSnapshot(offered: LogIndex, offeredTerm: Term): void {
    this.state = 'snapshot'
    this.offered = offered
    this.offeredTerm = offeredTerm
    this.#restart()
  }

  /** What it acknowledged is gone there: neither its match nor its presence stands for anything. */
  lose(): void {
    this.state = 'lost'
    this.match = logIndex(0)
    this.heardTick = NEVER
    this.presentTick = NEVER
    this.round = 0
    this.reminderDue = false
    this.#restart()
  }

  heard(nowTick: number): void {
    this.heardTick = nowTick
    this.presentTick = nowTick
  }

  #restart(): void {
    this.window.clear()
    this.nudge = false
  }
}
