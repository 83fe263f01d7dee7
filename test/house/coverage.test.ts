import t from 'tap'
import { complaints, sourcesOf } from './coverage.js'

const row = (covered: number, total: number) => ({ branches: { covered, total, pct: (100 * covered) / total } })

t.test('a branch that no test took, and a file that no test loaded, are both told', async (t) => {
  const summary = { 'protocol/a.ts': row(4, 4), 'protocol/b.ts': row(3, 4) }
  t.same(complaints(summary, ['protocol/a.ts']), [])
  t.same(complaints(summary, ['protocol/a.ts', 'protocol/b.ts', 'protocol/c.ts']), [
    'protocol/b.ts: 3 of 4 branches (75 %)',
    'protocol/c.ts: no test loads it',
  ])
  t.same(complaints(summary, []), ['there is nothing to cover'], 'a room that has gone is no success')
})

t.test('the sources of a room are found, and no output is', async (t) => {
  const files = sourcesOf('protocol')
  t.ok(files.includes('protocol/scan.ts'))
  t.notOk(files.some((file) => file.includes('dist/') || file.endsWith('.d.ts')))
})
