/**
 * The links to the other members as the log uses them: consensus messages, batches on their way to the leader. What arrives and
 * cannot be understood is dropped with a warning, as if it had been lost; but for entries of a format that is not known here: they would come
 * again and again, and this member would stand still for good while it seems to take part.
 */
import { type Configuration, FIRST_FORMAT, FORMATS, type PeerId, ProtocolError, peersOf } from '@leasehold/protocol'
import { CHANNEL, type Channel, type Telemetry, type Transport, type TransportListener } from '../ports/index.js'
import type { Addressed, Message } from '../raft/index.js'
import type { Forward } from './forwards.js'
import type { ReplicaEntry } from './logentry.js'
import { decodeForward, decodeMessage, encodeForward, encodeMessage, NewerEntry } from './messages.js'

export interface LinksOptions {
  /** Null where there are no other members, and never will be. */
  readonly transport: Transport | null
  readonly telemetry: Telemetry
  /** Of a directory that no configuration names as far as it knows: where the members are. */
  readonly introduced?: Readonly<Record<PeerId, string>>
}

export interface LinksListener {
  step(from: PeerId, message: Message<ReplicaEntry>): void
  forwarded(from: PeerId, message: Forward): void
  bulk(from: PeerId, bytes: Uint8Array): void
  bulkRoom(peer: PeerId): void
  changed(peer: PeerId, change: 'up' | 'down' | 'room'): void
  /** This version is too old for what the cluster uses: the process must end. */
  outdated(error: Error): void
}

export class Links implements TransportListener {
  readonly #transport: Transport | null
  readonly #telemetry: Telemetry
  readonly #listener: LinksListener
  #format = FIRST_FORMAT
  readonly #introduced: Readonly<Record<PeerId, string>>

  constructor({ transport, telemetry, introduced = {} }: LinksOptions, listener: LinksListener) {
    this.#transport = transport
    this.#telemetry = telemetry
    this.#introduced = introduced
    this.#listener = listener
  }

  async start(): Promise<void> {
    await this.#transport?.start(this)
  }

  /**
   * Whom to keep links with: all of them but this member itself. Who catches up sees old configurations first. They name neither this member
   * nor, perhaps, anybody who is still there: until one does, those who introduced the cluster are kept, or nothing more would come.
   */
  keep(self: PeerId, configuration: Configuration): void {
    const introduced = peersOf(configuration).includes(self) ? {} : this.#introduced
    const others = Object.entries({ ...introduced, ...configuration.addresses }).filter(([peer]) => peer !== self)
    this.#transport?.peers(others.map(([peer, address]) => ({ peer, address })))
  }

  /** The cluster uses this format. Called often. */
  speakFrom(format: number): void {
    if (format <= this.#format) return
    this.#format = format
    this.#telemetry.log('info', 'format in use', { format })
    this.#transport?.speakFrom(format)
  }

  /** Leave at once, before this member's own disk is asked. What cannot be sent now is dropped: consensus says it again. */
  messages(all: readonly Addressed<ReplicaEntry>[]): void {
    if (this.#transport === null) return
    let last: Message<ReplicaEntry> | null = null
    let bytes: Uint8Array | null = null
    for (const { to, message } of all) {
      if (!this.#transport.linked(to)) continue
      // Peers that get the same get the same object, one after the other.
      if (message !== last || bytes === null) bytes = encodeMessage(message)
      last = message
      this.#transport.send(to, CHANNEL.raft, bytes)
    }
    if (last !== null) this.#transport.flush()
  }

  forward(to: PeerId, message: Forward): boolean {
    if (this.#transport?.linked(to) !== true) return false
    return this.#transport.send(to, CHANNEL.forward, encodeForward(message))
  }

  bulk(to: PeerId, bytes: Uint8Array): boolean {
    return this.#transport?.linked(to) === true && this.#transport.send(to, CHANNEL.bulk, bytes)
  }

  async close(): Promise<void> {
    await this.#transport?.close()
  }

  message(from: PeerId, channel: Channel, bytes: Uint8Array): void {
    try {
      if (channel === CHANNEL.raft) this.#listener.step(from, decodeMessage(bytes))
      else if (channel === CHANNEL.forward) this.#listener.forwarded(from, decodeForward(bytes))
      else this.#listener.bulk(from, bytes)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      if (error instanceof NewerEntry) this.#listener.outdated(outdated(from, error))
      this.#telemetry.log('warn', 'message not understood', { from, reason: error.message })
    }
  }

  linkUp(peer: PeerId): void {
    this.#listener.changed(peer, 'up')
  }
  linkDown(peer: PeerId): void {
    this.#listener.changed(peer, 'down')
  }
  room(peer: PeerId, channel: Channel): void {
    if (channel === CHANNEL.forward) this.#listener.changed(peer, 'room')
    if (channel === CHANNEL.bulk) this.#listener.bulkRoom(peer)
  }
}

function outdated(from: PeerId, { message }: NewerEntry): Error {
  return new Error(
    `${from} sent an entry that this version of Leasehold does not understand (${message}); it knows formats up to ${FORMATS.max}: start the newer version`,
  )
}
