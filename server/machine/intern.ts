/**
 * One string for equal strings: a decoded command brings a fresh copy of its holder and principal each time, and a
 * million leases of ten services need ten of them. Bounded: it starts over when it is full, and sharing is only lost.
 * Where nearly every string is another one it gives up for a while.
 */
const INTERNED_MAX = 2_048
const REST_MAX = 32_768

export class Interner {
  readonly #strings = new Map<string, string>()
  #hits = 0
  #rest = 0

  of(text: string): string {
    if (this.#rest > 0) {
      this.#rest--
      return text
    }
    const shared = this.#strings.get(text)
    if (shared !== undefined) {
      this.#hits++
      return shared
    }
    if (this.#strings.size >= INTERNED_MAX) {
      if (this.#hits < INTERNED_MAX) this.#rest = REST_MAX
      this.#hits = 0
      this.#strings.clear()
    }
    this.#strings.set(text, text)
    return text
  }
}
