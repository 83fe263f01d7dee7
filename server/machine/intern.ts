/**
 * One string for equal strings: a decoded command brings a fresh copy of its holder and principal each time, and a
 * million leases of ten services need ten of them. Bounded: it starts over when it is full, and sharing is only lost.
 */
const INTERNED_MAX = 16_384

export class Interner {
  readonly #strings = new Map<string, string>()

  of(text: string): string {
    const shared = this.#strings.get(text)
    if (shared !== undefined) return shared
    if (this.#strings.size >= INTERNED_MAX) this.#strings.clear()
    this.#strings.set(text, text)
    return text
  }
}
