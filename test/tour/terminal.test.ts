/** The terminal of the tour: what a block printed and how it ended; and a block without an end, which would stop everything else. */
import { tmpdir } from 'node:os'
import t from 'tap'
import { Terminal } from './terminal.js'

const terminal = () => new Terminal(tmpdir(), process.env)

t.test('blocks run in one shell, each with its own output and code', async (t) => {
  const shell = terminal()
  t.teardown(() => shell.close())
  t.same(await shell.run('word=hello\necho "$word" >&2'), { output: 'hello\n', code: 0 })
  t.same(await shell.run('echo "$word again"; false'), { output: 'hello again\n', code: 1 })
})

t.test('a block that does not end is named, with what it printed, and ends with the terminal', async (t) => {
  const shell = terminal()
  const { output } = await shell.run('echo $$')
  await t.rejects(
    shell.run('echo begun; until false; do sleep 0.1; done', 500),
    /of:\necho begun.*printed so far: begun/s,
  )
  await shell.close()
  await shell.close()
  t.throws(() => process.kill(Number(output), 0), { code: 'ESRCH' })
})

t.test('a shell that ends before its block does', async (t) => {
  const shell = terminal()
  t.teardown(() => shell.close())
  await t.rejects(shell.run('echo bye; exit 3'), /the shell ended: bye/)
})
