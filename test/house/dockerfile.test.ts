/** The container file, carried out in a scratch folder: its last stage holds a server that starts, serves and ends. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { WITHOUT_RUNNER } from '../support/withoutrunner.js'
import { build, type Image, ignored, parseDockerfile } from './dockerfile.js'

const root = join(import.meta.dirname, '..', '..', '..')
const instructions = parseDockerfile(readFileSync(join(root, 'Dockerfile'), 'utf8'))
const dockerignore = readFileSync(join(root, '.dockerignore'), 'utf8')
const CLOSE_LIMIT_MS = 10_000

/** Outside of the tree: within it, a package that an image lacks would be found further up. */
function scratchFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-image-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The image's command with its data in the scratch folder and a free port of loopback. */
function start(image: Image, data: string): ChildProcess {
  const [program, ...args] = [...image.entrypoint, ...image.cmd].map((word) => {
    return word === '/data' ? data : word.replace(/^0\.0\.0\.0:\d+$/, '127.0.0.1:0')
  })
  const [bare, ...before] = WITHOUT_RUNNER
  return spawn(bare, [...before, program === 'node' ? process.execPath : program!, ...args], {
    cwd: join(image.root, image.workdir),
    env: { ...process.env, ...image.env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** The url that the server's line about serving has. */
async function urlOf(server: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: server.stdout! })) {
    const url = /"event":"serving","url":"([^"]+)"/.exec(line)?.[1]
    if (url !== undefined) return url
  }
  throw new Error('the server ended before it served')
}

/** The image's health check against this url: its exit code. */
function healthOf(image: Image, url: string): number | null {
  const [program, ...args] = image.healthcheck.map((word) => word.replace('http://127.0.0.1:7420', url))
  return spawnSync(program === 'node' ? process.execPath : program!, args, { timeout: CLOSE_LIMIT_MS }).status
}

// Two installations of packages: seconds alone, more beside other tests.
t.setTimeout(200_000)

t.test(
  'the container file builds a server that is healthy, and that ends when told to',
  { timeout: 180_000 },
  async (t) => {
    const scratch = scratchFolder(t)
    const image = build(instructions, {
      context: root,
      dockerignore,
      scratch,
      // What npm ci fetched for this tree a moment ago is at hand.
      env: { npm_config_prefer_offline: 'true', npm_config_update_notifier: 'false' },
    })
    t.equal(image.user, 'node', 'the server does not run as root')
    t.same(image.volumes, ['/data'])
    t.ok(existsSync(join(image.root, 'data')), 'the volume has an owner')
    t.notOk(existsSync(join(image.root, 'app/node_modules/typescript')), 'the compiler stays behind')
    t.notOk(existsSync(join(image.root, 'app/test')), 'the tests stay behind')

    const server = start(image, join(scratch, 'state'))
    t.teardown(() => server.kill('SIGKILL'))
    const url = await urlOf(server)
    t.equal(healthOf(image, url), 0, 'healthy')
    server.kill('SIGTERM')
    const [code] = await once(server, 'exit', { signal: AbortSignal.timeout(CLOSE_LIMIT_MS) })
    t.equal(code, 0)
    t.equal(healthOf(image, url), 1, 'a server that is gone is not healthy')
  },
)

t.test('what is not understood is refused', async (t) => {
  const options = { context: root, dockerignore, scratch: scratchFolder(t), env: {} }
  const carried = (text: string) => build(parseDockerfile(text), options)
  t.throws(() => carried('COPY a b'), /COPY stands before any FROM/)
  t.throws(() => carried('FROM x\nSHELL ["sh"]'), /line 2: SHELL is not known here/)
  t.throws(() => carried('FROM x\nCOPY nothing-here ./'), /line 2: there is no nothing-here/)
  t.throws(() => carried('FROM x\nCOPY --from=other a b'), /no stage is named other/)
  t.throws(() => carried('FROM x\nCOPY test test'), /\.dockerignore leaves out test/)
  t.throws(() => carried('FROM x\nRUN touch /etc/x'), /RUN leaves its WORKDIR/)
  t.throws(() => carried('FROM x\n# why\nRUN exit \\\n  3'), /line 3: exit 3 ended with 3/)
  t.throws(() => carried(''), /there is no stage/)
  t.throws(() => parseDockerfile('FROM'), /line 1 is no instruction/)
})

t.test('what the build must not see is left out', async (t) => {
  for (const path of [
    'node_modules',
    'server/node_modules/x',
    'server/dist/a.js',
    'a.tsbuildinfo',
    '.git/HEAD',
    'data/x',
  ]) {
    t.ok(ignored(path, dockerignore), path)
  }
  for (const path of ['package.json', 'server/cli/main.ts', 'server/database.ts'])
    t.notOk(ignored(path, dockerignore), path)
})
