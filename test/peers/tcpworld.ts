/** Transports over real sockets on this machine, each behind a relay that can hold up, sever and count what passes. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { Door, PEER_LIMITS, type PeerLimits, TcpTransport, type TcpTransportOptions } from '@leasehold/server/peers'
import { type PeerName, silent, type Telemetry } from '@leasehold/server/ports'
import { realClock, realRandom } from '../support/real.js'
import { until } from '../support/until.js'
import { type Member, type PeersWorld, Recorder } from './compliance.js'

/** What goes through from one dialler to one listener. */
interface Passage {
  readonly from: Socket
  readonly to: Socket
}

/** Stands in front of one member's door for one dialling member. */
class Relay {
  readonly #server: Server
  readonly #passages = new Set<Passage>()
  #held = false
  port = 0

  constructor(targetPort: () => number) {
    this.#server = createServer({ noDelay: true }, (from) => {
      const to = connect({ host: '127.0.0.1', port: targetPort(), noDelay: true })
      const passage = { from, to }
      this.#passages.add(passage)
      for (const [one, other] of [
        [from, to],
        [to, from],
      ] as const) {
        one.on('data', (chunk) => {
          if (!other.write(chunk)) one.pause()
        })
        other.on('drain', () => {
          if (!this.#held) one.resume()
        })
        one.on('error', () => this.#end(passage))
        one.on('close', () => this.#end(passage))
        if (this.#held) one.pause()
      }
    })
  }
  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    this.port = typeof address === 'object' && address !== null ? address.port : 0
  }
  hold(held: boolean): void {
    this.#held = held
    for (const { from, to } of this.#passages) for (const one of [from, to]) held ? one.pause() : one.resume()
  }
  sever(): void {
    for (const passage of this.#passages) this.#end(passage)
  }
  async close(): Promise<void> {
    this.sever()
    await new Promise((resolve) => this.#server.close(resolve))
  }
  #end(passage: Passage): void {
    this.#passages.delete(passage)
    passage.from.destroy()
    passage.to.destroy()
  }
}

export interface TcpWorldOptions {
  readonly limits?: PeerLimits
  readonly telemetry?: Telemetry
}

export class TcpWorld implements PeersWorld {
  readonly limits: PeerLimits
  readonly #telemetry: Telemetry
  readonly #ports = new Map<PeerName, number>()
  /** By the listening member: a relay hides who dials, so each member has one for each that may dial it. */
  readonly #relays = new Map<string, Relay>()
  readonly #transports: TcpTransport[] = []

  constructor(options: TcpWorldOptions = {}) {
    this.limits = options.limits ?? PEER_LIMITS
    this.#telemetry = options.telemetry ?? silent
  }
  get frameBytesMax(): number {
    return this.limits.frameBytesMax
  }
  get silenceMsMax(): number {
    return this.limits.silenceMsMax
  }

  door(): Door {
    const { limits } = this
    return new Door({ listen: { host: '127.0.0.1', port: 0 }, clock: realClock, telemetry: this.#telemetry, limits })
  }

  async member(
    peer: PeerName,
    options: Partial<TcpTransportOptions> = {},
  ): Promise<Member & { transport: TcpTransport }> {
    const door = options.door ?? this.door()
    const transport = new TcpTransport({ self: peer, clusterId: 'c', random: realRandom, ...options, door })
    const seen = new Recorder()
    await transport.start(seen)
    this.#transports.push(transport)
    this.#ports.set(peer, door.port)
    for (const dialler of ['n1@d1', 'n2@d2', 'n3@d3', 'n2@d3']) {
      const key = `${dialler}>${peer}`
      if (!this.#relays.has(key)) {
        const relay = new Relay(() => this.#ports.get(peer)!)
        await relay.open()
        this.#relays.set(key, relay)
      }
    }
    // Each dials the others through the relays of its own.
    const peers = transport.peers.bind(transport)
    transport.peers = (all) =>
      peers(
        all.map((one) => {
          const relay = this.#relays.get(`${peer}>${one.peer}`)
          return relay === undefined ? one : { peer: one.peer, address: `127.0.0.1:${relay.port}` }
        }),
      )
    return { peer, address: `127.0.0.1:${door.port}`, transport, seen }
  }

  until(holds: () => boolean): Promise<void> {
    return until(holds)
  }
  pass(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms))
  }
  hold(a: PeerName, b: PeerName): void {
    for (const relay of this.#between(a, b)) relay.hold(true)
  }
  release(a: PeerName, b: PeerName): void {
    for (const relay of this.#between(a, b)) relay.hold(false)
  }
  sever(a: PeerName, b: PeerName): void {
    for (const relay of this.#between(a, b)) relay.sever()
  }
  async close(): Promise<void> {
    await Promise.all(this.#transports.map((transport) => transport.close()))
    await Promise.all([...this.#relays.values()].map((relay) => relay.close()))
  }

  #between(a: PeerName, b: PeerName): Relay[] {
    return [this.#relays.get(`${a}>${b}`), this.#relays.get(`${b}>${a}`)].filter((relay) => relay !== undefined)
  }
}
