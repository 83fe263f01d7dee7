/**
 * Snapshots as a log has them: hands the own state to members that lag too far, and takes a leader's over. While one is installed
 * nothing is written, acknowledged or applied here; afterwards the member goes on from it as from a start.
 */
import { ProtocolError } from '@leasehold/protocol'
import type { Clock, Telemetry } from '../ports/index.js'
import type { PeerId } from '../raft/index.js'
import type { IncomingSnapshot, Recovered, SnapshotHead, Store } from '../storage/index.js'
import { BULK, decodeBulk } from './bulk.js'
import { Handover } from './handover.js'
import type { Links } from './links.js'
import type { LogFollower } from './log.js'
import { Takeover } from './takeover.js'

export interface SnapshotsOptions {
  readonly store: Store
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly links: Links
  readonly follower: LogFollower
  /** Resolves once what is applied now is in a durable checkpoint. */
  readonly checkpointed: () => Promise<void>
  /** Consensus says that it brings something. */
  readonly needed: (head: SnapshotHead) => boolean
  /** Resolves once no write is under way; none begins, and nothing is applied, before resumed(). */
  readonly paused: () => Promise<void>
  /** Null: nothing has changed. */
  readonly resumed: (installed: Recovered | null, head: SnapshotHead) => void
  /** The follower could not be served. */
  readonly failed: (to: PeerId) => void
  /** The own store could not be read for it. */
  readonly broken: (error: unknown) => void
}

export class Snapshots {
  readonly #options: SnapshotsOptions
  readonly #handover: Handover
  readonly #takeover: Takeover

  constructor(options: SnapshotsOptions) {
    this.#options = options
    const { store, clock, telemetry, links, checkpointed, needed, failed, broken } = options
    const send = (to: PeerId, bytes: Uint8Array) => links.bulk(to, bytes)
    const nowMs = () => clock.monotonicMs()
    this.#handover = new Handover({ store, telemetry, nowMs, checkpointed, send, failed, broken })
    this.#takeover = new Takeover({
      store,
      telemetry,
      clock,
      send,
      needed,
      install: (incoming, head) => this.#install(incoming, head),
    })
  }

  /** These need one; an earlier one that is still on its way to them is given up. */
  start(peers: readonly PeerId[]): void {
    this.#handover.start(peers)
  }

  /** Throws ProtocolError for what is no piece of a snapshot. */
  message(from: PeerId, bytes: Uint8Array): void {
    const bulk = decodeBulk(bytes)
    if (bulk.kind === BULK.chunk) this.#takeover.chunk(from, bulk)
    else if (bulk.kind === BULK.taken) this.#handover.taken(from, bulk.transfer, bulk.seq)
    else this.#handover.refused(from, bulk.transfer)
  }

  room(peer: PeerId): void {
    this.#handover.room(peer)
  }

  linkDown(peer: PeerId): void {
    this.#handover.linkDown(peer)
    this.#takeover.linkDown(peer)
  }

  tick(): void {
    this.#handover.tick()
  }

  /** This member no longer leads. */
  follow(): void {
    this.#handover.stop()
  }

  close(): void {
    this.#handover.stop()
    this.#takeover.close()
  }

  async #install(incoming: IncomingSnapshot, head: SnapshotHead): Promise<void> {
    const { telemetry, follower, needed, paused, resumed } = this.#options
    await paused()
    let installed: Recovered | null = null
    try {
      if (!needed(head)) throw new ProtocolError('INVALID_ARGUMENT', 'it came too late')
      const tables = follower.replacement()
      installed = await incoming.install(tables)
      telemetry.log('info', 'snapshot installed', { index: head.index, from: head.memberId })
    } finally {
      resumed(installed, head)
    }
  }
}
