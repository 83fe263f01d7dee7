/**
 * One connection after its greeting. It stands once the dialler's `go` has been sent, or has come. Messages arrive whole, in order and
 * once; whatever breaks that ends the link, and nothing of it is told afterwards.
 */
import type { Socket } from 'node:net'
import type { Channel, Clock, PeerName } from '../ports/index.js'
import { CONTROL, type Control, FrameReader, isChannel } from './frames.js'
import type { PeerLimits } from './limits.js'
import { Outbox } from './outbox.js'

export interface LinkOwner {
  /** Of a link that was accepted: the dialler stands by it. */
  stands(link: Link): void
  message(link: Link, channel: Channel, bytes: Uint8Array): void
  /** Once, unless the owner closed it. */
  down(link: Link, reason: string): void
  room(link: Link, channel: Channel): void
  /** Something waits for a flush in this turn of the loop. Told once until that flush. */
  dirty(link: Link): void
}

export interface LinkPeer {
  readonly peer: PeerName
  readonly nonce: string
  readonly version: number
}

export class Link {
  readonly peer: PeerName
  readonly nonce: string
  /** The format that both speak. */
  readonly version: number
  standing: boolean
  readonly #socket: Socket
  readonly #owner: LinkOwner
  readonly #limits: PeerLimits
  readonly #outbox: Outbox
  readonly #reader: FrameReader
  #closed = false
  /** A writev is under way. */
  #writing = false
  #dirty = false
  #sentSince = false
  #heardSince = true
  #silentMs = 0

  constructor(socket: Socket, who: LinkPeer, dialled: boolean, owner: LinkOwner, limits: PeerLimits) {
    this.peer = who.peer
    this.nonce = who.nonce
    this.version = who.version
    this.standing = dialled
    this.#socket = socket
    this.#owner = owner
    this.#limits = limits
    this.#outbox = new Outbox(limits)
    this.#reader = new FrameReader(limits.frameBytesMax, this.#frame)
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.receive(chunk))
    socket.on('error', (error) => this.#end(error.message))
    socket.on('end', () => this.#end('the peer closed the connection'))
    socket.on('close', () => this.#end('the connection closed'))
    if (dialled) this.#control(CONTROL.go)
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Bytes that wait for the way out. */
  get waitingBytes(): number {
    return this.#outbox.bytes
  }

  /** False where the channel is full. */
  send(channel: Channel, bytes: Uint8Array): boolean {
    if (this.#closed) return false
    if (!this.#outbox.add(channel, bytes)) return false
    this.#markDirty()
    return true
  }

  /** Bytes from the connection: the socket's own, and what came behind the greeting. */
  receive(chunk: Uint8Array): void {
    this.#heardSince = true
    try {
      this.#reader.push(chunk)
    } catch (error) {
      if (!(error instanceof Error && error.name === 'FrameError')) throw error
      this.#end(`the peer ${error.message}`)
    }
  }

  /** Hands what waits to the system, in one call; what comes while that is under way follows it. */
  flush(): void {
    this.#dirty = false
    if (this.#closed || this.#writing || this.#outbox.empty) return
    const pieces = this.#outbox.take()
    const last = pieces.length - 1
    this.#writing = true
    this.#sentSince = true
    // A single piece, as mostly, is written directly: the way of gathered ones is longer.
    if (last > 0) this.#socket.cork()
    for (let i = 0; i < last; i++) this.#socket.write(pieces[i]!)
    this.#socket.write(pieces[last]!, this.#written)
    if (last > 0) this.#socket.uncork()
  }

  /** A ping's period has passed, `gainMs` of it lived through. */
  tick(gainMs: number): void {
    if (this.#closed) return
    if (this.#heardSince) this.#silentMs = 0
    else this.#silentMs += gainMs
    this.#heardSince = false
    if (this.#silentMs >= this.#limits.silenceMsMax) {
      this.#end(`nothing came for ${this.#limits.silenceMsMax} ms`)
      return
    }
    if (!this.#sentSince) this.#control(CONTROL.ping)
    this.#sentSince = false
  }

  /** As close; but what was sent before still goes out, for as long as a greeting may take. */
  finish(clock: Pick<Clock, 'after'>): void {
    if (this.#closed) return
    this.#closed = true
    this.#reader.stop()
    while (!this.#outbox.empty) for (const piece of this.#outbox.take()) this.#socket.write(piece)
    // Who does not hang up in turn is hung up on.
    const disarm = clock.after(this.#limits.greetingMsMax, () => this.#socket.destroy())
    this.#socket.once('close', disarm)
    this.#socket.end()
  }

  /** Nothing is told any more. Safe to call twice. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#reader.stop()
    this.#socket.destroy()
  }

  readonly #written = (error?: Error | null): void => {
    this.#writing = false
    if (this.#closed || error) return
    const roomy = this.#outbox.settle()
    if (!this.#outbox.empty) this.flush()
    for (const channel of roomy) if (!this.#closed) this.#owner.room(this, channel)
  }

  readonly #frame = (kind: Channel | Control, bytes: Uint8Array): void => {
    if (kind === CONTROL.go && !this.standing) {
      this.standing = true
      this.#owner.stands(this)
    } else if (!this.standing) this.#end('the peer speaks before its go')
    else if (isChannel(kind)) this.#owner.message(this, kind, bytes)
  }

  #control(kind: Control): void {
    this.#outbox.control(kind)
    this.#markDirty()
  }

  #markDirty(): void {
    if (this.#dirty) return
    this.#dirty = true
    this.#owner.dirty(this)
  }

  #end(reason: string): void {
    if (this.#closed) return
    this.close()
    this.#owner.down(this, reason)
  }
}
