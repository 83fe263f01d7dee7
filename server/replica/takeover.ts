/**
 * A member's part of taking a snapshot over: chunks in order from the one leader that it began with, acknowledged one by one, staged
 * beside what is live. What is out of order, of an old transfer, or not needed is given up, and said so.
 *
 * To check a chunk takes the loop for some milliseconds, and there may be thousands: after each it rests for twice as long as that took, so
 * that the member is never deaf, and takes no more than a third of a processor from whatever serves beside it.
 */
import type { Clock, Telemetry } from '../ports/index.js'
import type { PeerId } from '../raft/index.js'
import type { IncomingSnapshot, SnapshotHead, Store } from '../storage/index.js'
import { BULK, type Bulk, encodeBulk } from './bulk.js'
import { REPLICA_LIMITS } from './limits.js'

export interface TakeoverOptions {
  readonly store: Pick<Store, 'receiveSnapshot'>
  readonly telemetry: Telemetry
  readonly clock: Pick<Clock, 'monotonicMs' | 'after'>
  readonly send: (to: PeerId, bytes: Uint8Array) => boolean
  /** Would bring something that is not here. */
  readonly needed: (head: SnapshotHead) => boolean
  /** All of it is there. Rejects where it could not be installed, and the old state stands. */
  readonly install: (incoming: IncomingSnapshot, head: SnapshotHead) => Promise<void>
}

interface Transfer {
  readonly from: PeerId
  readonly id: number
  readonly incoming: IncomingSnapshot
  next: number
  installing: boolean
  /** The chunks that have come are taken one after the other. */
  work: Promise<void>
}

export class Takeover {
  readonly #options: TakeoverOptions
  #transfer: Transfer | null = null

  constructor(options: TakeoverOptions) {
    this.#options = options
  }

  chunk(from: PeerId, { transfer: id, seq, chunk }: Bulk): void {
    let transfer = this.#transfer
    if (transfer?.installing) return
    if (transfer === null || transfer.from !== from || transfer.id !== id) {
      // The rest of a transfer that was given up.
      if (seq !== 0) return
      // Who sends the other one must not wait: a late piece of a deposed leader's may have come in between.
      if (transfer !== null) this.#refuse(transfer, `another one comes from ${from}`)
      const incoming = this.#options.store.receiveSnapshot()
      transfer = { from, id, incoming, next: 0, installing: false, work: Promise.resolve() }
      this.#transfer = transfer
    }
    if (seq !== transfer.next) {
      this.#refuse(transfer, `chunk ${seq} after ${transfer.next - 1}`)
      return
    }
    transfer.next++
    const taking = transfer
    transfer.work = transfer.work
      .then(() => this.#take(taking, seq, chunk))
      .catch((error) => this.#refuse(taking, String(error)))
  }

  linkDown(peer: PeerId): void {
    if (this.#transfer?.from === peer && !this.#transfer.installing) this.#giveUp()
  }

  close(): void {
    if (this.#transfer?.installing !== true) this.#giveUp()
  }

  async #take(transfer: Transfer, seq: number, chunk: Uint8Array): Promise<void> {
    if (this.#transfer !== transfer) return
    const { incoming, from, id } = transfer
    const { clock } = this.#options
    const startedMs = clock.monotonicMs()
    await incoming.add(chunk)
    if (this.#transfer !== transfer) return
    const { head } = incoming
    if (head === null || !this.#options.needed(head)) {
      this.#refuse(transfer, 'what it brings is here already')
      return
    }
    if (incoming.complete && seq === transfer.next - 1) {
      transfer.installing = true
      await this.#options.install(incoming, head)
      this.#transfer = null
    }
    // Of the last one only now: until then the leader keeps what follows, and notices where a refusal is lost.
    this.#options.send(from, encodeBulk(BULK.taken, id, seq))
    const { snapshotRest, snapshotRestMsMax } = REPLICA_LIMITS
    const restMs = Math.min(snapshotRest * (clock.monotonicMs() - startedMs), snapshotRestMsMax)
    await new Promise<void>((resolve) => void clock.after(restMs, resolve))
  }

  #refuse(transfer: Transfer, reason: string): void {
    if (this.#transfer !== transfer) return
    this.#options.telemetry.log('warn', 'snapshot given up', { from: transfer.from, reason })
    this.#options.send(transfer.from, encodeBulk(BULK.refused, transfer.id, transfer.next))
    this.#giveUp()
  }

  #giveUp(): void {
    const transfer = this.#transfer
    this.#transfer = null
    transfer?.incoming.abort().catch(() => {})
  }
}
