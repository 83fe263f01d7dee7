/**
 * The watermark of a disk that fills up. LevelDB needs room to write its tables anew besides what is put into it, and a write that fails
 * ends the process; so growth is to be refused, and readiness turned off, while there is still room for what gives room back: renewals,
 * releases, ends, trims, checkpoints. Once below, it stays low until there is clearly enough again.
 */

export interface HeadroomLimits {
  /** With fewer bytes free, the disk is low. */
  readonly lowBytes: number
  /** It is no longer low with at least so many. More than lowBytes, so that it does not waver. */
  readonly enoughBytes: number
}

/**
 * Two write buffers of 32 MiB, the log of each, and one compaction under way take about as much as a low disk still has. Asserted where a
 * Headroom is made.
 */
export const HEADROOM: HeadroomLimits = { lowBytes: 134_217_728, enoughBytes: 201_326_592 }

export class Headroom {
  readonly #freeBytes: () => Promise<number>
  readonly #limits: HeadroomLimits
  #low = false

  /** `freeBytes`: a store's, or a disk's. */
  constructor(freeBytes: () => Promise<number>, limits: HeadroomLimits = HEADROOM) {
    if (!(limits.lowBytes >= 0 && limits.enoughBytes > limits.lowBytes)) {
      throw new RangeError('enoughBytes must be more than lowBytes')
    }
    this.#freeBytes = freeBytes
    this.#limits = limits
  }

  /** As of the last check; false before the first. */
  get low(): boolean {
    return this.#low
  }

  /** Looks again, about once a second. Rejects where the system does not tell; what was known stands then. */
  async check(): Promise<boolean> {
    const free = await this.#freeBytes()
    this.#low = free < (this.#low ? this.#limits.enoughBytes : this.#limits.lowBytes)
    return this.#low
  }
}
