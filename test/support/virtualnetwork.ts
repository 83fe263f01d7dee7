/**
 * The network of a simulated world: the port `Transport`, driven by a clock and a source of chance that the world hands in, and by
 * nothing else: the same seed gives the same run. It delays, holds up, parts, breaks and reconnects. A link is ordered and
 * reliable, as over TCP, so a single message is never lost alone: the link goes down with it.
 *
 * Faults are between members, named by member id, and outlive their processes and directories.
 */
import { PEER_LIMITS } from '@leasehold/server/peers'
import {
  CHANNEL,
  type Channel,
  type Clock,
  type PeerName,
  type Transport,
  type TransportListener,
} from '@leasehold/server/ports'
import { type EndOwner, type LinkBounds, LinkEnd, type LinkWorld } from './virtuallink.js'

export interface NetworkSettings {
  /** Of a small message, mostly near `usual`, one in twenty up to `most`. */
  delayMs: { usual: number; most: number }
  bytesPerMs: number
  /** That a message takes its link down. */
  breakChance: number
  /** Until another attempt at a link. */
  retryMs: { min: number; max: number }
  silenceMsMax: number
  bounds: Readonly<Record<Channel, LinkBounds>>
  frameBytesMax: number
}

export interface NetworkOptions {
  /** The world's own time. */
  readonly clock: Pick<Clock, 'monotonicMs' | 'after'>
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly settings?: Partial<NetworkSettings>
}

/** What has happened so far. */
export interface NetworkCounts {
  messages: number
  linksUp: number
  linksDown: number
  severed: number
  refused: number
}

const L = PEER_LIMITS
export const NETWORK_DEFAULTS: NetworkSettings = {
  delayMs: { usual: 0.5, most: 20 },
  bytesPerMs: 100_000,
  breakChance: 0,
  retryMs: { min: L.retryMsMin, max: L.retryMsMax },
  silenceMsMax: L.silenceMsMax,
  bounds: {
    [CHANNEL.raft]: { messagesMax: L.raftMessagesMax, bytesMax: L.raftBytesMax },
    [CHANNEL.forward]: { messagesMax: L.forwardMessagesMax, bytesMax: L.forwardBytesMax },
    [CHANNEL.bulk]: { messagesMax: L.bulkMessagesMax, bytesMax: L.bulkBytesMax },
  },
  frameBytesMax: L.frameBytesMax,
}

/** `n1` of `n1@d1`, and of `n1`. */
export function memberIn(name: string): string {
  const at = name.indexOf('@')
  return at < 0 ? name : name.slice(0, at)
}

export class VirtualNetwork {
  /** May be changed at any time. */
  readonly settings: NetworkSettings
  readonly counts: NetworkCounts = { messages: 0, linksUp: 0, linksDown: 0, severed: 0, refused: 0 }
  /** Told of each member whose message took its link down. */
  broken: (from: string) => void = () => {}
  readonly world: LinkWorld
  readonly #transports = new Map<string, VirtualTransport>()
  /** `from>to`, by member. */
  readonly #blocked = new Set<string>()
  readonly #frozen = new Set<string>()

  constructor({ clock, random, settings }: NetworkOptions) {
    const own: NetworkSettings = { ...NETWORK_DEFAULTS, ...settings }
    const blocked = this.#blocked
    const frozen = this.#frozen
    this.settings = own
    this.world = {
      get nowMs() {
        return clock.monotonicMs()
      },
      get silenceMsMax() {
        return own.silenceMsMax
      },
      after: (delayMs, task) => clock.after(Math.max(0, delayMs), task),
      random,
      delayMs(bytes) {
        const { usual, most } = own.delayMs
        const base = random() < 0.95 ? usual * (0.5 + random()) : usual + (most - usual) * random()
        return base + bytes / own.bytesPerMs
      },
      // Asked at every message, and nearly always there is nothing.
      blocked: (from, to) => blocked.size > 0 && blocked.has(`${memberIn(from)}>${memberIn(to)}`),
      frozen: (peer) => frozen.size > 0 && frozen.has(memberIn(peer)),
    }
  }

  /** The transport of a process that starts now. Its member's former one must be closed or crashed. */
  transport(self: PeerName): VirtualTransport {
    const member = memberIn(self)
    if (this.#transports.has(member)) throw new Error(`${member} has a transport already`)
    const transport = new VirtualTransport(self, this, () => this.#transports.delete(member))
    this.#transports.set(member, transport)
    return transport
  }

  /** Of a running process, under exactly this name. */
  find(peer: PeerName): VirtualTransport | null {
    const transport = this.#transports.get(memberIn(peer))
    return transport?.self === peer ? transport : null
  }

  /** Whether a link stands between these processes, and both ways are open. */
  joined(a: PeerName, b: PeerName): boolean {
    if (this.world.blocked(a, b) || this.world.blocked(b, a)) return false
    return this.find(a)?.linked(b) === true && this.find(b)?.linked(a) === true
  }

  /** Nothing gets from one member to the other any more; the other way stays as it is. */
  block(from: string, to: string): void {
    this.#blocked.add(`${memberIn(from)}>${memberIn(to)}`)
    this.#wayChanged(from, to)
  }
  unblock(from: string, to: string): void {
    if (this.#blocked.delete(`${memberIn(from)}>${memberIn(to)}`)) this.#wayChanged(from, to)
  }
  /** Both ways. */
  part(a: string, b: string): void {
    this.block(a, b)
    this.block(b, a)
  }
  /** One member from all the others that there are. */
  isolate(member: string, others: readonly string[]): void {
    for (const other of others) if (memberIn(other) !== memberIn(member)) this.part(member, other)
  }
  /** Every way is open again. Frozen members stay so. */
  heal(): void {
    for (const way of [...this.#blocked]) {
      const [from, to] = way.split('>') as [string, string]
      this.unblock(from, to)
    }
  }

  /** The member's process stands still: what comes for it waits, the others hear nothing of it. Its own timers are the world's to stop. */
  freeze(member: string): void {
    this.#frozen.add(memberIn(member))
    this.#allWaysChanged(member)
  }
  thaw(member: string): void {
    if (this.#frozen.delete(memberIn(member))) this.#allWaysChanged(member)
  }

  /** The connection between two members ends; a random part of what is on its way still arrives. */
  sever(a: string, b: string): void {
    const end = this.#end(a, b)
    if (end === null) return
    this.counts.severed++
    end.cut()
    end.other.cut()
  }

  /** The process is gone, nothing is told to it any more. `silent`: its machine is, too, so nobody is told but by silence. */
  crash(member: string, { silent = false }: { silent?: boolean } = {}): void {
    this.#transports.get(memberIn(member))?.end(silent)
  }

  #end(a: string, b: string): LinkEnd | null {
    for (const end of this.#transports.get(memberIn(a))?.ends ?? []) if (memberIn(end.peer) === memberIn(b)) return end
    return null
  }

  #wayChanged(from: string, to: string): void {
    const streams = new Set<LinkEnd>()
    for (const end of this.#transports.get(memberIn(from))?.all ?? []) {
      if (memberIn(end.peer) === memberIn(to)) streams.add(end)
    }
    // Where the sender's process is gone, its stream is known by the other end alone.
    for (const end of this.#transports.get(memberIn(to))?.all ?? []) {
      if (memberIn(end.peer) === memberIn(from)) streams.add(end.other)
    }
    for (const stream of streams) stream.wayChanged()
  }

  #allWaysChanged(member: string): void {
    const others = new Set(this.#transports.keys())
    for (const end of this.#transports.get(memberIn(member))?.all ?? []) others.add(memberIn(end.peer))
    others.delete(memberIn(member))
    for (const other of others) {
      this.#wayChanged(member, other)
      this.#wayChanged(other, member)
    }
  }
}

export class VirtualTransport implements Transport, EndOwner {
  readonly self: PeerName
  readonly #network: VirtualNetwork
  readonly #gone: () => void
  readonly #peers = new Set<PeerName>()
  readonly #ends = new Map<PeerName, LinkEnd>()
  /** Links that their diallers have and that stand here once their `go` comes. */
  readonly #accepting = new Map<PeerName, LinkEnd>()
  readonly #retries = new Map<PeerName, () => void>()
  #listener: TransportListener | null = null
  #closed = false

  constructor(self: PeerName, network: VirtualNetwork, gone: () => void) {
    this.self = self
    this.#network = network
    this.#gone = gone
  }

  get ends(): IterableIterator<LinkEnd> {
    return this.#ends.values()
  }

  /** Those that stand, and those that will once their `go` comes. */
  get all(): readonly LinkEnd[] {
    return [...this.#ends.values(), ...this.#accepting.values()]
  }

  async start(listener: TransportListener): Promise<void> {
    if (this.#listener !== null) throw new Error('a transport is started once')
    if (this.#closed) return
    this.#listener = listener
    for (const peer of this.#peers) this.#tryLater(peer, 0)
  }

  peers(all: readonly { readonly peer: PeerName; readonly address: string }[]): void {
    if (this.#closed) return
    const named = new Set(all.map(({ peer }) => peer).filter((peer) => peer !== this.self))
    for (const peer of this.#peers) {
      if (named.has(peer)) continue
      this.#peers.delete(peer)
      this.#retries.get(peer)?.()
      this.#retries.delete(peer)
      this.#accepting.get(peer)?.end({ told: false })
      const end = this.#ends.get(peer)
      if (end === undefined) continue
      const stood = end.state === 'up'
      this.#ends.delete(peer)
      end.finish()
      if (stood) this.#network.world.after(0, () => this.#tell((listener) => listener.linkDown(peer)))
    }
    for (const peer of named) {
      if (this.#peers.has(peer)) continue
      this.#peers.add(peer)
      if (this.#listener !== null) this.#tryLater(peer, 0)
    }
  }

  /** All members of a world are of one version. */
  speakFrom(): void {}

  send(to: PeerName, channel: Channel, bytes: Uint8Array): boolean {
    const { settings, counts, world } = this.#network
    if (bytes.length > settings.frameBytesMax) throw new RangeError(`a message of ${bytes.length} bytes`)
    const end = this.#ends.get(to)
    if (end?.state !== 'up') return false
    const taken = end.send(channel, bytes)
    if (taken) counts.messages++
    else counts.refused++
    if (settings.breakChance > 0 && world.random() < settings.breakChance) {
      this.#network.sever(this.self, to)
      this.#network.broken(memberIn(this.self))
    }
    return taken
  }

  /** Each message is on its way as soon as it is sent. */
  flush(): void {}

  linked(peer: PeerName): boolean {
    return this.#ends.get(peer)?.state === 'up'
  }

  async close(): Promise<void> {
    this.end(false)
  }

  /** Nothing is told here any more. */
  end(silent: boolean): void {
    if (this.#closed) return
    this.#closed = true
    this.#listener = null
    this.#gone()
    for (const stop of this.#retries.values()) stop()
    this.#retries.clear()
    for (const end of this.all) end.end({ told: false, silent })
    this.#ends.clear()
    this.#accepting.clear()
  }

  // what its ends tell it

  up(end: LinkEnd): void {
    const former = this.#ends.get(end.peer)
    // The dialler has no use for a link that it began anew; here it had not been noticed.
    if (former !== undefined && former !== end) former.end({ told: true })
    this.#ends.set(end.peer, end)
    this.#accepting.delete(end.peer)
    this.#network.counts.linksUp++
    this.#tell((listener) => listener.linkUp(end.peer))
  }

  down(end: LinkEnd): void {
    if (this.#ends.get(end.peer) === end) this.#ends.delete(end.peer)
    this.#network.counts.linksDown++
    this.#tell((listener) => listener.linkDown(end.peer))
    this.#tryLater(end.peer, this.#retryMs())
  }

  message(end: LinkEnd, channel: Channel, bytes: Uint8Array): void {
    this.#tell((listener) => listener.message(end.peer, channel, bytes))
  }

  room(end: LinkEnd, channel: Channel): void {
    this.#tell((listener) => listener.room(end.peer, channel))
  }

  #tell(what: (listener: TransportListener) => void): void {
    if (this.#listener !== null) what(this.#listener)
  }

  #retryMs(): number {
    const { min, max } = this.#network.settings.retryMs
    // Mostly soon: the pauses of a real one double.
    return min + (max - min) * this.#network.world.random() ** 3
  }

  #tryLater(peer: PeerName, delayMs: number): void {
    if (this.#closed || !this.#peers.has(peer) || this.#retries.has(peer)) return
    const { world } = this.#network
    const stop = world.after(delayMs + world.delayMs(1), () => {
      this.#retries.delete(peer)
      if (!this.#ends.has(peer) && !this.#dial(peer)) this.#tryLater(peer, this.#retryMs())
    })
    this.#retries.set(peer, stop)
  }

  #dial(peer: PeerName): boolean {
    const { world, settings } = this.#network
    const there = this.#network.find(peer)
    if (there === null || !there.#names(this.self) || world.frozen(this.self) || world.frozen(peer)) return false
    if (world.blocked(this.self, peer) || world.blocked(peer, this.self)) return false
    // Attempts that cross end as one: of two at once, whichever comes first here.
    if (this.#accepts(peer) || there.#accepts(this.self)) return false
    const bounds = (channel: Channel): LinkBounds => settings.bounds[channel]
    const here = new LinkEnd(this, peer, world, bounds)
    here.other = new LinkEnd(there, this.self, world, bounds)
    here.other.other = here
    there.#accepting.set(this.self, here.other)
    here.dialled()
    return true
  }

  #accepts(peer: PeerName): boolean {
    return this.#accepting.get(peer)?.state === 'waiting'
  }

  #names(peer: PeerName): boolean {
    return this.#listener !== null && this.#peers.has(peer)
  }
}
