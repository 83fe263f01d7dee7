/**
 * Replies of one session between two flushes: gathered, then sent as one frame, or as few as their size allows.
 * Must never hold anything after a flush.
 */
import { encodeReplies, LIMITS, type WireReply } from '@leasehold/protocol'
import { SESSION_LIMITS } from './limits.js'

export class Outbox {
  #replies: WireReply[] = []

  get empty(): boolean {
    return this.#replies.length === 0
  }

  add(id: number, attempt: number, code: number, fields: readonly unknown[]): void {
    this.#replies.push([id, attempt, code, fields])
  }

  flush(send: (frame: Uint8Array) => void): void {
    const replies = this.#replies
    if (replies.length === 0) return
    this.#replies = []
    const { repliesPerFrameMax } = SESSION_LIMITS
    if (replies.length <= repliesPerFrameMax) sendSplit(replies, send)
    else
      for (let from = 0; from < replies.length; from += repliesPerFrameMax)
        sendSplit(replies.slice(from, from + repliesPerFrameMax), send)
  }

  clear(): void {
    this.#replies = []
  }
}

/** Halves until each frame is within the limit; a single reply goes whatever its size. */
function sendSplit(replies: readonly WireReply[], send: (frame: Uint8Array) => void): void {
  const frame = encodeReplies(replies)
  if (frame.byteLength <= LIMITS.frameBytesMax || replies.length === 1) {
    send(frame)
    return
  }
  const middle = replies.length >> 1
  sendSplit(replies.slice(0, middle), send)
  sendSplit(replies.slice(middle), send)
}
