/**
 * Finds the live grant of a token. Tokens are handed out in growing order, so a search in an array of them does what a
 * map would, in a third of its memory, and sooner: neighbours were granted one after the other and lie side by side.
 * Entries of ended grants stay until they outnumber the live ones.
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
    const lease = this.#leases[this.#firstFrom(token)]
    return lease !== undefined && live(lease, token) ? lease : undefined
  }

  /**
   * The position of the first token that is not under this one. Tokens of live grants lie almost evenly, so the search
   * begins where this one should lie (interpolation search: Perl, Itai and Avni, 1978), looks about from there in steps
   * that double (Bentley and Yao, 1976), and halves what is left. It touches two or three lines of the cache, where
   * halving a million tokens from the start touches twenty.
   */
  #firstFrom(token: number): number {
    const tokens = this.#tokens
    let low = 0
    let high = tokens.length
    if (high === 0 || tokens[high - 1]! < token) return high
    const first = tokens[0]!
    if (token <= first) return 0
    const guess = Math.floor(((token - first) / (tokens[high - 1]! - first)) * (high - 1))
    // All below `low` are under the token, none from `high` on is.
    if (tokens[guess]! < token) {
      low = guess + 1
      for (let step = 1; low + step < high; step *= 2) {
        if (tokens[low + step]! < token) low += step + 1
        else high = low + step
      }
    } else {
      high = guess
      for (let step = 1; high - step > low; step *= 2) {
        if (tokens[high - step]! < token) low = high - step + 1
        else high -= step
      }
    }
    while (low < high) {
      const mid = (low + high) >>> 1
      if (tokens[mid]! < token) low = mid + 1
      else high = mid
    }
    return low
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
