/**
 * Functions stay short enough to be seen at once. Blocks are matched brace by brace on code without strings; what makes a
 * block a function's is judged by what stands before it. Biome has such a rule, yet counts only some of the lines.
 */
import { bareCode } from './code.js'
import { type Finding, type HouseRule, isSource } from './rule.js'

const LINES_BELOW = 70
const CONTROL = new Set(['if', 'for', 'while', 'switch', 'catch', 'with', 'await'])
/** How far before a block its head is looked for. */
const HEAD_CHARS = 4_000

function longFunctions(path: string, text: string): Finding[] {
  if (!isSource(path)) return []
  const code = bareCode(text)
  const found: Finding[] = []
  const open: number[] = []
  for (let at = 0; at < code.length; at++) {
    if (code[at] === '{') open.push(at)
    if (code[at] !== '}') continue
    const start = headStart(code, open.pop() ?? 0)
    if (start === null) continue
    const lines = code.slice(start, at).split('\n').length
    if (lines < LINES_BELOW) continue
    const line = code.slice(0, start).split('\n').length
    found.push({ line, says: `${lines} lines in the function at "${text.split('\n')[line - 1]!.trim()}"` })
  }
  return found
}

/** Where the head of the function begins whose body opens at `brace`; null where that is no function's body. */
function headStart(code: string, brace: number): number | null {
  const from = Math.max(0, brace - HEAD_CHARS)
  const head = code.slice(from, brace).trimEnd()
  const arrow = head.endsWith('=>')
  const before = arrow ? head.slice(0, -2).trimEnd() : head
  // Behind the parameters may stand a return type.
  const close = before.endsWith(')') ? before.length - 1 : before.lastIndexOf('): ')
  if (close < 0 || /[;{}\n]/.test(before.slice(close))) return arrow ? brace : null
  let depth = 0
  let at = close
  for (; at >= 0; at--) {
    if (before[at] === ')') depth++
    if (before[at] === '(' && --depth === 0) break
  }
  if (at < 0) return arrow ? brace : null
  const word = /([\w$#]+)\s*(?:<[^()]*>)?\s*$/.exec(before.slice(0, at))?.[1]
  return !arrow && CONTROL.has(word ?? '') ? null : from + at
}

const body = (lines: number) => '  step()\n'.repeat(lines)
const plant = (text: string) => ({ path: 'server/machine/x.ts', text })

export const functionRule: HouseRule = {
  claim: `no function has ${LINES_BELOW} lines or more`,
  rule: longFunctions,
  planted: [
    plant(`function long() {\n${body(68)}}`),
    plant(`class A {\n  async #long(a: () => void): Promise<Map<string, number>> {\n${body(68)}}\n}`),
    plant(`const long = (a: number) => {\n${body(68)}}`),
    plant(`const long = (a: number): a is 5 => {\n${body(68)}}`),
    plant(`const long = async a => {\n${body(68)}}`),
    plant(`function long<T>(\n  a: T,\n  b: string,\n): T[] {\n${body(65)}}`),
    plant(`function long() {\n  if (x) {\n${body(66)}  }\n}`),
    plant(`t.test('long', async (t) => {\n${body(68)}})`),
    plant(`function long() {\n  const brace = '}'\n${body(67)}}`),
  ],
  innocent: [
    plant(`function short() {\n${body(67)}}`),
    plant(`class A {\n${'  short() {\n    step()\n  }\n'.repeat(40)}}`),
    plant(`for (const x of (await y)) {\n${body(68)}}`),
    plant(`export const table = {\n${'  a: 1,\n'.repeat(100)}}`),
    plant(`const f = (a: string) => g(a): 5\n\nexport class A implements B {\n${'  short() {}\n'.repeat(100)}}`),
    plant(`interface A {\n${'  a: () => void\n'.repeat(100)}}`),
  ],
}
