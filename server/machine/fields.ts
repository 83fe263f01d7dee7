/**
 * Reads the fields of a stored row in their order. A shape that this version does not know throws; it never guesses.
 */
import { checkLaterFormat, FIRST_FORMAT } from '@leasehold/protocol'

/** The last field of a row that has none in the first format: so rows stay as they were for as long as that is in use. */
export const laterFormat = (format: number): readonly number[] => (format > FIRST_FORMAT ? [format] : [])

export class FieldReader {
  #where = ''
  #fields: readonly unknown[] = []
  #at = 0

  open(table: string, key: string, fields: readonly unknown[]): this {
    this.#where = `${table}/${key}`
    this.#fields = fields
    this.#at = 0
    return this
  }

  int(): number {
    const value = this.#fields[this.#at++]
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw this.#unknown('a whole number')
    return value
  }

  text(): string {
    const value = this.#fields[this.#at++]
    if (typeof value !== 'string') throw this.#unknown('a text')
    return value
  }

  textOrNull(): string | null {
    const value = this.#fields[this.#at++]
    if (value !== null && typeof value !== 'string') throw this.#unknown('a text or null')
    return value
  }

  intOrText(): number | string {
    return typeof this.#fields[this.#at] === 'string' ? this.text() : this.int()
  }

  /** What laterFormat() wrote. */
  laterFormat(): number {
    if (!this.more) return FIRST_FORMAT
    try {
      return checkLaterFormat(this.int())
    } catch {
      throw this.#unknown('a format after the first')
    }
  }

  /** All that is left. */
  rest(): readonly unknown[] {
    const rest = this.#fields.slice(this.#at)
    this.#at = this.#fields.length
    return rest
  }

  get more(): boolean {
    return this.#at < this.#fields.length
  }

  done(): void {
    if (this.more) throw this.#unknown('the end of the row')
  }

  #unknown(expected: string): Error {
    return new Error(`stored row ${this.#where}: field ${this.#at} should be ${expected}`)
  }
}
