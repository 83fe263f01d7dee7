/**
 * Whether what makes the state grow may be taken. Every entry comes onto every disk, so it is judged for the cluster, not for the
 * member that is asked: nothing that grows while the leader's disk is low, or while those that answer and have room are no majority. A low
 * disk among three is not in the way; two are, since the cluster would end with them.
 *
 * Members refuse at their own door, as far as they know. What came through another's a moment before reaches the leader in a batch
 * that has its number already: there a beat takes the place of each command that is refused, before the batch comes into the log. A beat does
 * nothing, every member applies the same, and the origin sees by it that its command was not executed. So a batch is still executed
 * at most once, whoever leads when it is sent again, and the renewals in it are executed with it.
 */
import { type Command, type Configuration, INTERNAL_OP, OP, type PeerId } from '@leasehold/protocol'
import type { Headroom } from '../storage/index.js'
import { BEAT } from './beats.js'
import type { ReplicatedLog } from './log.js'
import { areMajority } from './standing.js'
import type { Standings } from './standings.js'

export const DISK_LOW = 'disks are nearly full, so nothing that grows is taken; nothing was executed'

export interface GrowthOptions {
  readonly self: PeerId
  readonly headroom: Pick<Headroom, 'low'>
  readonly standings: Pick<Standings, 'low'>
  readonly log: Pick<ReplicatedLog, 'status'>
  readonly configuration: () => Configuration | null
}

export class Growth {
  readonly #options: GrowthOptions
  #leader: PeerId | null = null
  /** As of the last judgement. */
  refused = false

  constructor(options: GrowthOptions) {
    this.#options = options
  }

  /** Somebody leads from now on, or nobody. */
  led(leader: PeerId | null): void {
    this.#leader = leader
    this.judge()
  }

  /** At every tick: it costs nothing while no disk is low. */
  judge(): void {
    this.refused = this.#verdict()
  }

  /** This peer has said that it has room: leadership may go there. */
  hasRoom(peer: PeerId): boolean {
    return this.#options.standings.low.get(peer) === false
  }

  /** These commands, or what takes the place of those that grow. The same array where nothing is refused. */
  admitted(commands: readonly Command[]): readonly Command[] {
    if (!this.refused || !commands.some(grows)) return commands
    return commands.map((command) => (grows(command) ? BEAT : command))
  }

  #verdict(): boolean {
    const { self, headroom, standings, log, configuration } = this.#options
    const low = (peer: PeerId) => (peer === self ? headroom.low : standings.low.get(peer) === true)
    if (!headroom.low && ![...standings.low.values()].includes(true)) return false
    if (this.#leader !== null && low(this.#leader)) return true
    const known = configuration()
    if (known === null) return headroom.low
    // Who answers only a leader knows; the others leave it to it.
    const silent = new Set(log.status.peers.filter(({ active }) => active === false).map(({ peer }) => peer))
    return !areMajority(known, (peer) => !low(peer) && !silent.has(peer))
  }
}

export function grows({ op }: Command): boolean {
  return op === OP.acquire || op === OP.quotaSet
}

/** A command of a client stood here, and was refused: members themselves put no beats into counted batches. */
export function wasRefused({ op }: Command): boolean {
  return op === INTERNAL_OP.beat
}
