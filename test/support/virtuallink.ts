/**
 * A link of the simulated network: two ordered streams, as TCP makes them. What is sent is held up while the way is blocked and arrives
 * later, whole and in order; or the link ends, and then a random rest of what was on its way never arrives. An end that is down tells
 * nothing any more; the other end learns of it by a message of its own, or by silence.
 */
import { CHANNEL, type Channel, type PeerName } from '@leasehold/server/ports'

/** What a link needs of the world around it. */
export interface LinkWorld {
  readonly nowMs: number
  after(delayMs: number, task: () => void): () => void
  /** Uniform in [0, 1). */
  random(): number
  /** How long so many bytes take. */
  delayMs(bytes: number): number
  /** Nothing gets from one to the other now. */
  blocked(from: PeerName, to: PeerName): boolean
  frozen(peer: PeerName): boolean
  readonly silenceMsMax: number
}

export interface LinkBounds {
  readonly messagesMax: number
  readonly bytesMax: number
}

/** What one end tells its transport. */
export interface EndOwner {
  readonly self: PeerName
  up(end: LinkEnd): void
  down(end: LinkEnd): void
  message(end: LinkEnd, channel: Channel, bytes: Uint8Array): void
  room(end: LinkEnd, channel: Channel): void
}

interface Go {
  readonly kind: 'go'
  readonly dueMs: number
}
interface End {
  readonly kind: 'end'
  readonly dueMs: number
}
interface Message {
  readonly kind: 'message'
  readonly dueMs: number
  readonly channel: Channel
  readonly bytes: Uint8Array
}
type Item = Go | End | Message

interface Lane {
  messages: number
  bytes: number
  refused: boolean
}

/** One side of a link, and the stream from it to the other side. */
export class LinkEnd {
  readonly owner: EndOwner
  readonly peer: PeerName
  other!: LinkEnd
  state: 'waiting' | 'up' | 'down' = 'waiting'
  readonly #world: LinkWorld
  readonly #bounds: (channel: Channel) => LinkBounds
  readonly #lanes = new Map<Channel, Lane>()
  #flight: Item[] = []
  #lastDueMs = 0
  #stopTimer: (() => void) | null = null
  #stopSilence: (() => void) | null = null
  /** What is sent goes nowhere: the connection has ended, and this end does not know it yet. */
  #severed = false
  /** The other machine is gone, and nothing of it will ever come. */
  #deserted = false

  constructor(owner: EndOwner, peer: PeerName, world: LinkWorld, bounds: (channel: Channel) => LinkBounds) {
    this.owner = owner
    this.peer = peer
    this.#world = world
    this.#bounds = bounds
    for (const channel of Object.values(CHANNEL)) this.#lanes.set(channel, { messages: 0, bytes: 0, refused: false })
  }

  /** The dialler's end stands; the other follows. */
  dialled(): void {
    this.state = 'up'
    // First of all: what the owner sends, and its own end if it dies of this, come behind it.
    this.#push({ kind: 'go', dueMs: this.#due(1) })
    this.owner.up(this)
  }

  /** False where the channel is full. */
  send(channel: Channel, bytes: Uint8Array): boolean {
    const lane = this.#lanes.get(channel)!
    const { messagesMax, bytesMax } = this.#bounds(channel)
    if (lane.messages + 1 > messagesMax || lane.bytes + bytes.length > bytesMax) {
      lane.refused = true
      return false
    }
    lane.messages++
    lane.bytes += bytes.length
    if (!this.#severed) this.#push({ kind: 'message', dueMs: this.#due(bytes.length), channel, bytes })
    return true
  }

  /** This end is over. `told`: its owner hears of it; `silent`: the other end does not, the whole machine is gone. */
  end({ told, silent = false }: { told: boolean; silent?: boolean }): void {
    if (this.state === 'down') return
    const before = this.state
    this.state = 'down'
    this.#stopSilence?.()
    this.other.#drop()
    if (silent) {
      this.#drop()
      this.other.#deserted = true
      this.other.#listen(true)
    } else this.cut()
    if (told && before === 'up') this.owner.down(this)
  }

  /** This end is over and tells nothing any more; what it has sent still arrives, and then the end. */
  finish(): void {
    if (this.state === 'down') return
    this.state = 'down'
    this.#stopSilence?.()
    this.other.#drop()
    if (this.#severed) return
    this.#severed = true
    this.#push({ kind: 'end', dueMs: this.#due(1) })
  }

  /** From here on nothing passes in this direction; a random part of what is on its way still arrives, and then the end. */
  cut(): void {
    if (this.#severed) return
    this.#severed = true
    this.#flight.length = Math.floor(this.#world.random() * (this.#flight.length + 1))
    this.#push({ kind: 'end', dueMs: this.#due(1) })
  }

  /** Whether something passes has changed: what was held up goes on, or silence begins. */
  wayChanged(): void {
    for (const channel of this.#lanes.keys()) this.#offerRoom(channel)
    const held = this.#held
    this.#stopTimer?.()
    this.#stopTimer = null
    this.other.#listen(held)
    if (held) return
    // It was sent again by now, at a pace of its own.
    this.#lastDueMs = this.#world.nowMs
    this.#flight = this.#flight.map((item) => ({
      ...item,
      dueMs: this.#due(item.kind === 'message' ? item.bytes.length : 1),
    }))
    this.#arm()
  }

  get #held(): boolean {
    const [from, to] = [this.owner.self, this.peer]
    return this.#world.blocked(from, to) || this.#world.frozen(to)
  }

  /** The stream towards this end is silent, or no longer so. Who is frozen itself notices nothing. */
  #listen(held: boolean): void {
    this.#stopSilence?.()
    this.#stopSilence = null
    const { self } = this.owner
    const silent = held || this.#deserted || this.#world.frozen(this.peer)
    if (!silent || this.state === 'down' || this.#world.frozen(self)) return
    const noticedMs = this.#world.silenceMsMax * (1 + this.#world.random() / 5)
    this.#stopSilence = this.#world.after(noticedMs, () => this.end({ told: true }))
  }

  #due(bytes: number): number {
    this.#lastDueMs = Math.max(this.#lastDueMs, this.#world.nowMs + this.#world.delayMs(bytes))
    return this.#lastDueMs
  }

  #push(item: Item): void {
    this.#flight.push(item)
    this.#arm()
  }

  #drop(): void {
    this.#severed = true
    this.#flight = []
    this.#stopTimer?.()
    this.#stopTimer = null
  }

  #arm(): void {
    if (this.#stopTimer !== null || this.#held || this.#flight.length === 0) return
    this.#stopTimer = this.#world.after(this.#flight[0]!.dueMs - this.#world.nowMs, () => {
      this.#stopTimer = null
      if (!this.#held) this.#arrive(this.#flight.shift()!)
      this.#arm()
    })
  }

  #arrive(item: Item): void {
    const { other } = this
    if (item.kind === 'message') this.#free(item.channel, item.bytes.length)
    if (other.state === 'down') return
    if (item.kind === 'end') other.end({ told: true })
    else if (item.kind === 'go') {
      other.state = 'up'
      other.owner.up(other)
    }
    // Each side owns its bytes, as it would behind a socket.
    else other.owner.message(other, item.channel, item.bytes.slice())
  }

  #free(channel: Channel, bytes: number): void {
    const lane = this.#lanes.get(channel)!
    lane.messages--
    lane.bytes -= bytes
    this.#offerRoom(channel)
  }

  /** Tells a sender that was refused, in a step of its own; one that is frozen hears of it when it thaws. */
  #offerRoom(channel: Channel): void {
    const lane = this.#lanes.get(channel)!
    const { messagesMax, bytesMax } = this.#bounds(channel)
    const roomy = 2 * lane.messages <= messagesMax && 2 * lane.bytes <= bytesMax
    if (!lane.refused || !roomy || this.state !== 'up' || this.#world.frozen(this.owner.self)) return
    lane.refused = false
    this.#world.after(0, () => {
      if (this.state !== 'up') return
      if (this.#world.frozen(this.owner.self)) lane.refused = true
      else this.owner.room(this, channel)
    })
  }
}
