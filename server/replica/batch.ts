/**
 * The commands that will travel in one entry, with what is needed to answer them, as parallel arrays: nothing is
 * allocated per command. A batch is stamped when it closes, and nothing joins it afterwards.
 */
import type { ClientCommand } from '@leasehold/protocol'
import type { Recipient } from './replica.js'

/** Tells the sender of a command that it was not executed. */
export type Refuse = (to: Recipient, id: number, attempt: number) => void

export class Batch {
  /** Batches are numbered in the order in which they gather, and are answered in it. */
  readonly number: number
  readonly commands: ClientCommand[] = []
  readonly recipients: Recipient[] = []
  readonly ids: number[] = []
  readonly attempts: number[] = []
  readonly #deadlinesMs: number[] = []
  #earliestMs = Number.POSITIVE_INFINITY
  #closed = false
  bytes = 0
  /** When the first command joined, on the monotonic clock. */
  openedMs = 0

  constructor(number: number) {
    this.number = number
  }

  get count(): number {
    return this.commands.length
  }

  add(command: ClientCommand, bytes: number, to: Recipient, id: number, attempt: number, deadlineMs: number): void {
    if (this.#closed) throw new Error('nothing joins a batch after it closed')
    this.commands.push(command)
    this.recipients.push(to)
    this.ids.push(id)
    this.attempts.push(attempt)
    this.#deadlinesMs.push(deadlineMs)
    if (deadlineMs < this.#earliestMs) this.#earliestMs = deadlineMs
    this.bytes += bytes
  }

  /** Refuses what is past its deadline, and lets nothing in any more. Afterwards every command here is proposed. */
  close(nowMs: number, refuse: Refuse): void {
    this.#closed = true
    this.expire(nowMs, refuse)
  }

  /** Refuses what is past its deadline. Never after the close. */
  expire(nowMs: number, refuse: Refuse): void {
    if (this.#earliestMs >= nowMs) return
    this.#earliestMs = Number.POSITIVE_INFINITY
    let kept = 0
    for (let i = 0; i < this.commands.length; i++) {
      if (this.#deadlinesMs[i]! < nowMs) {
        refuse(this.recipients[i]!, this.ids[i]!, this.attempts[i]!)
        continue
      }
      this.commands[kept] = this.commands[i]!
      this.recipients[kept] = this.recipients[i]!
      this.ids[kept] = this.ids[i]!
      this.attempts[kept] = this.attempts[i]!
      this.#deadlinesMs[kept] = this.#deadlinesMs[i]!
      this.#earliestMs = Math.min(this.#earliestMs, this.#deadlinesMs[i]!)
      kept++
    }
    this.commands.length = this.recipients.length = this.ids.length = this.attempts.length = kept
    this.#deadlinesMs.length = kept
  }
}
