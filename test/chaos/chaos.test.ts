/** A short slice of chaos. The long run, with every kind of trouble that the machine allows: `npm run chaos`. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { networkMissing } from '#bench/network.js'
import { WITHOUT_RUNNER } from '../support/withoutrunner.js'
import { NEMESES, type Nemesis } from './nemeses.js'
import { playScene } from './scene.js'

const MEMBERS = 3
// A scene takes ten seconds on an idle machine.
t.setTimeout(180_000)

const kind = (name: string): Nemesis => NEMESES.find((one) => one.name === name)!

/** One after the other, in turn. */
function alternating(name: string, kinds: readonly Nemesis[]): Nemesis {
  let next = 0
  return { name, needs: [], strike: (...given) => kinds[next++ % kinds.length]!.strike(...given) }
}

const SLICE = [
  alternating('kill -9 the leader, then a follower', [kind('kill -9 the leader'), kind('kill -9 a follower')]),
  kind('pause the leader'),
]

for (const nemesis of SLICE) {
  t.test(
    `${nemesis.name}: nothing acknowledged is lost, every order is one that a single server could give`,
    async (t) => {
      const folder = await mkdtemp(join(tmpdir(), 'leasehold-chaos-'))
      t.teardown(() => rm(folder, { recursive: true, force: true }))
      const seed = Date.now() % 2 ** 31
      const times = { troubleMs: 3_000, pauseMsMax: 2_000, strikesMin: 2 }
      const scene = { nemesis, members: MEMBERS, seed, folder: join(folder, 'scene'), network: null, ...times }
      const { found, strikes, operations, acknowledged } = await playScene(scene)
      t.same(found, [], `seed ${seed}`)
      t.ok(
        strikes.length > 1 && operations > 100 && acknowledged > 100,
        `${strikes.length} times, ${operations} operations`,
      )
      t.notOk((await readdir(join(folder, 'scene'))).some((file) => file.endsWith('.jsonl')))
    },
  )
}

const missing = networkMissing()
t.test('the leader cut off from the others, in a network made for it', { skip: missing ?? false }, async (t) => {
  const run = fileURLToPath(new URL('./run.js', import.meta.url))
  const [command, ...before] = WITHOUT_RUNNER
  const flags = ['--minutes', '0.01', '--trouble', '3', '--only', 'cut the leader off']
  const child = spawn(command, [...before, process.execPath, '--enable-source-maps', run, ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGTERM'))
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const [code] = await once(child, 'close')
  t.equal(code, 0, said)
  t.match(said, /^cut the leader off +[1-9]\d* {2}leader [1-9]\d*$/m)
  t.match(said, /^[1-9]\d* requests, \d+ outcomes unknown, 0 violations$/m)
  t.match(said, /^1 passed, 0 failed$/m)
})
