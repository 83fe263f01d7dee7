/** Known histories, and what is known about them. */
import t from 'tap'
import { judge } from './check.js'
import { pairUp } from './history.js'
import { readLines } from './lines.js'
import { MODELS } from './models.js'

/** `p f value` calls, `p ok value` ends; values are JSON. Times, where wanted, come first: `@12 p f value`. */
function verdictOf(model: string, text: string): { verdict: string; reasons: readonly string[] } {
  const calls = new Map<string, string>()
  const lines = text
    .trim()
    .split('\n')
    .map((line) => {
      const [, time, process, word, value] = /^\s*(?:@(\d+) )?(\S+) (\S+)(?: (.*))?$/.exec(line)!
      const ends = ['ok', 'fail', 'info'].includes(word!)
      if (!ends) calls.set(process!, word!)
      return JSON.stringify({
        type: ends ? word : 'invoke',
        process,
        f: calls.get(process!),
        ...(value === undefined ? {} : { value: JSON.parse(value) }),
        ...(time === undefined ? {} : { time: Number(time) }),
      })
    })
  const read = readLines(new TextEncoder().encode(lines.join('\n')))
  const { history, faults } = pairUp(read.lines, MODELS[model]!)
  if (read.faults.length + faults.length > 0) throw new Error(JSON.stringify([read.faults, faults]))
  return judge(MODELS[model]!, history, { stepsMax: 5_000_000, over: () => false })
}

/** Pairs of what happened and the verdict. */
const KNOWN: readonly [claim: string, model: string, verdict: 'linearizable' | 'not linearizable', history: string][] =
  [
    ['a read beside a write gives the old value', 'register', 'linearizable', 'a write 1\nb read\nb ok null\na ok'],
    ['a read beside a write gives the new value', 'register', 'linearizable', 'a write 1\nb read\nb ok 1\na ok'],
    ['a stale read', 'register', 'not linearizable', 'a write 1\na ok\nb read\nb ok null'],
    [
      'two reads beside a write, the new value and then the old one',
      'register',
      'not linearizable',
      'a write 1\nb read\nb ok 1\nc read\nc ok null\na ok',
    ],
    [
      'the same two reads, overlapping',
      'register',
      'linearizable',
      'a write 1\nb read\nc read\nb ok 1\nc ok null\na ok',
    ],
    ['a write that failed and is read', 'register', 'not linearizable', 'a write 1\na fail\nb read\nb ok 1'],
    [
      'a write of unknown outcome, read much later',
      'register',
      'linearizable',
      'a write 1\na info\nb read\nb ok null\nb read\nb ok 1',
    ],
    [
      'a write of unknown outcome that comes and goes again',
      'register',
      'not linearizable',
      'a write 1\na info\nb read\nb ok 1\nb read\nb ok null',
    ],
    ['a write by a process that crashed', 'register', 'linearizable', 'a write 1\nb read\nb ok 1'],
    [
      'two changes from the same value',
      'register',
      'not linearizable',
      'a cas [null,1]\nb cas [null,2]\na ok true\nb ok true',
    ],
    [
      'a change that finds something else',
      'register',
      'linearizable',
      'a cas [null,1]\nb cas [null,2]\na ok true\nb ok false',
    ],
    ['a change that need not have failed', 'register', 'not linearizable', 'a cas [null,1]\na ok false'],
    [
      'two independent orders that each process sees differently',
      'register',
      'not linearizable',
      'a write 1\nb write 2\na ok\nb ok\nc read\nc ok 1\nd read\nd ok 2\nc read\nc ok 1',
    ],
    [
      'two holders',
      'lease',
      'not linearizable',
      '@0 a acquire {"ttlMs":1000}\n@1 a ok 1\n@2 b acquire {"ttlMs":1000}\n@3 b ok 2',
    ],
    [
      'a successor after the time is over',
      'lease',
      'linearizable',
      '@0 a acquire {"ttlMs":1000}\n@1 a ok 1\n@999 b acquire {"ttlMs":1000}\n@1001 b ok 2',
    ],
    [
      'a successor, of a lease that was decided before it could be seen',
      'lease',
      'linearizable',
      '@0 a acquire {"ttlMs":1000}\n@40 b get\n@41 b ok null\n@50 a ok 1\n@1000 b acquire {"ttlMs":1000}\n@1010 b ok 2',
    ],
    [
      'a successor too early, of a lease that was decided after a change',
      'lease',
      'not linearizable',
      '@0 a acquire {"ttlMs":1000}\n@40 b acquire {"ttlMs":9}\n@41 b ok 1\n@45 b release {"token":1}\n@46 b ok true\n@50 a ok 2\n@1000 b acquire {"ttlMs":1000}\n@1010 b ok 3',
    ],
    [
      'a successor while a renewal holds',
      'lease',
      'not linearizable',
      '@0 a acquire {"ttlMs":1000}\n@1 a ok 1\n@500 a renew {"token":1,"ttlMs":1000}\n@501 a ok true\n@999 b acquire {"ttlMs":1000}\n@1001 b ok 2',
    ],
    [
      'a successor after a release',
      'lease',
      'linearizable',
      'a acquire {"ttlMs":9}\na ok 1\na release {"token":1}\na ok true\nb acquire {"ttlMs":9}\nb ok 2',
    ],
    [
      'a token that falls',
      'lease',
      'not linearizable',
      'a acquire {"ttlMs":9}\na ok 2\na release {"token":2}\na ok true\nb acquire {"ttlMs":9}\nb ok 1',
    ],
    [
      'a renewal after the end',
      'lease',
      'not linearizable',
      'a acquire {"ttlMs":9}\na ok 1\na release {"token":1}\na ok true\na renew {"token":1,"ttlMs":9}\na ok true',
    ],
    [
      'a release that is told twice',
      'lease',
      'linearizable',
      'a acquire {"ttlMs":9}\na ok 1\na release {"token":1}\na info\nb release {"token":1}\nb ok true',
    ],
    [
      'a lease lost too early',
      'lease',
      'not linearizable',
      '@0 a acquire {"ttlMs":1000}\n@1 a ok 1\n@500 b get\n@501 b ok null',
    ],
    [
      'a grant that its taker never heard of',
      'lease',
      'linearizable',
      '@0 a acquire {"ttlMs":1000}\n@1 a info\n@2 b acquire {"ttlMs":1000}\n@3 b ok null\n@4 b get\n@5 b ok 7\n@1500 b acquire {"ttlMs":9}\n@1501 b ok 8',
    ],
    ['held, and nobody has it', 'lease', 'not linearizable', 'b acquire {"ttlMs":1000}\nb ok null'],
  ]

for (const [claim, model, verdict, history] of KNOWN) {
  t.test(`${claim}: ${verdict}`, async (t) => {
    t.equal(verdictOf(model, history).verdict, verdict)
  })
}

t.test('the counter-example names what cannot be ordered, and leaves out what has no part in it', async (t) => {
  const noise = Array.from({ length: 50 }, (_, i) => `x write ${i}\nx ok\ny read\ny ok ${i}`).join('\n')
  const { reasons } = verdictOf(
    'register',
    `${noise}\na write "A"\na ok\nx write "B"\nx ok\nb read\nb ok "A"\n${noise}`,
  )
  t.same(reasons, [
    'the history: these 3 operations fit in no order, whatever became of the other 200:',
    '  lines 201 to 202: process "a" writes "A"',
    '  lines 203 to 204: process "x" writes "B"',
    '  lines 205 to 206: process "b" reads "A"',
    '  where it goes no further, it is "B"; and process "b" reads "A"',
  ])
})

t.test('where the state depends on what others did, the counter-example names what finds no place', async (t) => {
  const { reasons } = verdictOf('register', 'a cas [null,1]\na ok true\na cas [1,null]\na ok true\nc read\nc ok 1')
  t.same(reasons, [
    'the history: these 2 operations fit in no order, whatever became of the other 1:',
    '  lines 3 to 4: process "a" changes 1 to null',
    '  lines 5 to 6: process "c" reads 1',
    '  the last that finds no place: process "c" reads 1',
  ])
})
