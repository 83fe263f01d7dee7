/**
 * How fast cluster time goes, against true time, on both sides.
 *
 * It never outruns true time by more than a clock's rate error, and stands still while no leader or no quorum is up and running (less
 * what a leader may go on for until it notices, and the two ticks with which it may wake up). And it goes no slower than a clock may while a leader works; a change of leader may lose
 * a beat and what was on its way, and nothing else is lost: neither rounding, nor ticks that come late, add up.
 *
 * Each entry is compared with the worst of all before it, so that both bounds hold over every stretch of a history.
 */
import type { Claims } from './claim.js'
import { RATE_ERROR } from './clocks.js'
import type { Times } from './health.js'

/**
 * Whoever leads next goes on from the last entry that is left: that is a beat and a tick old at most, or was on its way. Until it is
 * elected no leader works, so that an election timeout need not be allowed for.
 */
export const LOST_PER_LEADER_MS = 250 + 42 + 100
/** Stamps are whole milliseconds, and health is looked at now and then. */
const UP_SLACK_MS = 1.001
const DOWN_SLACK_MS = 100

/** The moment of a stamp. */
export interface Mark extends Readonly<Times> {
  readonly atMs: number
  readonly leaders: number
}

export class Pace {
  readonly #claims: Claims
  /** The lowest of (stamp - true time at the fastest rate) so far. */
  #ahead = Number.POSITIVE_INFINITY
  /** The lowest of (well time at the slowest rate - stamp) so far. */
  #behind = Number.POSITIVE_INFINITY

  constructor(claims: Claims) {
    this.#claims = claims
  }

  /** An entry is committed that was stamped at this mark. */
  committed(index: number, timeMs: number, { atMs, wellMs, stillMs, leaders }: Mark): void {
    const ahead = timeMs - (atMs - stillMs) * (1 + RATE_ERROR)
    this.#claims.hold(
      ahead <= this.#ahead + UP_SLACK_MS,
      () => `cluster time outruns true time: entry ${index} is stamped ${timeMs}, ${ahead - this.#ahead} ms too far`,
    )
    this.#ahead = Math.min(this.#ahead, ahead)
    const behind = slowest(wellMs, leaders) - timeMs
    this.#claims.hold(
      behind <= this.#behind + DOWN_SLACK_MS,
      () =>
        `cluster time lags while a leader works: entry ${index} is stamped ${timeMs}, ${behind - this.#behind} ms too little`,
    )
    this.#behind = Math.min(this.#behind, behind)
  }
}

/** How far cluster time has got at least after so much time with a leader who works, and so many leaders. */
export const slowest = (wellMs: number, leaders: number): number =>
  wellMs * (1 - RATE_ERROR) - leaders * LOST_PER_LEADER_MS
