/**
 * Everything about one peer that a link is kept with: the link that stands, the one that is being accepted, the attempt under way, the
 * pause until the next one. Both sides dial, so that a restarted member is back at once whichever it is.
 *
 * Invariants, by which two attempts that cross end as one link on both sides:
 * - An attempt is begun only while there is no link, none being accepted, and no other attempt.
 * - Of two attempts that cross, the one of the lesser name wins: the lesser refuses the other's while its own greeting is under way,
 *   the greater gives up its own. So neither side ever accepts one while its own may still be taken.
 * - An accepted link stands with the dialler's `go`; it then replaces one that stood before, which the dialler no longer has.
 */
import type { PeerName } from '../ports/index.js'
import type { Address } from './address.js'
import { type Dialled, dial } from './dial.js'
import type { Door } from './door.js'
import { type Hello, REFUSED, type Welcome } from './greeting.js'
import type { Link } from './link.js'
import { Retries } from './retries.js'

export interface ContactOwner {
  readonly self: PeerName
  readonly door: Door
  random(): number
  hello(to: PeerName): Hello
  /** The link, or null where this listener does not belong to us (and that was said). */
  welcomed(welcome: Welcome, dialled: Dialled, contact: Contact): Link | null
  up(contact: Contact, link: Link): void
  down(contact: Contact, reason: string): void
}

const PASSING: ReadonlySet<string> = new Set([REFUSED.simultaneous, REFUSED.forming, REFUSED.closing])

export class Contact {
  readonly peer: PeerName
  address: Address
  link: Link | null = null
  #accepting: Link | null = null
  #stopDial: (() => void) | null = null
  /** The attempt's greeting is on its way. */
  #greeting = false
  #stopPause: (() => void) | null = null
  #closed = false
  #upMs = 0
  readonly #retries: Retries
  readonly #owner: ContactOwner

  constructor(peer: PeerName, address: Address, owner: ContactOwner) {
    this.peer = peer
    this.address = address
    this.#owner = owner
    this.#retries = new Retries(() => owner.random(), owner.door.limits)
  }

  /** Dials now, unless there is a link or an attempt. */
  dial(): void {
    this.#stopPause?.()
    this.#stopPause = null
    if (this.#closed || this.link !== null || this.#accepting !== null || this.#stopDial !== null) return
    const { clock, sockets, limits } = this.#owner.door
    const options = { address: this.address, greeting: this.#owner.hello(this.peer), sockets, clock }
    this.#greeting = false
    this.#stopDial = dial(
      { ...options, withinMs: limits.dialMsMax, greets: () => (this.#greeting = true) },
      (outcome) => this.#dialled(outcome),
    )
  }

  /** True where the peer's attempt is to be refused, since our own is under way and wins. */
  get winning(): boolean {
    return this.#stopDial !== null && this.#greeting && this.#owner.self < this.peer
  }

  /** A link that was welcomed and waits for its `go`. */
  accept(link: Link): void {
    this.#giveUp()
    this.#accepting?.close()
    this.#accepting = link
  }

  /** The accepted link stands. */
  stands(link: Link): void {
    if (link !== this.#accepting) return
    this.#accepting = null
    const former = this.link
    if (former !== null)
      this.#lost(former, former.nonce === link.nonce ? 'the peer dialled anew' : 'the peer restarted')
    this.#up(link)
  }

  /** A link of this peer has ended by itself. */
  ended(link: Link, reason: string): void {
    if (link === this.#accepting) this.#accepting = null
    else if (link === this.link) this.#lost(link, reason)
    else return
    this.#pause(false)
  }

  tick(gainMs: number): void {
    this.link?.tick(gainMs)
    this.#accepting?.tick(gainMs)
  }

  /** As close; but what was sent on a link that stood still reaches the peer. */
  finish(): boolean {
    this.link?.finish(this.#owner.door.clock)
    return this.close()
  }

  /** No more links with this peer. True where one stood; nobody is told. */
  close(): boolean {
    const { link } = this
    this.#closed = true
    this.#giveUp()
    this.#accepting?.close()
    this.#accepting = null
    this.link = null
    link?.close()
    return link !== null
  }

  #up(link: Link): void {
    this.link = link
    this.#upMs = this.#owner.door.clock.monotonicMs()
    this.#owner.up(this, link)
  }

  #lost(link: Link, reason: string): void {
    this.link = null
    link.close()
    const { clock, limits } = this.#owner.door
    if (clock.monotonicMs() - this.#upMs >= limits.stableMs) this.#retries.settled()
    this.#owner.down(this, reason)
  }

  #dialled(outcome: Dialled | Error): void {
    this.#stopDial = null
    if (outcome instanceof Error) {
      this.#pause(false)
      return
    }
    const { greeting } = outcome
    const link = greeting.kind === 'welcome' ? this.#owner.welcomed(greeting, outcome, this) : null
    if (link !== null) {
      this.#up(link)
      link.receive(outcome.rest)
      return
    }
    outcome.socket.destroy()
    if (greeting.kind !== 'refused') this.#pause(true)
    else {
      const passing = PASSING.has(greeting.code)
      const fields = { peer: this.peer, code: greeting.code, reason: greeting.detail }
      if (!passing) this.#owner.door.complaints.say('refused by peer', `${this.peer} ${greeting.code}`, fields)
      this.#pause(!passing)
    }
  }

  #pause(hopeless: boolean): void {
    if (this.#closed || this.link !== null || this.#stopPause !== null || this.#stopDial !== null) return
    this.#stopPause = this.#owner.door.clock.after(this.#retries.pauseMs(hopeless), () => this.dial())
  }

  #giveUp(): void {
    this.#stopDial?.()
    this.#stopDial = null
    this.#stopPause?.()
    this.#stopPause = null
  }
}
