/**
 * Source text with its comments, and where asked its strings, blanked out: newlines stay, so lines keep their numbers.
 * Enough of a lexer for rules about words; what a rule needs a parser for is Biome's part.
 */

const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\//y
const QUOTED = /'(?:[^'\\\n]|\\[\s\S])*'|"(?:[^"\\\n]|\\[\s\S])*"/y
const REGEX = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y
const WORD = /[\w$]+/y
/** After one of these, a slash begins a regular expression; after anything else it divides. */
const BEFORE_REGEX = new Set([...'(,=:[!&|?{};+-*%~^<>', 'return', 'typeof', 'case', 'in', 'of', 'await', 'yield', ''])

const hide = (text: string) => text.replace(/[^\n]/g, ' ')

export function withoutComments(text: string): string {
  return new Blanker(text, false).code(false)
}

/** Strings, templates (their expressions stay) and regular expressions are blanked, too. */
export function bareCode(text: string): string {
  return new Blanker(text, true).code(false)
}

class Blanker {
  readonly #text: string
  readonly #strings: boolean
  #at = 0
  constructor(text: string, strings: boolean) {
    this.#text = text
    this.#strings = strings
  }

  /** Code up to the end, or up to the brace that closes a template's expression. */
  code(inTemplate: boolean): string {
    let out = ''
    let depth = 0
    let last = ''
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at]!
      const comment = this.#take(COMMENT)
      if (comment !== null) {
        out += hide(comment)
        continue
      }
      const word = this.#take(WORD)
      if (word !== null) {
        out += word
        last = word
        continue
      }
      if (inTemplate && char === '}' && depth === 0) return out
      if (char === '{') depth++
      if (char === '}') depth--
      const literal = char === '`' ? this.#template() : this.#literal(last)
      out += literal ?? char
      if (literal === null) this.#at++
      if (!/\s/.test(char)) last = literal === null ? char : 'a literal'
    }
    return out
  }

  #literal(last: string): string | null {
    const quoted = this.#take(QUOTED)
    if (quoted !== null) return this.#strings ? quoted[0] + hide(quoted.slice(1, -1)) + quoted[0] : quoted
    const regex = BEFORE_REGEX.has(last) ? this.#take(REGEX) : null
    return regex !== null && this.#strings ? hide(regex) : regex
  }

  #template(): string {
    let out = '`'
    this.#at++
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at]!
      if (this.#text.startsWith('${', this.#at)) {
        this.#at += 2
        out += `\${${this.code(true)}`
        continue
      }
      const piece = char === '\\' ? this.#text.slice(this.#at, this.#at + 2) : char
      this.#at += piece.length
      out += this.#strings && char !== '`' && char !== '}' ? hide(piece) : piece
      if (char === '`') break
    }
    return out
  }

  #take(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0] ?? null
    if (found !== null) this.#at += found.length
    return found
  }
}
