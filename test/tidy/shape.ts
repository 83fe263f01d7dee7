/** Rules about how a file looks: its size, its opening, and what must not stand in it. */
import { bareCode } from './code.js'
import { type Finding, type HouseRule, isSource, isTest, matches } from './rule.js'

const LINES_MAX = 400

const many = (count: number) => 'x()\n'.repeat(count)

export const sizeRule: HouseRule = {
  claim: `no file is longer than ${LINES_MAX} lines`,
  rule(path, text) {
    const lines = text.replace(/\n$/, '').split('\n').length
    return isSource(path) && lines > LINES_MAX ? [{ line: LINES_MAX + 1, says: `${lines} lines: split the file` }] : []
  },
  planted: [{ path: 'server/machine/x.ts', text: many(LINES_MAX + 1) }],
  innocent: [
    { path: 'server/machine/x.ts', text: many(LINES_MAX) },
    { path: 'docs/long.md', text: many(1_000) },
  ],
}

/** A comment before the first statement. An index that only re-exports says all there is to say. */
function opening(path: string, text: string): Finding[] {
  if (!isSource(path) || isTest(path)) return []
  const start = text.replace(/^#!.*\n/, '').trimStart()
  if (start.startsWith('/**') || start.startsWith('//')) return []
  const onlyExports = start
    .split('\n')
    .every((line) => /^$|^export \{\}$|^export (?:type )?(?:\*|\{.*\}) from '.*'$/.test(line))
  return onlyExports ? [] : [{ line: 1, says: 'a file opens with a comment on why it exists' }]
}

export const openingRule: HouseRule = {
  claim: 'every file opens with why it exists',
  rule: opening,
  planted: [
    { path: 'server/machine/x.ts', text: "import { a } from './a.js'\n/** Late. */\nexport const b = a" },
    { path: 'client/x.ts', text: 'export const x = 1\n' },
    { path: 'server/bin/x.mjs', text: '#!/usr/bin/env node\nrun()\n' },
  ],
  innocent: [
    { path: 'server/machine/x.ts', text: '/** Why. */\nexport const x = 1' },
    { path: 'server/bin/x.mjs', text: '#!/usr/bin/env node\n/** Why. */\nrun()' },
    { path: 'client/index.ts', text: "export * from './a.js'\nexport { b, type C } from './b.js'\n" },
    { path: 'test/machine/x.test.ts', text: "import t from 'tap'" },
  ],
}

const LEFTOVER = new RegExp(
  ['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].map((word) => `\\b${word}\\b`).join('|'),
  'g',
)
const SILENCER = /@ts-(?:ignore|nocheck|expect-error)|biome-ignore(?!.*: \S)/g

export const leftoverRule: HouseRule = {
  claim: 'nothing is left for later, and no check is silenced without its reason',
  rule(path, text) {
    return [
      ...matches(text, LEFTOVER, (match) => `${match[0]}: do it, or file it`),
      ...(isSource(path) ? matches(text, SILENCER, (match) => `${match[0]} silences a check`) : []),
    ]
  },
  planted: [
    { path: 'server/x/x.ts', text: `// TO${'DO'} later` },
    { path: 'README.md', text: `FIX${'ME'}: words` },
    { path: 'server/x/x.ts', text: `// @ts-${'ignore'}` },
    { path: 'test/x/x.test.ts', text: `// @ts-expect-${'error'}: wrong on purpose` },
    { path: 'server/x/x.ts', text: `// biome-${'ignore'} lint/a/b` },
  ],
  innocent: [{ path: 'server/x/x.ts', text: `// biome-${'ignore'} lint/a/b: the reason\nconst todos = 1` }],
}

export const anyRule: HouseRule = {
  claim: 'nothing is cast to any, nor through unknown to where it does not belong by way of any',
  rule(path, text) {
    if (!isSource(path)) return []
    return matches(
      bareCode(text),
      /\bas\s+any\b|<any\b[^>]*>|:\s*any\b(?!\w)/g,
      (match) => `${match[0]} drops the type`,
    )
  },
  planted: [
    { path: 'client/x.ts', text: 'const x = y as any' },
    { path: 'test/x/x.test.ts', text: 'f(x as  any)' },
    { path: 'server/x/x.ts', text: 'function f(x: any) {}' },
    { path: 'server/x/x.ts', text: 'const m = new Map<any, string>()' },
  ],
  innocent: [{ path: 'client/x.ts', text: '// as any other\nconst s = "as any"\nconst many: anything = 1' }],
}

const QUIET_SKIP = /\b(?:t|test|suite|describe|it)\s*\.\s*(?:skip|todo|only)\b|\b(?:todo|only)\s*:\s*true\b/g

/** A test may be skipped where the machine lacks something, and then says what: `skip: has ? false : 'why not'`. */
function loudSkips(path: string, text: string): Finding[] {
  if (!path.endsWith('.test.ts')) return []
  const code = bareCode(text)
  const valued = [...code.matchAll(/\bskip\s*:\s*([^,}\n]*)/g)].filter(
    (match) => !/['"`]|\bfalse\b|[Rr]eason|[Ww]hy/.test(match[1]!),
  )
  return [
    ...matches(code, QUIET_SKIP, (match) => `${match[0]} leaves a test out in silence`),
    ...valued.map((match) => ({
      line: code.slice(0, match.index).split('\n').length,
      says: 'a skipped test says why',
    })),
  ]
}

export const skipRule: HouseRule = {
  claim: 'no test is left out in silence',
  rule: loudSkips,
  planted: [
    { path: 'test/x/x.test.ts', text: "t.skip('x', async () => {})" },
    { path: 'test/x/x.test.ts', text: "t.only('x', async () => {})" },
    { path: 'test/x/x.test.ts', text: "t.test('x', { skip: true }, async () => {})" },
    { path: 'test/x/x.test.ts', text: "t.test('x', { skip: !linux }, async () => {})" },
    { path: 'test/x/x.test.ts', text: "t.test('x', { todo: true }, async () => {})" },
  ],
  innocent: [
    { path: 'test/x/x.test.ts', text: "t.test('x', { skip: linux ? false : 'needs Linux' }, async () => {})" },
    { path: 'test/x/model.ts', text: 'const x = { skip: n }' },
  ],
}
