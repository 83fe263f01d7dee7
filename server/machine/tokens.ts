/**
 * Finds the live grant of a token. Tokens are handed out in growing order, so an array of them with a binary search
 * does what a map would, in a third of its memory. Entries of ended grants stay until they outnumber the live ones.
 */
import { LEASE_STATE, type Lease } from './lease.js'

const SLACK = 1_024

/** A delayed row keeps the token of a grant that is no more. */
const live = (lease: Lease, token: number) => lease.token === token && lease.state !== LEASE_STATE.gone

export class LiveTokens {
  #tokens: number[] = []
  #leases: Lease[] = []
  #live = 0

  /** All rows that there are, in the order of their tokens: once, in front of all others. The array is kept. */
  loaded(leases: Lease[]): void {
    this.#tokens = leases.map((lease) => lease.token)
    this.#leases = leases
    this.#live = leases.length
  }

  /** The row's token is the newest of all. */
  add(lease: Lease): void {
    this.#tokens.push(lease.token)
    this.#leases.push(lease)
    this.#live++
  }

  /** A row's grant has ended, or it has left the table. Call it after the row was changed. */
  ended(): void {
    this.#live--
    if (this.#tokens.length > 2 * this.#live + SLACK) this.#compact()
  }

  /** The row that stands under this token: held, offered or delayed. */
  find(token: number): Lease | undefined {
    let low = 0
    let high = this.#tokens.length
    while (low < high) {
      const mid = (low + high) >>> 1
      if (this.#tokens[mid]! < token) low = mid + 1
      else high = mid
    }
    const lease = this.#leases[low]
    return lease !== undefined && live(lease, token) ? lease : undefined
  }

  #compact(): void {
    let kept = 0
    for (let at = 0; at < this.#tokens.length; at++) {
      const lease = this.#leases[at]!
      const token = this.#tokens[at]!
      if (!live(lease, token)) continue
      this.#tokens[kept] = token
      this.#leases[kept] = lease
      kept++
    }
    this.#tokens.length = kept
    this.#leases.length = kept
  }
}
