/**
 * The batches of this member that are on their way: numbered when they close, answered when they are applied here, and
 * sent again for as long as they are in doubt (another leader, another link). The machine executes each at most once, and none after
 * a later one: so what is still here when a later one is applied was never executed, and never will be.
 *
 * A batch that may have come into a log must never be answered as not executed.
 */
import { type Command, encodeCommands } from '@leasehold/protocol'
import type { Batch } from './batch.js'

export interface Pending {
  /** Within the run. */
  readonly number: number
  /** Null where only the member itself asked for something. */
  readonly batch: Batch | null
  /** So many of its commands, the first, are the member's own. */
  readonly own: number
  readonly commands: readonly Command[]
  readonly body: Uint8Array
  /** It is on its way to the leader of now, or in its log. */
  sent: boolean
  /** An earlier sending may still come, or have come, into a log. */
  doubt: boolean
}

export class Origin {
  #newest = 0
  /** In order. */
  readonly #pending: Pending[] = []
  #sent = 0

  get count(): number {
    return this.#pending.length
  }
  /** Of them, those that are on their way to the leader of now. */
  get sentCount(): number {
    return this.#sent
  }
  get allSent(): boolean {
    return this.#sent === this.#pending.length
  }

  /** Nothing joins these commands any more; they have their number. */
  close(batch: Batch | null, own: readonly Command[]): Pending {
    // Its own ones first: that a connection was lost comes before whatever its client asked for on the next one.
    const commands = batch === null ? own : own.length === 0 ? batch.commands : [...own, ...batch.commands]
    const number = ++this.#newest
    const body = encodeCommands(commands)
    const pending = { number, batch, own: own.length, commands, body, sent: false, doubt: false }
    this.#pending.push(pending)
    return pending
  }

  /** Hands over what has to be sent, in order, for as long as `send` takes it. */
  send(send: (pending: Pending) => boolean): void {
    if (this.allSent) return
    for (const pending of this.#pending) {
      if (pending.sent) continue
      if (!send(pending)) return
      pending.sent = true
      this.#sent++
    }
  }

  /** The way that they took is gone (the leader, the link): each may have arrived, or not. */
  lost(): void {
    for (const pending of this.#pending) {
      if (pending.sent) pending.doubt = true
      pending.sent = false
    }
    this.#sent = 0
  }

  /**
   * The leader did not take this sending. Returns the batch where no other sending of it can have arrived, and `give up` is asked for;
   * else it is to be sent again.
   */
  refused(number: number, giveUp: boolean): Pending | null {
    const at = this.#pending.findIndex((pending) => pending.number === number)
    const pending = this.#pending[at]
    if (pending?.sent !== true) return null
    pending.sent = false
    this.#sent--
    if (pending.doubt || !giveUp) return null
    this.#pending.splice(at, 1)
    return pending
  }

  /** Batch `number` was applied. Those in front of it were not, and never will be. */
  applied(number: number): { readonly done: Pending | null; readonly never: readonly Pending[] } {
    const never: Pending[] = []
    while (this.#pending.length > 0 && this.#pending[0]!.number <= number) {
      const pending = this.#pending.shift()!
      if (pending.sent) this.#sent--
      if (pending.number === number) return { done: pending, never }
      never.push(pending)
    }
    return { done: null, never }
  }

  /** Those up to this number, once: they are over, one way or the other. */
  through(number: number): readonly Pending[] {
    const over: Pending[] = []
    while (this.#pending.length > 0 && this.#pending[0]!.number <= number) {
      const pending = this.#pending.shift()!
      if (pending.sent) this.#sent--
      over.push(pending)
    }
    return over
  }

  /** All of them, once: nothing is on its way afterwards. */
  drain(): readonly Pending[] {
    this.#sent = 0
    return this.#pending.splice(0)
  }
}
