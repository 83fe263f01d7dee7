/**
 * A leader's part of handing a snapshot over: streams the state to members whose entries are no longer in the log, a window of chunks at a
 * time, each member its own stream. Whether it was installed the member says through consensus; here only what failed is told. Three
 * things fail, each with its own end: the receiver or the link, after which it is tried again; and the own store, which no repetition mends.
 */

import type { Telemetry } from '../ports/index.js'
import type { PeerId } from '../raft/index.js'
import type { Store } from '../storage/index.js'
import { BULK, encodeBulk } from './bulk.js'
import { REPLICA_LIMITS } from './limits.js'

export interface HandoverOptions {
  readonly store: Pick<Store, 'snapshot'>
  readonly telemetry: Telemetry
  readonly nowMs: () => number
  /** Resolves once what is applied now is in a durable checkpoint. */
  readonly checkpointed: () => Promise<void>
  /** False where there is no room now. */
  readonly send: (to: PeerId, bytes: Uint8Array) => boolean
  /** The receiver's part, or the link's: it may be tried again. */
  readonly failed: (to: PeerId) => void
  /** This member's own store cannot be read. */
  readonly broken: (error: unknown) => void
}

interface Transfer {
  readonly to: PeerId
  readonly id: number
  sent: number
  taken: number
  /** All of it was sent. */
  whole: boolean
  over: boolean
  /** The next chunk is being read: the own store is waited for, not the receiver. */
  reading: boolean
  /** Since anything moved. Gathered in clamped steps: waking up from a pause is nobody's silence. */
  idleMs: number
  wake: () => void
}

export class Handover {
  readonly #options: HandoverOptions
  readonly #transfers = new Map<PeerId, Transfer>()
  #lastId = 0
  #tickedMs: number

  constructor(options: HandoverOptions) {
    this.#options = options
    this.#tickedMs = options.nowMs()
  }

  start(peers: readonly PeerId[]): void {
    for (const to of peers) {
      this.#giveUp(this.#transfers.get(to))
      const transfer: Transfer = {
        ...{ to, id: ++this.#lastId, sent: 0, taken: 0, whole: false, over: false },
        ...{ reading: true, idleMs: 0, wake: () => {} },
      }
      this.#transfers.set(to, transfer)
      // The transfer stands: where this member goes on all the same, it is tried again as one that has stalled, seldom.
      this.#run(transfer).catch((error) => {
        transfer.reading = false
        this.#options.broken(error)
      })
    }
  }

  taken(from: PeerId, id: number, seq: number): void {
    const transfer = this.#of(from, id)
    if (transfer === null || seq >= transfer.sent) return
    transfer.taken = Math.max(transfer.taken, seq + 1)
    this.#moved(transfer)
  }

  /** Also after all of it was taken: it could not be installed. */
  refused(from: PeerId, id: number): void {
    const transfer = this.#of(from, id)
    if (transfer !== null) this.#fail(transfer)
  }

  room(peer: PeerId): void {
    this.#transfers.get(peer)?.wake()
  }

  linkDown(peer: PeerId): void {
    this.#giveUp(this.#transfers.get(peer))
  }

  /** No longer the leader. */
  stop(): void {
    for (const transfer of [...this.#transfers.values()]) this.#giveUp(transfer)
  }

  tick(): void {
    const nowMs = this.#options.nowMs()
    const gainMs = Math.min(nowMs - this.#tickedMs, REPLICA_LIMITS.gainMsMax)
    this.#tickedMs = nowMs
    for (const transfer of [...this.#transfers.values()]) {
      if (transfer.whole && transfer.taken === transfer.sent) continue
      // The last chunk is taken once all is installed.
      const installing = transfer.whole && transfer.taken === transfer.sent - 1
      const { snapshotStallMsMax, snapshotInstallMsMax } = REPLICA_LIMITS
      transfer.idleMs += gainMs
      if (transfer.idleMs < (installing ? snapshotInstallMsMax : snapshotStallMsMax)) continue
      if (transfer.reading) this.#options.broken(new Error(`a read hangs for ${snapshotStallMsMax / 1_000} s`))
      this.#fail(transfer)
    }
  }

  async #run(transfer: Transfer): Promise<void> {
    const { store, telemetry, checkpointed } = this.#options
    await checkpointed()
    if (transfer.over) return
    const snapshot = await store.snapshot()
    try {
      const { index } = snapshot.head
      telemetry.log('info', 'sending a snapshot', { to: transfer.to, index })
      for await (const chunk of snapshot.chunks()) {
        transfer.reading = false
        if (!(await this.#push(transfer, chunk))) return
        transfer.reading = true
        transfer.idleMs = 0
      }
      transfer.reading = false
      transfer.whole = true
      while (!transfer.over && transfer.taken < transfer.sent) await this.#next(transfer)
      if (!transfer.over) telemetry.log('info', 'snapshot sent', { to: transfer.to, index, chunks: transfer.sent })
    } finally {
      await snapshot.close()
    }
  }

  /** False once the transfer is over. */
  async #push(transfer: Transfer, chunk: Uint8Array): Promise<boolean> {
    const bytes = encodeBulk(BULK.chunk, transfer.id, transfer.sent, chunk)
    for (;;) {
      if (transfer.over) return false
      const open = transfer.sent - transfer.taken < REPLICA_LIMITS.snapshotWindow
      if (open && this.#options.send(transfer.to, bytes)) {
        transfer.sent++
        return true
      }
      await this.#next(transfer)
    }
  }

  #next(transfer: Transfer): Promise<void> {
    return new Promise((resolve) => {
      transfer.wake = resolve
    })
  }

  #moved(transfer: Transfer): void {
    transfer.idleMs = 0
    transfer.wake()
  }

  #of(peer: PeerId, id: number): Transfer | null {
    const transfer = this.#transfers.get(peer)
    return transfer?.id === id ? transfer : null
  }

  #fail(transfer: Transfer): void {
    if (this.#transfers.get(transfer.to) !== transfer) return
    this.#giveUp(transfer)
    this.#options.failed(transfer.to)
  }

  #giveUp(transfer: Transfer | undefined): void {
    if (transfer === undefined) return
    if (this.#transfers.get(transfer.to) === transfer) this.#transfers.delete(transfer.to)
    transfer.over = true
    transfer.wake()
  }
}
