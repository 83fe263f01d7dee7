/** A session's connection in memory: what a client would send goes straight in, what it would get is kept. */
import {
  decodePushes,
  decodeRefused,
  decodeReplies,
  decodeWelcome,
  encodeHello,
  FRAME_KIND,
  type Hello,
  openFrame,
  type Push,
  RequestFrameWriter,
  type Welcome,
  type WireReply,
} from '@leasehold/protocol'
import type { Sessions, Socket, SocketHandle } from '@leasehold/server/session'

export const hello = (from: Partial<Hello> = {}): Uint8Array =>
  encodeHello({
    clientName: 'billing',
    sessionId: '00112233445566778899aabbccddeeff',
    lowestUnanswered: 1,
    credential: null,
    ...from,
  })

export class Peer implements Socket {
  /** Not there yet while the connection is being accepted: a refusal may come first. */
  #handle: SocketHandle | null = null
  readonly frames: Uint8Array[] = []
  readonly replies: WireReply[] = []
  readonly pushes: Push[] = []
  welcome: Welcome | null = null
  refused: { code: number; detail: string } | null = null
  closedWith: number | null = null
  dropped = false
  paused = false
  bufferedBytes = 0
  readonly #writer = new RequestFrameWriter()

  constructor(sessions: Sessions, greet: Uint8Array | null = hello()) {
    this.#handle = sessions.accept(this)
    if (greet !== null) this.handle.message(greet)
  }

  get handle(): SocketHandle {
    if (this.#handle === null) throw new Error('not accepted yet')
    return this.#handle
  }

  send(bytes: Uint8Array): void {
    this.frames.push(bytes)
    const { kind } = openFrame(bytes)
    if (kind === FRAME_KIND.welcome) this.welcome = decodeWelcome(bytes)
    else if (kind === FRAME_KIND.replies) this.replies.push(...decodeReplies(bytes))
    else if (kind === FRAME_KIND.pushes) this.pushes.push(...decodePushes(bytes))
    else if (kind === FRAME_KIND.refused) this.refused = decodeRefused(bytes)
  }
  close(code: number): void {
    this.closedWith ??= code
    this.#handle?.closed()
  }
  drop(): void {
    this.dropped = true
    this.#handle?.closed()
  }
  pause(): void {
    this.paused = true
  }
  resume(): void {
    this.paused = false
  }

  /** Adds a request to the next frame. */
  ask(
    op: number,
    id: number,
    fields: readonly unknown[],
    options: { attempt?: number; remainingMs?: number } = {},
  ): this {
    this.#writer.add(op, options.attempt ?? 1, id, options.remainingMs ?? 10_000, fields)
    return this
  }
  /** Sends the frame. */
  go(): void {
    this.handle.message(this.#writer.take())
  }
  replyTo(id: number): WireReply | undefined {
    return this.replies.find((reply) => reply[0] === id)
  }
}
