/**
 * What leaves this peer, and when. Promises (a vote, an acknowledgement, a request for votes that speaks of the log) leave
 * only once all that they rest on is durable; everything else leaves at once.
 *
 * It must never let a promise out before its write.
 */
import type { Log } from './log.js'
import {
  type Addressed,
  type HardState,
  type LogEntry,
  MESSAGE,
  type Message,
  type PeerId,
  type Write,
} from './types.js'

export class Outbox<E extends LogEntry> {
  readonly #log: Log<E>
  #messages: Addressed<E>[] = []
  /** These rest on what is staged, or under way, now. All of the current term; at most one acknowledgement. */
  #promises: Addressed<E>[] = []
  /** Not yet taken by a write. */
  #hardState: HardState | null = null
  /** Of the write under way. */
  #flying: HardState | null = null
  #inFlight = false
  #durable: HardState

  constructor(log: Log<E>, durable: HardState) {
    this.#log = log
    this.#durable = durable
  }

  /** What is on disk of term and vote. */
  get durable(): HardState {
    return this.#durable
  }
  get inFlight(): boolean {
    return this.#inFlight
  }

  send(to: PeerId, message: Message<E>): void {
    this.#messages.push({ to, message })
  }

  /** Leaves once everything that is staged or under way now is durable. */
  promise(to: PeerId, message: Message<E>): void {
    if (!this.#unsynced) {
      this.send(to, message)
      return
    }
    // The furthest acknowledgement says all that the others do; so they do not pile up behind a slow disk.
    const same = this.#promises.findIndex((p) => p.to === to && p.message.kind === message.kind)
    if (same < 0) this.#promises.push({ to, message })
    else if (!saysLess(message, this.#promises[same]!.message)) this.#promises[same] = { to, message }
  }

  /** Term or vote have changed. What was promised in an earlier term interests nobody any more. */
  stageHardState(state: HardState): void {
    const before = this.#hardState ?? this.#flying ?? this.#durable
    if (state.term > before.term) this.#promises = []
    this.#hardState = state
  }

  /** The campaign is over: nobody needs to vote. */
  withdrawRequests(): void {
    if (this.#promises.length > 0) this.#promises = this.#promises.filter((p) => p.message.kind !== MESSAGE.vote)
  }

  takeMessages(): readonly Addressed<E>[] {
    const out = this.#messages
    if (out.length > 0) this.#messages = []
    return out
  }

  takeWrite(): Write<E> | null {
    if (this.#inFlight || !this.#unsynced) return null
    const write = { hardState: this.#hardState, entries: this.#log.stage(), replies: this.#promises }
    this.#inFlight = true
    this.#flying = this.#hardState
    this.#hardState = null
    this.#promises = []
    return write
  }

  written(): void {
    if (!this.#inFlight) throw new Error('no write is under way')
    this.#inFlight = false
    this.#durable = this.#flying ?? this.#durable
    this.#flying = null
    this.#log.landed()
    if (this.#unsynced) return
    // These rested on the write that has just landed, and on nothing that is staged.
    for (const promise of this.#promises) this.#messages.push(promise)
    this.#promises = []
  }

  /** The log was replaced by a snapshot: what was to be written and acknowledged of it is of no meaning now. */
  restarted(): void {
    if (this.#inFlight) throw new Error('a snapshot is installed while nothing is being written')
    this.#promises = []
  }

  get #unsynced(): boolean {
    return this.#inFlight || this.#hardState !== null || this.#log.staged
  }
}

/** An acknowledgement that reaches less far than another one: of an append that came late, or twice. */
function saysLess<E extends LogEntry>(a: Message<E>, b: Message<E>): boolean {
  return a.kind === MESSAGE.appendReply && b.kind === MESSAGE.appendReply && a.index < b.index
}
