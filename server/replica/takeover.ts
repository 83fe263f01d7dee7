/**
 * A member's part of taking a snapshot over: chunks in order from the one leader that it began with, acknowledged one by one, staged
 * beside what is live. What is out of order, of an old transfer, or not needed is given up, and said so.
 */
import type { Telemetry } from '../ports/index.js'
import type { PeerId } from '../raft/index.js'
import type { IncomingSnapshot, SnapshotHead, Store } from '../storage/index.js'
import { BULK, type Bulk, encodeBulk } from './bulk.js'

export interface TakeoverOptions {
  readonly store: Pick<Store, 'receiveSnapshot'>
  readonly telemetry: Telemetry
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
      this.#giveUp()
      transfer = { from, id, incoming: this.#options.store.receiveSnapshot(), next: 0, installing: false }
      this.#transfer = transfer
    }
    if (seq !== transfer.next) {
      this.#refuse(transfer, `chunk ${seq} after ${transfer.next - 1}`)
      return
    }
    transfer.next++
    this.#take(transfer, seq, chunk).catch((error) => this.#refuse(transfer, String(error)))
  }

  linkDown(peer: PeerId): void {
    if (this.#transfer?.from === peer && !this.#transfer.installing) this.#giveUp()
  }

  close(): void {
    if (this.#transfer?.installing !== true) this.#giveUp()
  }

  async #take(transfer: Transfer, seq: number, chunk: Uint8Array): Promise<void> {
    const { incoming, from, id } = transfer
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
