/** Many leases held over raw sessions: their tokens in one array, so that a million of them cost the driver little. */
import { OK } from '@leasehold/protocol'
import type { Done, Unit } from './driver.js'
import { fill } from './fill.js'
import type { RawSession } from './rawsession.js'

export class RawLeases {
  readonly tokens: Float64Array
  readonly #sessions: readonly RawSession[]
  readonly #prefix: string
  readonly #nameBytes: number

  /** Names are `prefix` and a number, filled up with zeros to `nameBytes`. */
  constructor(sessions: readonly RawSession[], count: number, prefix: string, nameBytes: number) {
    this.#sessions = sessions
    this.tokens = new Float64Array(count)
    this.#prefix = prefix
    this.#nameBytes = nameBytes
  }

  name(at: number): string {
    return this.#prefix + String(at).padStart(this.#nameBytes - this.#prefix.length, '0')
  }

  #session(at: number): RawSession {
    return this.#sessions[at % this.#sessions.length]!
  }

  /** Acquires all of them, each for a holder of its own. */
  acquireAll(inFlight: number, ttlMs: (at: number) => number): Promise<void> {
    return fill(this.tokens.length, inFlight, (at, done) => {
      this.#session(at).acquire(this.name(at), `holder-${at}`, ttlMs(at), (code, fields) => {
        this.tokens[at] = code === OK ? (fields[0] as number) : 0
        done(code === OK)
      })
    })
  }

  /** Renews each of them once. */
  renewAll(inFlight: number): Promise<void> {
    return fill(this.tokens.length, inFlight, (at, done) => this.renew(at, done))
  }

  renew(at: number, done: (ok: boolean) => void): void {
    this.#session(at).renew(this.name(at), this.tokens[at]!, (code) => done(code === OK))
  }

  /** Units that renew one lease after the other, round and round. */
  renewals(): Unit {
    let next = 0
    return (_slot: number, done: Done) => {
      this.renew(next, done)
      next = next + 1 === this.tokens.length ? 0 : next + 1
    }
  }
}
