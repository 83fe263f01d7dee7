/** The runner of planted faults, on a workshop of paper; and the tables, held to the sources that they speak of. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { compiled, type Fault, plant } from './fault.js'
import { faults } from './index.js'
import { checkSound, judge, type Workshop } from './judge.js'

const root = join(import.meta.dirname, '..', '..', '..')
const fault: Fault = {
  name: 'x: one',
  claim: 'one is one',
  file: 'x.ts',
  find: 'one',
  replace: 'two',
  tests: ['test/x/a.test.ts', 'test/x/b.test.ts'],
}

/** A tree of one file; `outcome` says what a test makes of its text. */
function paper(
  outcome: (file: string, text: string) => 'passed' | 'failed' | 'timed out',
  build: (text: string) => string | null = () => null,
  output = '',
): Workshop & { text: string } {
  return {
    text: 'is one',
    read() {
      return this.text
    },
    write(_file, text) {
      this.text = text
    },
    build() {
      return Promise.resolve(build(this.text))
    },
    test(file) {
      return Promise.resolve({ outcome: outcome(file, this.text), output })
    },
  }
}

t.test('a fault that any of its tests notices is caught, and is gone afterwards', async (t) => {
  const noticing = paper((file, text) => (file === 'test/dist/x/b.test.js' && text === 'is two' ? 'failed' : 'passed'))
  t.match(await judge(noticing, fault), { verdict: 'caught', detail: 'test/x/b.test.ts failed' })
  t.equal(noticing.text, 'is one')
  const hanging = paper(() => 'timed out')
  t.match(await judge(hanging, fault), { verdict: 'caught', detail: 'test/x/a.test.ts timed out' })
})

t.test('of simulated worlds the seed that noticed is told', async (t) => {
  const printed = 'not ok 1 - seed 47 fails at step 12, 3.456 ms: a read\n  1.000 fault\n'
  const worlds = paper(
    () => 'failed',
    () => null,
    printed,
  )
  const detail = 'test/x/a.test.ts failed: seed 47 fails at step 12, 3.456 ms: a read'
  t.match(await judge(worlds, fault), { verdict: 'caught', detail })
})

t.test('a fault that nothing notices survives', async (t) => {
  t.match(
    await judge(
      paper(() => 'passed'),
      fault,
    ),
    { verdict: 'survived' },
  )
  t.match(
    await judge(
      paper(() => 'failed'),
      { ...fault, tests: [] },
    ),
    { verdict: 'survived', detail: /^no test/ },
  )
})

t.test('a fault that does not compile, or has no place, proves nothing', async (t) => {
  const unbuilt = paper(
    () => 'failed',
    (text) => (text === 'is two' ? 'x.ts(1,1): error' : null),
  )
  t.match(await judge(unbuilt, fault), { verdict: 'broken', detail: /^does not compile: x\.ts/ })
  t.equal(unbuilt.text, 'is one')
  t.match(
    await judge(
      paper(() => 'failed'),
      { ...fault, find: 'gone' },
    ),
    { verdict: 'broken', detail: /stands 0 times/ },
  )
  t.throws(() => plant('one one', fault), /stands 2 times in x\.ts, not once/)
  t.throws(() => plant('one', { ...fault, find: '' }), /stands everywhere/)
  t.throws(() => plant('one', { ...fault, replace: 'one' }), /changes nothing/)
  t.equal(plant('one', { ...fault, replace: '$&$1' }), '$&$1', 'the replacement is taken as it is')
})

t.test('nothing is judged before the tree is seen to be sound', async (t) => {
  t.equal(
    await checkSound(
      paper(() => 'passed'),
      [fault],
    ),
    null,
  )
  t.match(
    await checkSound(
      paper(() => 'failed'),
      [fault],
    ),
    /^test\/x\/a\.test\.ts failed with nothing planted/,
  )
  t.match(
    await checkSound(
      paper(
        () => 'passed',
        () => 'error',
      ),
      [fault],
    ),
    /does not build as it is/,
  )
})

t.test('every fault of the tables has one place in its source, and tests that exist', async (t) => {
  t.equal(new Set(faults.map(({ name }) => name)).size, faults.length, 'names are unique')
  for (const one of faults) {
    t.doesNotThrow(() => plant(readFileSync(join(root, one.file), 'utf8'), one), one.name)
    t.not(one.tests.length, 0, one.name)
    for (const test of one.tests) {
      t.ok(existsSync(join(root, test)) && existsSync(join(root, compiled(test))), `${one.name}: ${test}`)
    }
  }
})
