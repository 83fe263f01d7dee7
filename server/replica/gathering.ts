/**
 * Where commands gather while the log is busy: a short queue of bounded batches. The first one closes next, the last
 * one grows. Bounded in count and bytes; whoever finds it full is refused at once.
 */
import { type ClientCommand, OP } from '@leasehold/protocol'
import { Batch, type Refuse } from './batch.js'
import { REPLICA_LIMITS } from './limits.js'
import type { Recipient } from './replica.js'

/** About what a command takes in the log: enough to bound it, never exact. */
export function roughBytes(command: ClientCommand): number {
  const bytes = 48 + command.principal.length
  switch (command.op) {
    case OP.acquire:
      return bytes + 64 + command.name.length + command.holder.length + (command.meta?.length ?? 0) * 3
    case OP.transfer:
      return bytes + command.name.length + command.to.length
    case OP.cancelWait:
      return bytes + command.scope.length + 32
    case OP.quotaSet:
      return bytes + 256 + command.name.length + 600 * command.spec.keys.length
    default:
      return bytes + command.name.length
  }
}

export interface GatheringOptions {
  readonly batchCommandsMax?: number
  readonly batchBytesMax?: number
  readonly batchesMax?: number
}

export class Gathering {
  readonly #commandsMax: number
  readonly #bytesMax: number
  readonly #batchesMax: number
  readonly #batches: Batch[] = []
  /** Number of the newest batch that was ever opened. */
  newest = 0

  constructor(options: GatheringOptions = {}) {
    this.#commandsMax = options.batchCommandsMax ?? REPLICA_LIMITS.batchCommandsMax
    this.#bytesMax = options.batchBytesMax ?? REPLICA_LIMITS.batchBytesMax
    this.#batchesMax = options.batchesMax ?? REPLICA_LIMITS.batchesMax
  }

  get empty(): boolean {
    return this.#batches.length === 0
  }

  /** The batch that closes next, as it has gathered so far. */
  get next(): Batch | null {
    return this.#batches[0] ?? null
  }

  /** False, with nothing added, when everything is full. */
  add(command: ClientCommand, to: Recipient, id: number, attempt: number, deadlineMs: number, nowMs: () => number) {
    const bytes = roughBytes(command)
    let last = this.#batches.at(-1)
    if (last === undefined || last.count >= this.#commandsMax || last.bytes + bytes > this.#bytesMax) {
      if (this.#batches.length >= this.#batchesMax) return false
      last = new Batch(++this.newest)
      last.openedMs = nowMs()
      this.#batches.push(last)
    }
    last.add(command, bytes, to, id, attempt, deadlineMs)
    return true
  }

  /** Nothing closes for now: what is past its deadline by this time is refused, and need not wait any longer. */
  expire(nowMs: number, refuse: Refuse): void {
    for (const batch of this.#batches) batch.expire(nowMs, refuse)
    while (this.#batches.length > 0 && this.#batches[0]!.count === 0) this.#batches.shift()
  }

  /** The batch that closes next leaves; null where nothing has gathered. */
  take(): Batch | null {
    return this.#batches.shift() ?? null
  }
}
