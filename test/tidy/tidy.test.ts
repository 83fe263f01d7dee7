/** The rules of the house, held over the whole tree. Each rule first shows on planted violations that it can fail. */
import t from 'tap'
import { bareCode, withoutComments } from './code.js'
import { functionRule } from './functions.js'
import { importRule } from './imports.js'
import { dependencyRule, undeclared } from './packages.js'
import { purityRule } from './purity.js'
import type { HouseRule } from './rule.js'
import { anyRule, leftoverRule, openingRule, sizeRule, skipRule } from './shape.js'
import { readTree } from './tree.js'
import { wordsRule } from './words.js'

const tree = readTree()
const rules: HouseRule[] = [
  importRule,
  purityRule,
  sizeRule,
  functionRule,
  openingRule,
  leftoverRule,
  anyRule,
  skipRule,
  wordsRule,
  dependencyRule,
]

for (const { claim, rule, planted, innocent } of rules) {
  t.test(claim, async (t) => {
    for (const { path, text } of planted) t.not(rule(path, text).length, 0, `caught: ${path}: ${text.slice(0, 60)}`)
    for (const { path, text } of innocent) t.same(rule(path, text), [], `let pass: ${path}: ${text.slice(0, 60)}`)
    const found = [...tree].flatMap(([path, text]) =>
      rule(path, text).map(({ line, says }) => `${path}:${line} ${says}`),
    )
    t.same(found, [], 'the tree keeps it')
  })
}

t.test('the tree is seen as a whole', async (t) => {
  for (const path of ['protocol/index.ts', 'server/machine/index.ts', 'client/index.ts', 'package.json', 'README.md']) {
    t.ok(tree.has(path), path)
  }
  t.notOk([...tree.keys()].some((path) => path.includes('node_modules') || path.includes('dist/')))
})

t.test('every workspace declares what it imports', async (t) => {
  for (const workspace of ['protocol', 'server', 'client']) t.same(undeclared(workspace, tree), [])
  const planted = new Map([
    ['client/package.json', '{"name":"@leasehold/client","dependencies":{"ws":"1"}}'],
    ['client/x.ts', "import { LRUCache } from 'lru-cache'\nimport ws from 'ws'\nimport 'node:fs'"],
  ])
  t.same(undeclared('client', planted), ['client/x.ts imports lru-cache'])
})

t.test('blanking keeps lines and code, and takes comments, strings and regular expressions', async (t) => {
  const text = `a('//x') // y\n/* z\n */ b(\`t\${c('d')}\`, /'\\/[/]/g, 4 / 2 / 1)\n`
  t.equal(withoutComments(text), `a('//x')     \n    \n    b(\`t\${c('d')}\`, /'\\/[/]/g, 4 / 2 / 1)\n`)
  t.equal(bareCode(text), `a('   ')     \n    \n    b(\` \${c(' ')}\`,${' '.repeat(10)}, 4 / 2 / 1)\n`)
})
