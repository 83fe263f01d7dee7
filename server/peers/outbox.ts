/**
 * What waits for the way out on one link, by channel. Each channel has its own bound in messages and bytes, and what was
 * handed to the system and not yet taken by it still counts: a peer that does not read costs a bounded amount of memory. Pure.
 */
import { CHANNEL, type Channel } from '../ports/index.js'
import { type Control, FRAME_HEAD_BYTES, putHead } from './frames.js'
import type { PeerLimits } from './limits.js'

/** In the order in which they leave: consensus first. */
const PRIORITY: readonly Channel[] = [CHANNEL.raft, CHANNEL.forward, CHANNEL.bulk]

class Lane {
  readonly channel: Channel
  readonly messagesMax: number
  readonly bytesMax: number
  /** Those in front of `next` have been taken. */
  queue: Uint8Array[] = []
  next = 0
  /** Queued, and taken but not settled. */
  messages = 0
  bytes = 0
  /** Of those, what the flush under way holds. */
  takenMessages = 0
  takenBytes = 0
  /** A message was refused: its sender is told when there is room. */
  refused = false

  constructor(channel: Channel, messagesMax: number, bytesMax: number) {
    this.channel = channel
    this.messagesMax = messagesMax
    this.bytesMax = bytesMax
  }
}

export class Outbox {
  readonly #limits: PeerLimits
  readonly #lanes: readonly Lane[]
  readonly #control: Control[] = []

  constructor(limits: PeerLimits) {
    this.#limits = limits
    const { raftMessagesMax, raftBytesMax, forwardMessagesMax, forwardBytesMax, bulkMessagesMax, bulkBytesMax } = limits
    const bounds = new Map<Channel, readonly [number, number]>([
      [CHANNEL.raft, [raftMessagesMax, raftBytesMax]],
      [CHANNEL.forward, [forwardMessagesMax, forwardBytesMax]],
      [CHANNEL.bulk, [bulkMessagesMax, bulkBytesMax]],
    ])
    this.#lanes = PRIORITY.map((channel) => new Lane(channel, ...bounds.get(channel)!))
  }

  /** False where the channel is full. Throws RangeError for a message longer than a frame may be. */
  add(channel: Channel, bytes: Uint8Array): boolean {
    if (bytes.length > this.#limits.frameBytesMax) {
      throw new RangeError(`a message has at most ${this.#limits.frameBytesMax} bytes, not ${bytes.length}`)
    }
    const lane = this.#lane(channel)
    if (lane.messages + 1 > lane.messagesMax || lane.bytes + bytes.length > lane.bytesMax) {
      lane.refused = true
      return false
    }
    lane.messages++
    lane.bytes += bytes.length
    lane.queue.push(bytes)
    return true
  }

  /** Goes out in front of everything. */
  control(kind: Control): void {
    this.#control.push(kind)
  }

  get bytes(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.bytes, 0)
  }

  /** Nothing waits that was not taken. */
  get empty(): boolean {
    return this.#control.length === 0 && this.#lanes.every((lane) => lane.next === lane.queue.length)
  }

  /** What goes out next, as few pieces, to be settled before more is taken. Up to a flush's bytes and at least one message. */
  take(): Uint8Array[] {
    const out: { kind: Channel | Control; body: Uint8Array }[] = []
    for (const kind of this.#control.splice(0)) out.push({ kind, body: EMPTY })
    let total = 0
    for (const lane of this.#lanes) {
      while (lane.next < lane.queue.length && total < this.#limits.flushBytesMax) {
        const body = lane.queue[lane.next++]!
        lane.takenMessages++
        lane.takenBytes += body.length
        total += body.length + FRAME_HEAD_BYTES
        out.push({ kind: lane.channel, body })
      }
      // What has gone is let go of, at a cost that is a constant for each message.
      if (lane.next === lane.queue.length || lane.next > 1_024) {
        lane.queue = lane.queue.slice(lane.next)
        lane.next = 0
      }
    }
    return this.#pieces(out)
  }

  /** What was taken last is with the system. Returns the channels whose senders were refused before and may send again. */
  settle(): readonly Channel[] {
    const roomy: Channel[] = []
    for (const lane of this.#lanes) {
      lane.messages -= lane.takenMessages
      lane.bytes -= lane.takenBytes
      lane.takenMessages = 0
      lane.takenBytes = 0
      // Half of it, or else each message that leaves would wake a sender for one more.
      if (!lane.refused || lane.messages * 2 > lane.messagesMax || lane.bytes * 2 > lane.bytesMax) continue
      lane.refused = false
      roomy.push(lane.channel)
    }
    return roomy
  }

  /** Heads and short bodies share one buffer; long bodies stand between its parts as they are. */
  #pieces(out: readonly { kind: Channel | Control; body: Uint8Array }[]): Uint8Array[] {
    const { copyBytesMax } = this.#limits
    let shared = 0
    for (const { body } of out) shared += FRAME_HEAD_BYTES + (body.length > copyBytesMax ? 0 : body.length)
    const buffer = Buffer.allocUnsafe(shared)
    const pieces: Uint8Array[] = []
    let from = 0
    let at = 0
    for (const { kind, body } of out) {
      putHead(buffer, at, body.length, kind)
      at += FRAME_HEAD_BYTES
      if (body.length <= copyBytesMax) {
        buffer.set(body, at)
        at += body.length
        continue
      }
      pieces.push(buffer.subarray(from, at), body)
      from = at
    }
    if (at > from) pieces.push(buffer.subarray(from, at))
    return pieces
  }

  #lane(channel: Channel): Lane {
    return this.#lanes[PRIORITY.indexOf(channel)]!
  }
}

const EMPTY = new Uint8Array(0)
