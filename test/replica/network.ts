/**
 * Links between members in memory, under the clock that a test moves: in order, a fixed delay, whole or not at all. A test cuts
 * pairs of members apart, with both sides told at once or only when silence tells them.
 */
import { FORMATS, type Formats } from '@leasehold/protocol'
import type { Channel, PeerName, Transport, TransportListener } from '@leasehold/server/ports'
import type { VirtualClock } from '../support/virtualclock.js'

const LATENCY_MS = 0.5
const SILENCE_MS = 500

interface Station {
  readonly name: PeerName
  readonly listener: TransportListener
  wanted: ReadonlySet<PeerName>
  /** First and last format that it speaks. */
  speaks: Formats
}

export interface Sent {
  readonly from: PeerName
  readonly to: PeerName
  readonly channel: Channel
  readonly bytes: Uint8Array
}

export class Network {
  readonly #clock: VirtualClock
  readonly #stations = new Map<PeerName, Station>()
  /** Links that are up, both directions; with a generation, so that nothing arrives on a link after it went down. */
  readonly #links = new Map<string, object>()
  readonly #cut = new Set<string>()
  /** Links that one side has let go, until the other one knows. */
  readonly #parting = new Map<string, { readonly link: object; readonly from: PeerName }>()
  /** Pairs that want each other and speak no common format, as often as they met. */
  readonly refused: string[] = []
  /** Sees each message as it is sent; false loses it, and with it the link. */
  before: (sent: Sent) => boolean = () => true
  /** True for a message that is lost while its link stands. */
  swallow: (sent: Sent) => boolean = () => false

  constructor(clock: VirtualClock) {
    this.#clock = clock
  }

  transport(name: PeerName, formats = FORMATS): Transport {
    const network = this
    return {
      async start(listener) {
        network.#stations.set(name, { name, listener, wanted: new Set(), speaks: formats })
      },
      peers(all) {
        const station = network.#stations.get(name)
        if (station === undefined) return
        station.wanted = new Set(all.map(({ peer }) => peer))
        for (const other of network.#stations.keys()) {
          if (!station.wanted.has(other)) network.#letGo(name, other)
        }
        network.#meet()
      },
      send: (to, channel, bytes) => network.#send(name, to, channel, bytes),
      flush() {},
      linked: (peer) => network.#links.has(pair(name, peer)),
      speakFrom(format) {
        const station = network.#stations.get(name)
        if (station === undefined) return
        station.speaks = { min: format, max: station.speaks.max }
        for (const other of network.#stations.values()) {
          if (!common(station, other)) queueMicrotask(() => network.#down(name, other.name))
        }
      },
      async close() {
        network.remove(name)
      },
    }
  }

  /** The process is gone: its links close at once. */
  remove(name: PeerName): void {
    this.#stations.delete(name)
    for (const key of [...this.#links.keys()]) {
      const [a, b] = key.split('|') as [string, string]
      if (a === name || b === name) this.#down(a, b)
    }
  }

  /** Parts these two. `told`: both learn of it at once; else by silence. */
  cut(a: PeerName, b: PeerName, told = true): void {
    this.#cut.add(pair(a, b))
    if (told) this.#down(a, b)
    else {
      const link = this.#links.get(pair(a, b))
      this.#clock.after(SILENCE_MS, () => {
        if (this.#links.get(pair(a, b)) === link) this.#down(a, b)
      })
    }
  }

  heal(): void {
    this.#cut.clear()
    this.#meet()
  }

  #meet(): void {
    const all = [...this.#stations.values()]
    for (const a of all) {
      for (const b of all) {
        const key = pair(a.name, b.name)
        if (a.name >= b.name || this.#links.has(key) || this.#parting.has(key) || this.#cut.has(key)) continue
        if (!a.wanted.has(b.name) || !b.wanted.has(a.name)) continue
        if (!common(a, b)) {
          this.refused.push(key)
          continue
        }
        this.#links.set(key, {})
        a.listener.linkUp(b.name)
        b.listener.linkUp(a.name)
      }
    }
  }

  /** One names the other no more: what it has sent still arrives, and then the end. */
  #letGo(from: PeerName, to: PeerName): void {
    const key = pair(from, to)
    const link = this.#links.get(key)
    if (link === undefined) return
    this.#links.delete(key)
    this.#parting.set(key, { link, from })
    queueMicrotask(() => this.#stations.get(from)?.listener.linkDown(to))
    this.#clock.after(LATENCY_MS, () => {
      this.#stations.get(to)?.listener.linkDown(from)
      this.#parting.delete(key)
      this.#meet()
    })
  }

  #down(a: PeerName, b: PeerName): void {
    if (!this.#links.delete(pair(a, b))) return
    this.#stations.get(a)?.listener.linkDown(b)
    this.#stations.get(b)?.listener.linkDown(a)
    this.#clock.after(20, () => this.#meet())
  }

  /** At once, whether or not anybody sent it. */
  deliver({ from, to, channel, bytes }: Sent): void {
    this.#stations.get(to)?.listener.message(from, channel, bytes)
  }

  #send(from: PeerName, to: PeerName, channel: Channel, bytes: Uint8Array): boolean {
    const key = pair(from, to)
    const link = this.#links.get(key)
    if (link === undefined) return false
    if (!this.before({ from, to, channel, bytes })) {
      // What is on its way already arrives.
      this.#clock.after(LATENCY_MS, () => this.#down(from, to))
      return true
    }
    if (this.swallow({ from, to, channel, bytes })) return true
    this.#clock.after(LATENCY_MS, () => {
      const parting = this.#parting.get(key)
      const stands = this.#links.get(key) === link || (parting?.link === link && parting.from === from)
      if (this.#cut.has(key) || !stands) return
      this.#stations.get(to)?.listener.message(from, channel, bytes)
    })
    return true
  }
}

const common = (a: Station, b: Station) => Math.max(a.speaks.min, b.speaks.min) <= Math.min(a.speaks.max, b.speaks.max)
const pair = (a: PeerName, b: PeerName) => (a < b ? `${a}|${b}` : `${b}|${a}`)
