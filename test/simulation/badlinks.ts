/**
 * Links between members that stand and are no good: slow, or broken by what is sent over them. Such times overlap, and after the last of
 * them all links are as they were.
 */
import { NETWORK_DEFAULTS, type NetworkSettings } from '../support/virtualnetwork.js'
import type { Dice } from './dice.js'

/** That a message takes its link down: now and then one does, or hardly any link that is used lasts. */
const BREAK_CHANCES = [0.002, 0.01, 0.05]

export class BadLinks {
  readonly #settings: NetworkSettings
  readonly #dice: Dice
  readonly #delays = new Set<NetworkSettings['delayMs']>()
  /** Times under way in which messages break links. */
  #frays = 0

  constructor(settings: NetworkSettings, dice: Dice) {
    this.#settings = settings
    this.#dice = dice
  }

  /** As long as one is left, the last one counts. Returns how to end it. */
  delay(): () => void {
    const delay = { usual: this.#dice.between(5, 60), most: this.#dice.between(100, 600) }
    this.#delays.add(delay)
    this.#settings.delayMs = delay
    return () => {
      this.#delays.delete(delay)
      this.#settings.delayMs = [...this.#delays].at(-1) ?? NETWORK_DEFAULTS.delayMs
    }
  }

  /**
   * Any message may take its link down: what is under way arrives up to some point, the rest is lost, and is sent again over another
   * link, also what arrived and was never answered. Returns how to end it.
   */
  fray(): () => void {
    this.#settings.breakChance = this.#dice.pick(BREAK_CHANCES)
    this.#frays++
    return () => {
      if (--this.#frays === 0) this.#settings.breakChance = NETWORK_DEFAULTS.breakChance
    }
  }
}
