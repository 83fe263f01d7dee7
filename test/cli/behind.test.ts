/** Three real servers, one of which gets an older copy of its data directory back: it ends, says what to do, and keeps refusing. */
import { renameSync, rmSync } from 'node:fs'
import t from 'tap'
import { copyDirectory } from '../storage/damage.js'
import { TestCluster } from './cluster.js'

t.setTimeout(120_000)

t.test(
  'a data directory that is put back from a copy is refused by the cluster, and then by its own server',
  async (t) => {
    const names = ['n1', 'n2', 'n3'] as const
    const cluster = new TestCluster(t)
    await cluster.plan(...names)
    for (const name of names) cluster.start(name)
    const leader = await cluster.settled(...names)
    const name = names.find((one) => one !== leader)!
    const acquire = (lease: string) =>
      fetch(`${cluster.url(leader)}/v1/leases/${lease}`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ holder: 'h', ttlMs: 600_000 }),
      })
    t.equal((await acquire('before')).status, 200)
    const data = cluster.data(name)
    // As a snapshot of the disk would have it, but of a directory that nobody writes.
    await cluster.kill(name)
    copyDirectory(data, `${data}-copy`)
    cluster.start(name)
    await cluster.until(name, (body) => body.leader === leader)
    for (let n = 0; n < 20; n++) t.equal((await acquire(`after-${n}`)).status, 200)
    const { members } = await cluster.body(leader)
    const applied = members.find(({ id }) => id === leader)!.appliedIndex!
    await cluster.until(name, (body) =>
      body.members.some((one) => one.id === name && (one.appliedIndex ?? 0) >= applied),
    )
    await cluster.kill(name)
    rmSync(data, { recursive: true })
    renameSync(`${data}-copy`, data)

    const ended = await cluster.start(name).done
    t.equal(ended.code, 70)
    t.match(ended.err, /came back older.*Remove this member from the cluster and add it again with an empty directory/)
    const again = await cluster.start(name).done
    t.equal(again.code, 1)
    t.match(again.err, /came back older.*Remove this member/)
    t.equal((await acquire('later')).status, 200, 'the others go on')
  },
)
