/**
 * Runs the README's tour, and the examples of the documentation, as a reader would, in a folder with the clone's files: every `sh` block in one terminal, those
 * marked `server` in another, `js` blocks saved under the name that they begin with. A `text` block is what the block before
 * it printed. Only the port differs from what readers copy.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { WITHOUT_RUNNER } from '../support/withoutrunner.js'
import { type Block, blocksOf, settled } from './blocks.js'
import { Terminal } from './terminal.js'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const SERVING_MS_MAX = 30_000

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** `npm start`, until it serves. */
async function startServer(block: Block, cwd: string, env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const [program, ...before] = WITHOUT_RUNNER
  const server = spawn(program, [...before, 'bash', '-c', block.text], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let said = ''
  const serving = new Promise<void>((resolve, reject) => {
    const take = (text: string) => {
      said += text
      if (said.includes('"serving"')) resolve()
    }
    server.stdout.setEncoding('utf8').on('data', take)
    server.stderr.setEncoding('utf8').on('data', take)
    server.once('exit', () => reject(new Error(`the server of line ${block.line} ended: ${said}`)))
    setTimeout(
      () => reject(new Error(`the server of line ${block.line} does not serve: ${said}`)),
      SERVING_MS_MAX,
    ).unref()
  })
  await serving
  return server
}

const CHAPTERS = [
  ['README.md', '## A five-minute tour'],
  ['docs/http.md', '## By example'],
  ['docs/client.md', '## By example'],
] as const

for (const [file, chapter] of CHAPTERS)
  t.test(`${file}, "${chapter}", does what it says`, (t) => walk(t, file, chapter))

async function walk(t: Test, file: string, chapter: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-tour-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  for (const name of ['package.json', 'node_modules', 'server', 'client', 'protocol'])
    symlinkSync(join(ROOT, name), join(folder, name))
  const port = await freePort()
  const here = (text: string) => text.replaceAll('127.0.0.1:7420', `127.0.0.1:${port}`)
  const env = {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(LEASEHOLD_|npm_|TAP)/.test(name))),
    LEASEHOLD_LISTEN: `127.0.0.1:${port}`,
    LEASEHOLD_URL: `http://127.0.0.1:${port}`,
    USER: 'you',
  }
  const terminal = new Terminal(folder, env)
  t.teardown(() => terminal.close())
  let server: ChildProcess | null = null
  t.teardown(() => {
    if (server?.exitCode === null && server.signalCode === null) process.kill(-server.pid!, 'SIGKILL')
  })

  const blocks = blocksOf(readFileSync(join(ROOT, file), 'utf8'), chapter)
  let printed = ''
  for (const block of blocks) {
    const at = `${file}:${block.line}`
    if (block.language === 'text') t.equal(settled(printed), settled(block.text), `${at} printed what it shows`)
    else if (block.language === 'js') {
      const name = /^\/\/ (\S+\.mjs)\n/.exec(block.text)?.[1]
      if (name === undefined) throw new Error(`${at}: a program begins with // and its file name`)
      writeFileSync(join(folder, name), here(block.text))
    } else if (block.language === 'sh' && block.note === 'server') {
      if (server !== null && server.exitCode === null && server.signalCode === null) await once(server, 'exit')
      server = await startServer(block, folder, env)
      t.pass(`${at} serves`)
    } else if (block.language === 'sh') {
      const { output, code } = await terminal.run(here(block.text))
      printed = output
      t.equal(code, 0, `${at} exits 0`)
      if (code !== 0) t.comment(output)
    } else throw new Error(`${at}: what is a block of "${block.language}"?`)
  }
  t.ok(blocks.length > 5)
}
