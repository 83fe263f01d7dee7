/**
 * Leaders that are lost as soon as they lead, one after the other: each is parted from nearly everybody with entries that hardly anybody
 * else has, some also crash in the midst of writing them, and each is back when the next one is lost. So the logs of a cluster part as in
 * figure 8 of the Raft paper: an older leader returns, and brings its old entries to a majority that could still elect somebody else.
 *
 * It must never ask what members hold: it strikes by when somebody leads, and nothing else.
 */
import type { VirtualNetwork } from '../support/virtualnetwork.js'
import type { Dice } from './dice.js'
import type { Member } from './member.js'

/** Lost in a row, the one that leads at the beginning included. */
const LOST_MIN = 2
const LOST_MAX = 4
/** Effects of the one after them until it crashes, half of the time. */
const EFFECTS_MAX = 30
/** By then the end of a link has mostly arrived; soon after it, another attempt at the link would succeed. */
const NOTICED_MS = 20

export class YoungLeaders {
  readonly #members: readonly Member[]
  readonly #network: VirtualNetwork
  readonly #lost: (member: Member) => void
  readonly #dice: Dice
  /** Still to be lost. */
  #left = 0
  #back: (() => void) | null = null

  /** `lost` is told of each one. */
  constructor(members: readonly Member[], network: VirtualNetwork, lost: (member: Member) => void, dice: Dice) {
    this.#members = members
    this.#network = network
    this.#lost = lost
    this.#dice = dice
  }

  /** The leader is lost now, the next ones when they lead. Returns how to end it; null where nobody leads, or where it goes on already. */
  begin(): (() => void) | null {
    const leader = this.#members.find(({ log }) => log?.leading)
    if (leader === undefined || this.#left > 0) return null
    this.#left = LOST_MIN + this.#dice.int(LOST_MAX - LOST_MIN + 1)
    this.#lose(leader)
    return () => this.#end()
  }

  /** Told of each new leader, before it has sent or written anything. */
  leads(member: Member): void {
    if (this.#left > 0) this.#lose(member)
    else if (this.#back !== null && this.#dice.chance(0.5)) {
      member.process?.crashAfter(1 + this.#dice.int(EFFECTS_MAX))
    }
  }

  #lose(member: Member): void {
    this.#left--
    this.#back?.()
    this.#back = this.#part(member)
    const { process, disk } = member
    if (this.#dice.chance(0.5)) disk.onCommit = () => process?.crashAfter(1 + this.#dice.int(6))
    this.#lost(member)
  }

  #end(): void {
    this.#left = 0
    this.#back?.()
    this.#back = null
  }

  /** From all, or all but one where even two are no majority. */
  #part(member: Member): () => void {
    const network = this.#network
    const others = this.#members.filter((other) => other !== member)
    const reached = others.length > 2 && this.#dice.chance(0.5) ? this.#dice.pick(others) : null
    const parted = others.filter((other) => other !== reached)
    const part = (): void => {
      for (const other of parted) network.part(member.name, other.name)
    }
    // Where links break first, the others notice at once: one of them soon leads while the old leader still takes itself for one.
    const broken = this.#dice.chance(0.5)
    if (broken) for (const other of parted) network.sever(member.name, other.name)
    else part()
    const stop = broken ? network.world.after(NOTICED_MS, part) : null
    return () => {
      stop?.()
      for (const other of parted) {
        network.unblock(member.name, other.name)
        network.unblock(other.name, member.name)
      }
    }
  }
}
