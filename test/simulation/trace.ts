/** What happened in a world: a hash over everything, to compare runs by, and the last events, for people. */

const KEPT = 48

type Word = string | number | null

export class Trace {
  /** Two halves of a running hash. */
  #a = 0x811c9dc5 | 0
  #b = 0x1b873593 | 0
  #count = 0
  readonly #last: (readonly [timeMs: number, what: string, words: readonly Word[]])[] = []

  get hash(): string {
    return [this.#a, this.#b].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('')
  }

  mix(value: number): void {
    // Fractions of time matter, too.
    const whole = Math.trunc(value)
    const rest = ((value - whole) * 0x4000_0000) | 0
    this.#a = Math.imul(this.#a ^ whole, 0x01000193) ^ (this.#a >>> 15)
    this.#b = Math.imul(this.#b ^ rest ^ this.#a, 0xcc9e2d51 | 0) ^ (this.#b >>> 13)
  }

  text(value: string): void {
    for (let at = 0; at < value.length; at++) this.#a = Math.imul(this.#a ^ value.charCodeAt(at), 0x01000193)
    this.mix(value.length)
  }

  note(timeMs: number, what: string, ...words: readonly Word[]): void {
    this.mix(timeMs)
    this.text(what)
    for (const word of words) {
      if (typeof word === 'number') this.mix(word)
      else this.text(word ?? '')
    }
    this.#last[this.#count++ % KEPT] = [timeMs, what, words]
  }

  /** The last events, the oldest first, one a line. */
  last(count: number = KEPT): string[] {
    const from = Math.max(0, this.#count - Math.min(count, KEPT))
    const lines: string[] = []
    for (let at = from; at < this.#count; at++) {
      const [timeMs, what, words] = this.#last[at % KEPT]!
      lines.push(`${timeMs.toFixed(3).padStart(12)} ms  ${[what, ...words].join(' ')}`)
    }
    return lines
  }
}
