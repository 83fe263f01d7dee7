/**
 * Runs the README's tour, and the examples of the documentation, as a reader would, in a folder with the clone's files: every `sh` block in one terminal, those
 * marked `server` in another, `js` blocks saved under the name that they begin with. A `text` block is what the block before
 * it printed; of a server, which says more than that, all lines of the block are among those that it said. Only the ports differ from
 * what readers copy.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { freePorts } from '#bench/ports.js'
import { WITHOUT_RUNNER } from '../support/withoutrunner.js'
import { type Block, blocksOf, settled } from './blocks.js'
import { Terminal } from './terminal.js'

t.setTimeout(120_000)

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const SERVING_MS_MAX = 30_000
const EXIT_MS_MAX = 30_000

/** The ports of a chapter: that of the first server, and those that `leasehold dev` takes after it. */
const PORTS = Array.from({ length: 6 }, (_, at) => 7_420 + at)

interface Running {
  readonly process: ChildProcess
  said(): string
}

const ended = ({ process: { exitCode, signalCode } }: Running): boolean => exitCode !== null || signalCode !== null

/** It was killed, and so is the shell that it ran in, soon. */
async function exitOf(running: Running): Promise<void> {
  await once(running.process, 'exit', { signal: AbortSignal.timeout(EXIT_MS_MAX) }).catch((cause: unknown) => {
    throw new Error(`the server that was killed still runs: ${running.said()}`, { cause })
  })
}

/** Ends it and all that it has started, by their process group. */
async function end(running: Running): Promise<void> {
  if (ended(running)) return
  const closed = once(running.process, 'close')
  process.kill(-running.process.pid!, 'SIGKILL')
  await closed
}

/** `npm start` or `leasehold dev`, until all of it serves. */
async function startServer(block: Block, text: string, cwd: string, env: NodeJS.ProcessEnv): Promise<Running> {
  const [program, ...before] = WITHOUT_RUNNER
  const server = spawn(program, [...before, 'bash', '-c', text], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let said = ''
  const serving = new Promise<void>((resolve, reject) => {
    const take = (some: string) => {
      said += some
      if (/"serving"|all members serve/.test(said)) resolve()
    }
    server.stdout.setEncoding('utf8').on('data', take)
    server.stderr.setEncoding('utf8').on('data', take)
    server.once('exit', () => reject(new Error(`the server of line ${block.line} ended: ${said}`)))
    setTimeout(
      () => reject(new Error(`the server of line ${block.line} does not serve: ${said}`)),
      SERVING_MS_MAX,
    ).unref()
  })
  const running = { process: server, said: () => said }
  await serving.catch(async (error: Error) => {
    await end(running)
    throw error
  })
  return running
}

const CHAPTERS = [
  ['README.md', '## A five-minute tour'],
  ['README.md', '## A cluster'],
  ['docs/http.md', '## By example'],
  ['docs/client.md', '## By example'],
] as const

for (const [file, chapter] of CHAPTERS)
  t.test(`${file}, "${chapter}", does what it says`, (t) => walk(t, file, chapter))

async function walk(t: Test, file: string, chapter: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-tour-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  for (const name of ['package.json', 'node_modules', 'server', 'client', 'protocol'])
    symlinkSync(join(ROOT, name), join(folder, name))
  const port = (await freePorts(PORTS.length))[0]!
  const here = (text: string) =>
    PORTS.reduce((all, one, at) => all.replaceAll(`127.0.0.1:${one}`, `127.0.0.1:${port + at}`), text).replaceAll(
      'leasehold dev',
      `leasehold dev --port ${port}`,
    )
  const env = {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(LEASEHOLD_|npm_|TAP)/.test(name))),
    LEASEHOLD_LISTEN: `127.0.0.1:${port}`,
    LEASEHOLD_URL: `http://127.0.0.1:${port}`,
    USER: 'you',
  }
  const terminal = new Terminal(folder, env)
  t.teardown(() => terminal.close())
  let server: Running | null = null
  t.teardown(async () => {
    if (server !== null) await end(server)
  })

  const blocks = blocksOf(readFileSync(join(ROOT, file), 'utf8'), chapter)
  let printed: () => string = () => ''
  let partly = false
  for (const block of blocks) {
    const at = `${file}:${block.line}`
    if (block.language === 'text' && partly) {
      const said = new Set(settled(printed()).split('\n'))
      for (const line of settled(block.text).split('\n')) t.ok(said.has(line), `${at} said: ${line}`)
    } else if (block.language === 'text')
      t.equal(settled(printed()), settled(block.text), `${at} printed what it shows`)
    else if (block.language === 'js') {
      const name = /^\/\/ (\S+\.mjs)\n/.exec(block.text)?.[1]
      if (name === undefined) throw new Error(`${at}: a program begins with // and its file name`)
      writeFileSync(join(folder, name), here(block.text))
    } else if (block.language === 'sh' && block.note === 'server') {
      if (server !== null && !ended(server)) await exitOf(server)
      server = await startServer(block, here(block.text), folder, env)
      printed = server.said
      partly = true
      t.pass(`${at} serves`)
    } else if (block.language === 'sh') {
      const { output, code } = await terminal.run(here(block.text))
      printed = () => output
      partly = false
      t.equal(code, 0, `${at} exits 0`)
      if (code !== 0) t.comment(output)
    } else throw new Error(`${at}: what is a block of "${block.language}"?`)
  }
  t.ok(blocks.length > 5)
}
