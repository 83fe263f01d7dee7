/** Writes many rows into a volume that nobody reads yet, in batches of a bounded size. */
import type { Key, Value, Volume, VolumeBatch } from '../ports/index.js'

const BATCH_ROWS = 2_000
const BATCH_BYTES = 1_048_576

export class Filling {
  readonly #volume: Volume
  #batch: VolumeBatch
  #rows = 0
  #bytes = 0

  constructor(volume: Volume) {
    this.#volume = volume
    this.#batch = volume.batch()
  }

  async put(key: Key, value: Value): Promise<void> {
    this.#batch.put(key, value)
    this.#rows += 1
    this.#bytes += value.length
    if (this.#rows >= BATCH_ROWS || this.#bytes >= BATCH_BYTES) await this.end()
  }

  /** The row under another live prefix. */
  putUnder(live: number, key: Key, value: Value): Promise<void> {
    const moved = Uint8Array.from(key)
    moved[0] = live
    return this.put(moved, value)
  }

  /** Commits what is left. More may follow. */
  async end(): Promise<void> {
    if (this.#rows === 0) return
    const batch = this.#batch
    this.#batch = this.#volume.batch()
    this.#rows = 0
    this.#bytes = 0
    await batch.commit()
  }
}
