/**
 * machine/, raft/ and protocol/ are functions of what they are given: the same entry gives the same answer on every
 * member, at every replay, in every time zone and language. So they never read a clock, draw a random number, await, set
 * a timer, or know their process. (Their imports are the matter of imports.ts.)
 */
import { bareCode } from './code.js'
import { roomOf } from './imports.js'
import { type Finding, type HouseRule, isSource, matches } from './rule.js'

const PURE = new Set(['protocol', 'server/machine', 'server/raft'])

const WORLDLY = [
  'Date',
  'performance',
  'process',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'Promise',
  'async',
  'await',
  'crypto',
  'globalThis',
  'console',
  'fetch',
  'require',
  'Buffer',
  'Atomics',
  'WeakRef',
  'FinalizationRegistry',
  // Their answers follow the machine's language and time zone.
  'Intl',
  'localeCompare',
]
const WORLDLY_WORD = new RegExp(String.raw`(?<![\w$#])(?:${WORLDLY.join('|')})(?![\w$])(?!\s*\??:)`, 'g')
const WORLDLY_CALL = /\bMath\s*\.\s*random\b|\bMath\s*\[|\btoLocale\w+|\bimport\s*\.\s*meta\b|\bimport\s*\(/g

function purity(path: string, text: string): Finding[] {
  if (!isSource(path) || !PURE.has(roomOf(path))) return []
  const code = bareCode(text)
  const says = (match: RegExpExecArray) => `a pure room must not use ${match[0]}`
  return [...matches(code, WORLDLY_WORD, says), ...matches(code, WORLDLY_CALL, says)]
}

const plant = (text: string) => ({ path: 'server/machine/x.ts', text })

export const purityRule: HouseRule = {
  claim: 'machine/, raft/ and protocol/ read no clock, draw no number, await nothing and know no process',
  rule: purity,
  planted: [
    plant('const now = Date.now()'),
    plant('const now = new Date()'),
    plant('const x = Math.random()'),
    plant(`const x = \`\${Math . random()}\``),
    plant('const t = performance.now()'),
    plant('setTimeout(() => {}, 1)'),
    plant('queueMicrotask(step)'),
    plant('async function f() {}'),
    plant('for await (const x of y) z(x)'),
    plant('return Promise.resolve(1)'),
    plant('if (process.env.X) y()'),
    plant('crypto.randomUUID()'),
    plant("globalThis['Date'].now()"),
    plant('names.sort((a, b) => a.localeCompare(b))'),
    plant('time.toLocaleString()'),
    plant('console.log(1)'),
    { path: 'protocol/x.ts', text: 'const t = Date.now()' },
    { path: 'server/raft/x.ts', text: 'const t = Date.now()' },
  ],
  innocent: [
    plant('// Date.now() is for others\nconst s = "await Promise"\nconst date = updateDate(x.process_)'),
    plant('/* Math.random() */ const r = /Date/.test(s)'),
    { path: 'server/cli/x.ts', text: 'const t = Date.now()' },
  ],
}
