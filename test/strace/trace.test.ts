import t from 'tap'
import { judgeTrace } from './trace.js'

const OPTIONS = { syncedUnder: '/data/', greetings: 0 }
const SYNC = (at: string) => `${at} fdatasync(20</data/db/000003.log>)`
const IN = (port: number, result = '= 80') =>
  `1 read(30<TCP:[127.0.0.1:7420->127.0.0.1:${port}]>, ""..., 65536) ${result}`
const OUT = (port: number) => `1 write(30<TCP:[127.0.0.1:7420->127.0.0.1:${port}]>, ""..., 40) = 40`

t.test('a reply after a sync that began after its request is passed', async (t) => {
  const verdict = judgeTrace([IN(1), `${SYNC('2')} = 0`, OUT(1)], OPTIONS)
  t.same(verdict, { replies: 1, syncs: 1, violations: [] })
})

t.test('a sync whose two ends stand in two lines counts from its beginning to its end', async (t) => {
  const begins = `${SYNC('2').slice(0, -1)} <unfinished ...>`
  const ends = '2 <... fdatasync resumed>) = 0'
  t.same(judgeTrace([IN(1), begins, ends, OUT(1)], OPTIONS).violations, [])
  t.equal(judgeTrace([begins, IN(1), ends, OUT(1)], OPTIONS).violations.length, 1, 'it began before the request')
  t.equal(judgeTrace([IN(1), begins, OUT(1), ends], OPTIONS).violations.length, 1, 'it ended after the reply')
})

const PLANTED: Record<string, string[]> = {
  'no sync at all': [IN(1), OUT(1)],
  'a sync before the request': [`${SYNC('2')} = 0`, IN(1), OUT(1)],
  'a sync that failed': [IN(1), `${SYNC('2')} = -1 EIO (Input/output error)`, OUT(1)],
  'a sync of another file': [IN(1), '2 fdatasync(20</tmp/other>) = 0', OUT(1)],
  'a late joiner': [IN(1), `${SYNC('2')} = 0`, IN(2), OUT(1), OUT(2)],
}
for (const [planted, lines] of Object.entries(PLANTED)) {
  t.test(`caught: ${planted}`, async (t) => {
    t.equal(judgeTrace(lines, OPTIONS).violations.length, 1)
  })
}

t.test('greetings, empty reads and what the server sends by itself are no requests and no replies', async (t) => {
  const greeted = { ...OPTIONS, greetings: 1 }
  const again = '= -1 EAGAIN (Resource temporarily unavailable)'
  t.same(judgeTrace([IN(1), OUT(1), IN(1, again), OUT(1), IN(1, '= 0')], greeted), {
    replies: 0,
    syncs: 0,
    violations: [],
  })
})
