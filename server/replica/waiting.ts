/**
 * Who is owed the final answer of a queued acquire. The queue itself is the machine's and survives everything; this is
 * this member's memory of where to send the answer, and must never outlive the connection that it leads to.
 */
import type { WaiterId } from '@leasehold/protocol'
import type { Recipient } from './replica.js'

export interface Attached {
  readonly to: Recipient
  readonly id: number
  readonly attempt: number
}

export class Waiting {
  readonly #byWaiter = new Map<WaiterId, Attached>()
  readonly #byRecipient = new Map<Recipient, Set<WaiterId>>()

  get size(): number {
    return this.#byWaiter.size
  }

  /** Leads the waiter's answer to this attempt from now on. Returns an earlier attempt of somebody else that it replaces. */
  attach(waiter: WaiterId, attached: Attached): Attached | null {
    const before = this.#remove(waiter)
    this.#byWaiter.set(waiter, attached)
    let waiters = this.#byRecipient.get(attached.to)
    if (waiters === undefined) {
      waiters = new Set()
      this.#byRecipient.set(attached.to, waiters)
    }
    waiters.add(waiter)
    return before !== null && before.to !== attached.to ? before : null
  }

  /** The waiter has its answer: where to send it, or null where nobody here waits for it. */
  settle(waiter: WaiterId): Attached | null {
    return this.#remove(waiter)
  }

  /** The recipient is gone: its waiters, each to be reported lost. */
  detach(to: Recipient): readonly WaiterId[] {
    const waiters = this.#byRecipient.get(to)
    if (waiters === undefined) return []
    this.#byRecipient.delete(to)
    for (const waiter of waiters) this.#byWaiter.delete(waiter)
    return [...waiters]
  }

  /** Everybody, once: nothing waits here afterwards. */
  drain(): readonly Attached[] {
    const all = [...this.#byWaiter.values()]
    this.#byWaiter.clear()
    this.#byRecipient.clear()
    return all
  }

  #remove(waiter: WaiterId): Attached | null {
    const attached = this.#byWaiter.get(waiter)
    if (attached === undefined) return null
    this.#byWaiter.delete(waiter)
    const waiters = this.#byRecipient.get(attached.to)
    waiters?.delete(waiter)
    if (waiters?.size === 0) this.#byRecipient.delete(attached.to)
    return attached
  }
}
