/** Tokens that a member has passed on to this client: who has them may spend them until the tab's end, by this process's own clocks. */
import type { Timeline } from './clocks.js'
import { type Mark, validityMs } from './validity.js'

/** granted = left + spent + returned, always. */
export class Tab {
  /** The member's name for it. */
  readonly number: number
  /** The connection that it came over: no other member knows of it. */
  readonly connection: number
  left = 0
  spent = 0
  returned = 0
  #granted = 0
  #mark: Mark
  #validityMs = 0

  constructor(number: number, connection: number, mark: Mark) {
    this.number = number
    this.connection = connection
    this.#mark = mark
  }

  /** By an answer to a request that was sent after `mark`: all that was ever granted, and for how long all of it is good. */
  granted(tokens: number, validForMs: number, drift: number, mark: Mark): void {
    this.left += Math.max(0, tokens - this.#granted)
    this.#granted = Math.max(this.#granted, tokens)
    this.#mark = mark
    this.#validityMs = validityMs(validForMs, drift)
  }

  /** False where its time is over, or cannot be told: after a suspend, say. What is left is lost then. */
  live(timeline: Timeline): boolean {
    return timeline.leftMs(this.#mark, this.#validityMs) > 0
  }

  /** So many are left. */
  spend(tokens: number): void {
    this.left -= tokens
    this.spent += tokens
  }

  /** Taken here, not used, and not told as spent yet: as many as that are there again. */
  giveBack(tokens: number, reported: number): number {
    const back = Math.min(tokens, this.spent - reported)
    this.spent -= back
    this.left += back
    return back
  }

  /** Nobody spends what is left. */
  seal(): void {
    this.returned += this.left
    this.left = 0
  }
}
