import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { seeded } from '../kill/players.js'
import { WITHOUT_RUNNER } from '../support/withoutrunner.js'
import { blocksOf } from '../tour/blocks.js'
import { lived, registerWish, trueRegister } from './generate.js'

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url))
const PAGE = fileURLToPath(new URL('../../../docs/check-history.md', import.meta.url))

/** Runs the checker over this history. */
async function run(t: Test, args: string[], history: string | null) {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-history-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'history.jsonl')
  if (history !== null) writeFileSync(file, history)
  const [program, ...before] = WITHOUT_RUNNER
  const { status, stdout, stderr } = spawnSync(program, [...before, process.execPath, MAIN, ...args, file], {
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}
t.test('the example of the page does what the page says', async (t) => {
  const [history, , output] = blocksOf(readFileSync(PAGE, 'utf8'), '## An example')
  const { status, stdout } = await run(t, ['--model', 'register'], history!.text)
  t.equal(status, 1)
  const settled = stdout.replaceAll(/, \d+ steps, [\d.]+ s$/gm, '')
  t.equal(settled.trim(), output!.text)
})

t.test('verdicts and exit codes: 0, 1, 2, 3', async (t) => {
  const good = '{"type":"invoke","process":0,"f":"read"}\n{"type":"ok","process":0,"f":"read"}\n'
  const fine = await run(t, ['--model', 'register'], good)
  t.equal(fine.status, 0)
  t.match(fine.stdout, /\nlinearizable\n$/)
  const bad = await run(t, ['--model', 'register'], `${good}x\n${good}{"type":"ok","process":0,"f":"read"}`)
  t.equal(bad.status, 2)
  t.match(bad.stderr, /^line 3: not JSON\nline 6: ok of process 0, which has no open call\nbad input: 2 complaints\n$/)
  const many = Array.from({ length: 40 }, (_, i) => `{"type":"invoke","process":${i},"f":"write","value":${i}}\n`)
  const ends = many.map((line) => line.replace('invoke', 'ok'))
  const wrong = '{"type":"invoke","process":0,"f":"read"}\n{"type":"ok","process":0,"f":"read","value":"x"}\n'
  const hard = await run(t, ['--model', 'register', '--steps', '20000'], [...many, ...ends, wrong].join(''))
  t.equal(hard.status, 3)
  t.match(hard.stdout, /\nunknown\n$/)
})

t.test('what was asked wrongly, or is not there, is bad input', async (t) => {
  for (const args of [[], ['--model', 'queue'], ['--model', 'register', '--steps', '0'], ['--what'], ['--model']]) {
    const { status, stderr } = await run(t, args, '')
    t.equal(status, 2, args.join(' '))
    t.match(stderr, /usage: /)
  }
  t.match(await run(t, ['--model', 'register'], ''), { status: 2, stderr: /the history is empty/ })
  t.match(await run(t, ['--model', 'register'], null), { status: 2, stderr: /ENOENT/ })
})

t.test('100,000 operations on many keys take seconds', async (t) => {
  const lines: { at: number; text: string }[] = []
  for (let key = 0; key < 1_000; key++) {
    const raw = lived(trueRegister(), registerWish, { operations: 100, processes: 4, unknownShare: 0.02 }, seeded(key))
    for (const { f, input, output, process, calledAt, endedAt } of raw) {
      const said = { process: `${key}/${process}`, f }
      lines.push({ at: calledAt, text: JSON.stringify({ type: 'invoke', ...said, key, value: input }) })
      if (output !== null) lines.push({ at: endedAt, text: JSON.stringify({ type: 'ok', ...said, ...output }) })
    }
  }
  lines.sort((a, b) => a.at - b.at)
  const { status, stdout } = await run(t, ['--model', 'register'], lines.map(({ text }) => text).join('\n'))
  t.equal(status, 0)
  t.match(stdout, /^100000 operations/)
  t.comment(stdout)
})
