/**
 * Batches of other members that wait for the leader's next close. Bounded in count and bytes; what is not taken in is refused
 * over the link, and was not executed. Each is decoded once, here. Nothing is kept beyond the term that it came for.
 */
import {
  type Command,
  decodeCommands,
  memberOf,
  type PeerId,
  ProtocolError,
  type Run,
  type Term,
} from '@leasehold/protocol'
import { FORWARD, type ForwardedBatch, type ForwardRefusal, REFUSAL, type RefusalReason } from './forwards.js'
import { REPLICA_LIMITS } from './limits.js'

export interface Inbound {
  readonly from: PeerId
  readonly member: string
  readonly run: Run
  readonly batch: number
  readonly commands: readonly Command[]
  readonly body: Uint8Array
}

export class InboundQueue {
  #term: Term | null = null
  #queue: Inbound[] = []
  #bytes = 0
  readonly #refuse: (to: PeerId, refusal: ForwardRefusal) => void

  constructor(refuse: (to: PeerId, refusal: ForwardRefusal) => void) {
    this.#refuse = refuse
  }

  get empty(): boolean {
    return this.#queue.length === 0
  }

  lead(term: Term): void {
    this.follow()
    this.#term = term
  }

  /** No longer the leader: what has not been appended never will be. */
  follow(): void {
    for (const { from, run, batch } of this.#queue) this.#say(from, run, batch, REFUSAL.notLeading)
    this.#queue = []
    this.#bytes = 0
    this.#term = null
  }

  /** False where it was refused. Throws ProtocolError for what is no batch of that peer. */
  offer(from: PeerId, message: ForwardedBatch): boolean {
    const { term, member, run, batch, body } = message
    const full =
      this.#queue.length >= REPLICA_LIMITS.inboundMax || this.#bytes + body.length > REPLICA_LIMITS.inboundBytesMax
    if (term !== this.#term || full) {
      this.#say(from, run, batch, term !== this.#term ? REFUSAL.notLeading : REFUSAL.full, term)
      return false
    }
    if (member !== memberOf(from)) throw new ProtocolError('INVALID_ARGUMENT', `${from} sent a batch of ${member}`)
    this.#queue.push({ from, member, run, batch, commands: decodeCommands(body), body })
    this.#bytes += body.length
    return true
  }

  /** All of it: it is appended now. */
  take(): readonly Inbound[] {
    const taken = this.#queue
    this.#queue = []
    this.#bytes = 0
    return taken
  }

  #say(to: PeerId, run: Run, batch: number, reason: RefusalReason, term = this.#term): void {
    if (term !== null) this.#refuse(to, { kind: FORWARD.refusal, term, run, batch, reason })
  }
}
