/**
 * Room on the disk: below a watermark a member takes nothing that grows and is not ready, long before a write would fail. What
 * gives room back, or keeps a grant alive, goes on. It recovers at a higher mark, so that it does not flap.
 */
import type { Telemetry } from '../ports/index.js'
import type { Store } from '../storage/index.js'
import { REPLICA_LIMITS } from './limits.js'

export class DiskSpace {
  readonly #store: Pick<Store, 'freeBytes'>
  readonly #telemetry: Telemetry
  readonly #lowBytes: number
  #checking = false
  #low = false

  constructor(store: Pick<Store, 'freeBytes'>, telemetry: Telemetry, lowBytes: number = REPLICA_LIMITS.diskLowBytes) {
    this.#store = store
    this.#telemetry = telemetry
    this.#lowBytes = lowBytes
  }

  get low(): boolean {
    return this.#low
  }

  /** Looks again, now and then. One look at a time. Resolves once it is done. */
  async check(): Promise<void> {
    if (this.#checking) return
    this.#checking = true
    try {
      const freeBytes = await this.#store.freeBytes()
      const mark = this.#low ? this.#lowBytes * REPLICA_LIMITS.diskRecoveredFactor : this.#lowBytes
      const low = freeBytes < mark
      if (low !== this.#low)
        this.#telemetry.log(low ? 'error' : 'info', low ? 'disk nearly full' : 'disk has room', { freeBytes })
      this.#low = low
    } catch (error) {
      // A disk that cannot say how full it is says so when it is written to.
      this.#telemetry.log('warn', 'free space unknown', { reason: String(error) })
    } finally {
      this.#checking = false
    }
  }
}
