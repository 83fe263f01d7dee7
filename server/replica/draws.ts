/**
 * How draws get into the log. Of its own a member has one under way: it goes to whoever leads, again and again, until it is seen applied;
 * the machine executes each at most once. A leader gathers those of all members for a moment, since they are to be judged together, and puts them
 * into one command of its own, in its term or not at all: what is lost with its office its origin sends again.
 */
import {
  type Allocate,
  type Draw,
  INTERNAL_OP,
  LIMITS,
  memberOf,
  type PeerId,
  type Run,
  rowsOf,
  type TabReport,
  type Term,
  type Want,
} from '@leasehold/protocol'
import type { Drawn } from '../machine/index.js'
import type { Clock, Telemetry } from '../ports/index.js'
import { FORWARD, type ForwardedDraw, type Told } from './forwards.js'
import { REPLICA_LIMITS } from './limits.js'

export interface DrawsParts {
  readonly self: PeerId
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Of this process; null before it was admitted. */
  readonly run: () => Run | null
  readonly send: (to: PeerId, message: ForwardedDraw) => void
  /** Of a leader: into the log. */
  readonly order: (command: Allocate) => void
  /** What throws in here ends the process. */
  readonly guard: (step: () => void) => void
}

export type DrawnListener = (drawn: Drawn | null) => void
/** What the quotas of another member say. */
export type ToldListener = (from: PeerId, message: Uint8Array) => void

export class Draws {
  readonly #parts: DrawsParts
  readonly #listeners = new Set<DrawnListener>()
  readonly #hearers = new Set<ToldListener>()
  #seq = 0
  /** Its own that is under way. */
  #own: Draw | null = null
  #sentMs = 0
  #term: Term | null = null
  #leading = false
  #leader: PeerId | null = null
  /** Of a leader: the newest of each member. */
  readonly #gathered = new Map<string, Draw>()
  /** When each member has drawn last, in this reign. */
  readonly #lately = new Map<string, number>()
  #disarm: (() => void) | null = null

  constructor(parts: DrawsParts) {
    this.#parts = parts
  }

  /** Of this process; null before it was admitted. */
  get run(): Run | null {
    return this.#parts.run()
  }

  /** Null where nobody is known to lead. */
  get leader(): PeerId | null {
    return this.#leading ? this.#parts.self : this.#leader
  }

  get leads(): boolean {
    return this.#leading
  }

  get under(): boolean {
    return this.#own !== null
  }

  draw(reports: readonly TabReport[], wants: readonly Want[]): number {
    const run = this.#parts.run()
    if (run === null) throw new Error('nobody draws before his run was admitted')
    if (this.#own !== null) throw new Error('one draw at a time')
    const seq = ++this.#seq
    this.#own = { member: memberOf(this.#parts.self), run, seq, reports, wants }
    this.#send()
    return seq
  }

  onDrawn(listener: DrawnListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  onTold(listener: ToldListener): () => void {
    this.#hearers.add(listener)
    return () => this.#hearers.delete(listener)
  }

  lead(term: Term): void {
    this.#office(term, true, null)
  }
  follow(term: Term, leader: PeerId | null): void {
    this.#office(term, false, leader)
  }
  linked(peer: PeerId, change: 'up' | 'down' | 'room'): void {
    if (peer === this.#leader && change === 'up') this.#send()
  }

  /** From another member: for the leader that it knew of, or for this member's quotas. */
  forwarded(from: PeerId, message: ForwardedDraw | Told): void {
    if (message.kind === FORWARD.draw) this.#offered(from, message)
    else if (message.body.length <= REPLICA_LIMITS.toldBytesMax && (this.#term === null || message.term >= this.#term))
      for (const hearer of [...this.#hearers]) hearer(from, message.body)
  }

  #offered(from: PeerId, { term, draw }: ForwardedDraw): void {
    // What another member sends must not end this one.
    if (memberOf(from) !== draw.member)
      this.#parts.telemetry.log('warn', 'draw of another member', { from, of: draw.member })
    else if (this.#leading && term === this.#term) this.#gather(draw)
  }

  tick(nowMs: number): void {
    if (this.#own !== null && nowMs - this.#sentMs >= REPLICA_LIMITS.drawAgainMs) this.#send()
  }

  /** By an entry that was applied here. */
  applied(all: readonly Drawn[]): void {
    const { self, run } = this.#parts
    const memberId = memberOf(self)
    for (const drawn of all) {
      if (drawn.member !== memberId || drawn.run !== run()) continue
      if (drawn.seq === this.#own?.seq) this.#own = null
      this.#tell(drawn)
    }
  }

  /** A snapshot took the state's place: this was the last one that it knows of. */
  installed(lastDraw: number): void {
    this.#seq = Math.max(this.#seq, lastDraw)
    if (this.#own !== null && this.#own.seq <= lastDraw) this.#own = null
    this.#tell(null)
  }

  #tell(drawn: Drawn | null): void {
    for (const listener of [...this.#listeners]) listener(drawn)
  }

  #office(term: Term, leading: boolean, leader: PeerId | null): void {
    this.#term = term
    this.#leading = leading
    this.#leader = leader
    this.#gathered.clear()
    this.#lately.clear()
    this.#disarm?.()
    this.#disarm = null
    this.#send()
  }

  #send(): void {
    const draw = this.#own
    if (draw === null || this.#term === null) return
    this.#sentMs = this.#parts.clock.monotonicMs()
    if (this.#leading) this.#gather(draw)
    else if (this.#leader !== null) this.#parts.send(this.#leader, { kind: FORWARD.draw, term: this.#term, draw })
  }

  #gather(draw: Draw): void {
    const { clock, guard } = this.#parts
    const nowMs = clock.monotonicMs()
    this.#lately.set(draw.member, nowMs)
    this.#gathered.set(draw.member, draw)
    if (this.#everybody(nowMs)) this.#close()
    else this.#disarm ??= clock.after(REPLICA_LIMITS.drawGatherMs, () => guard(() => this.#close()))
  }

  /** Nobody who drew lately is still to be expected. */
  #everybody(nowMs: number): boolean {
    for (const [member, atMs] of this.#lately) {
      if (nowMs - atMs >= REPLICA_LIMITS.drawLatelyMs) this.#lately.delete(member)
      else if (!this.#gathered.has(member)) return false
    }
    return true
  }

  #close(): void {
    this.#disarm?.()
    this.#disarm = null
    if (!this.#leading) return
    let draws: Draw[] = []
    let rows = 0
    for (const draw of this.#gathered.values()) {
      // As many as would be one draw at most: an entry of the log is bounded.
      if (draws.length > 0 && rows + rowsOf(draw) > LIMITS.drawRowsMax) {
        this.#parts.order({ op: INTERNAL_OP.allocate, draws })
        draws = []
        rows = 0
      }
      draws.push(draw)
      rows += rowsOf(draw)
    }
    this.#gathered.clear()
    if (draws.length > 0) this.#parts.order({ op: INTERNAL_OP.allocate, draws })
  }
}
