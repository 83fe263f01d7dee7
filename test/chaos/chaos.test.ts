/** A short slice of chaos. The long run, with every kind of trouble that the machine allows: `npm run chaos`. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { NEMESES } from './nemeses.js'
import { playScene } from './scene.js'

const MEMBERS = 3
// A scene takes ten seconds on an idle machine.
t.setTimeout(180_000)

for (const name of ['kill -9 the leader', 'pause the leader']) {
  t.test(`${name}: nothing acknowledged is lost, every order is one that a single server could give`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'leasehold-chaos-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const nemesis = NEMESES.find((one) => one.name === name)!
    const seed = Date.now() % 2 ** 31
    const times = { troubleMs: 3_000, pauseMsMax: 2_000 }
    const scene = { nemesis, members: MEMBERS, seed, folder: join(folder, 'scene'), network: null, ...times }
    const { found, strikes, operations, acknowledged } = await playScene(scene)
    t.same(found, [], `seed ${seed}`)
    t.ok(strikes > 0 && operations > 100 && acknowledged > 100, `${strikes} times, ${operations} operations`)
    t.notOk((await readdir(join(folder, 'scene'))).some((file) => file.endsWith('.jsonl')))
  })
}
