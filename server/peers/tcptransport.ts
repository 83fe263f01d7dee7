/**
 * Links between members over TCP: one per pair of peers, kept for as long as both name each other. Who belongs is settled by the
 * greeting; what stands then carries three channels with bounds of their own. Nothing here knows what the messages mean.
 *
 * After a link's end nothing of it is told here any more. What we sent just before may still be read by the peer until it notices the
 * end, too; it never does so after a later link of the pair is up there.
 */
import type { Socket } from 'node:net'
import type { Channel, Clock, PeerName, Random, Telemetry, Transport, TransportListener } from '../ports/index.js'
import { parseAddress } from './address.js'
import { Contact, type ContactOwner } from './contact.js'
import type { Dialled } from './dial.js'
import type { Door } from './door.js'
import {
  commonVersion,
  encodeGreeting,
  type Hello,
  REFUSED,
  VERSIONS,
  type Versions,
  type Welcome,
} from './greeting.js'
import type { PeerLimits } from './limits.js'
import { Link, type LinkOwner } from './link.js'

export interface TcpTransportOptions {
  readonly self: PeerName
  readonly clusterId: string
  /** Where others come in. It may be open already; closing the transport closes it. */
  readonly door: Door
  readonly random: Random
  /** The formats that are spoken; another one than this version's is for tests of rolling upgrades. */
  readonly versions?: Versions
}

/** What a link is, for status pages and tests. */
export interface LinkView {
  readonly peer: PeerName
  /** The format that both sides speak. */
  readonly version: number
  /** What waits for the way out. */
  readonly waitingBytes: number
}

const NONCE_BYTES = 16

export class TcpTransport implements Transport {
  readonly #self: PeerName
  readonly #clusterId: string
  readonly #nonce: string
  #versions: Versions
  readonly #door: Door
  readonly #clock: Clock
  readonly #telemetry: Telemetry
  readonly #limits: PeerLimits
  readonly #owner: ContactOwner
  readonly #links: LinkOwner
  readonly #contacts = new Map<PeerName, Contact>()
  readonly #dirty: Link[] = []
  #listener: TransportListener | null = null
  #stopTicks: () => void = () => {}
  #tickedMs = 0
  #started: Promise<void> | null = null
  #closed: Promise<void> | null = null

  constructor(options: TcpTransportOptions) {
    this.#self = options.self
    this.#clusterId = options.clusterId
    this.#nonce = Buffer.from(options.random.bytes(NONCE_BYTES)).toString('hex')
    this.#versions = options.versions ?? VERSIONS
    this.#door = options.door
    this.#clock = options.door.clock
    this.#telemetry = options.door.telemetry
    this.#limits = options.door.limits
    this.#owner = {
      self: options.self,
      door: options.door,
      random: () => options.random.next(),
      hello: (to) => this.#hello(to),
      welcomed: (welcome, dialled, contact) => this.#welcomed(welcome, dialled, contact),
      up: (contact, link) => this.#up(contact, link),
      down: (contact, reason) => this.#lost(contact.peer, reason),
    }
    this.#links = {
      stands: (link) => this.#contacts.get(link.peer)?.stands(link),
      message: (link, channel, bytes) => this.#listener?.message(link.peer, channel, bytes),
      down: (link, reason) => this.#contacts.get(link.peer)?.ended(link, reason),
      room: (link, channel) => this.#listener?.room(link.peer, channel),
      dirty: (link) => this.#markDirty(link),
    }
  }

  /** Rejects where the door cannot listen. */
  start(listener: TransportListener): Promise<void> {
    if (this.#started !== null) throw new Error('a transport is started once')
    this.#listener = listener
    this.#started = this.#door.open().then(() => {
      if (this.#closed !== null) return
      this.#door.takeHello = (hello, socket, rest) => this.#greeted(hello, socket, rest)
      this.#tickedMs = this.#clock.monotonicMs()
      this.#stopTicks = this.#clock.every(this.#limits.pingMs, () => this.#tick())
      for (const contact of this.#contacts.values()) contact.dial()
    })
    return this.#started
  }

  /** Throws for an address that is none, and for more peers than the limit; ourselves are passed over. */
  peers(all: readonly { readonly peer: PeerName; readonly address: string }[]): void {
    const named = new Map(all.filter(({ peer }) => peer !== this.#self).map((one) => [one.peer, one.address]))
    if (named.size > this.#limits.peersMax) throw new RangeError(`at most ${this.#limits.peersMax} peers are linked`)
    const addresses = new Map([...named].map(([peer, address]) => [peer, parseAddress(address)]))
    if (this.#closed !== null) return
    for (const [peer, contact] of this.#contacts) {
      if (addresses.has(peer)) continue
      this.#contacts.delete(peer)
      // Told afterwards: who calls this is in the midst of something, and expects no event within.
      if (contact.finish()) queueMicrotask(() => this.#lost(peer, 'it is no peer any more'))
    }
    for (const [peer, address] of addresses) {
      const known = this.#contacts.get(peer)
      // A link that stands is not given up for an address: it leads to that very peer.
      if (known !== undefined) known.address = address
      else {
        const contact = new Contact(peer, address, this.#owner)
        this.#contacts.set(peer, contact)
        if (this.#door.takeHello !== null) contact.dial()
      }
    }
  }

  /** Throws RangeError for a message that is longer than a frame may be. */
  send(to: PeerName, channel: Channel, bytes: Uint8Array): boolean {
    return this.#contacts.get(to)?.link?.send(channel, bytes) ?? false
  }

  linked(peer: PeerName): boolean {
    return (this.#contacts.get(peer)?.link ?? null) !== null
  }

  speakFrom(format: number): void {
    const { min, max } = this.#versions
    if (format <= min) return
    this.#versions = { min: Math.min(format, max), max }
    if (this.#closed !== null) return
    for (const contact of [...this.#contacts.values()]) {
      const { peer, address, link } = contact
      if (link !== null && link.version >= this.#versions.min) continue
      // What was agreed on before, or is being agreed on, is begun anew. Told afterwards, as in peers().
      if (contact.close()) queueMicrotask(() => this.#lost(peer, `the cluster uses format ${format}`))
      const again = new Contact(peer, address, this.#owner)
      this.#contacts.set(peer, again)
      if (this.#door.takeHello !== null) again.dial()
    }
  }

  /** The links that stand. */
  get views(): readonly LinkView[] {
    const links = [...this.#contacts.values()].flatMap(({ link }) => (link === null ? [] : [link]))
    return links.map(({ peer, version, waitingBytes }) => ({ peer, version, waitingBytes }))
  }

  /** Nothing is told any more from the moment of the call. */
  close(): Promise<void> {
    this.#closed ??= this.#shut()
    return this.#closed
  }

  async #shut(): Promise<void> {
    this.#listener = null
    this.#stopTicks()
    for (const contact of this.#contacts.values()) contact.close()
    this.#contacts.clear()
    await this.#door.close()
  }

  #hello(to: PeerName): Hello {
    const { clusterId, nonce, from } = this.#identity
    return { kind: 'hello', versions: this.#versions, clusterId, from, to, nonce }
  }

  get #identity() {
    return { clusterId: this.#clusterId, from: this.#self, nonce: this.#nonce }
  }

  #greeted(hello: Hello, socket: Socket, rest: Uint8Array): void {
    const refuse = (code: (typeof REFUSED)[keyof typeof REFUSED], detail: string): void =>
      this.#door.refuse(socket, code, detail, hello.from)
    const version = commonVersion(this.#versions, hello.versions)
    if (hello.clusterId !== this.#clusterId) {
      refuse(REFUSED.wrongCluster, `${this.#self} belongs to cluster ${this.#clusterId}, not to ${hello.clusterId}`)
    } else if (hello.to !== this.#self) {
      refuse(
        REFUSED.wrongPeer,
        `here is ${this.#self}, not ${hello.to}: a directory was replaced, or an address is wrong`,
      )
    } else if (version === null) {
      const [ours, theirs] = [this.#versions, hello.versions].map(({ min, max }) => `${min} to ${max}`)
      refuse(
        REFUSED.version,
        `${this.#self} speaks formats ${ours}, ${hello.from} speaks ${theirs}: upgrade step by step`,
      )
    } else this.#accept(hello, version, socket, rest)
  }

  #accept(hello: Hello, version: number, socket: Socket, rest: Uint8Array): void {
    const contact = this.#contacts.get(hello.from)
    if (contact === undefined) {
      const detail = `no configuration that ${this.#self} knows of names ${hello.from}`
      this.#door.refuse(socket, REFUSED.unknownPeer, detail, hello.from)
      return
    }
    if (contact.winning) {
      this.#door.refuse(socket, REFUSED.simultaneous, 'a link from this side is under way', hello.from)
      return
    }
    const link = new Link(socket, { peer: hello.from, nonce: hello.nonce, version }, false, this.#links, this.#limits)
    contact.accept(link)
    socket.write(encodeGreeting({ kind: 'welcome', version, ...this.#identity }))
    link.receive(rest)
  }

  #welcomed(welcome: Welcome, { socket }: Dialled, contact: Contact): Link | null {
    const { version, clusterId, from, nonce } = welcome
    const spoken = version >= this.#versions.min && version <= this.#versions.max
    if (clusterId !== this.#clusterId || from !== contact.peer || !spoken) {
      const fields = { peer: contact.peer, found: from, clusterId, version }
      this.#door.complaints.say('peer is another', contact.peer, fields)
      return null
    }
    return new Link(socket, { peer: from, nonce, version }, true, this.#links, this.#limits)
  }

  #up(contact: Contact, link: Link): void {
    this.#telemetry.log('info', 'peer linked', { peer: contact.peer, version: link.version })
    this.#listener?.linkUp(contact.peer)
  }

  #lost(peer: PeerName, reason: string): void {
    if (this.#listener === null) return
    this.#telemetry.log('info', 'peer link lost', { peer, reason })
    this.#listener.linkDown(peer)
  }

  /** Links are flushed once this turn of the loop has been handled, if not before: what is sent in it shares a writev. */
  #markDirty(link: Link): void {
    if (this.#dirty.length === 0) setImmediate(() => this.flush())
    this.#dirty.push(link)
  }

  flush(): void {
    for (const link of this.#dirty.splice(0)) link.flush()
  }

  /** Time that the process did not live through says nothing about its peers. */
  #tick(): void {
    const nowMs = this.#clock.monotonicMs()
    const gainMs = Math.min(nowMs - this.#tickedMs, 2 * this.#limits.pingMs)
    this.#tickedMs = nowMs
    for (const contact of this.#contacts.values()) contact.tick(gainMs)
  }
}
