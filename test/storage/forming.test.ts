/** Forming: what an unformed directory says of itself, and a first entry that a directory begins with. */

import { join } from 'node:path'
import { logIndex, term } from '@leasehold/protocol'
import { LevelDisk } from '@leasehold/server/cli'
import type { Disk } from '@leasehold/server/ports'
import { formDirectory, MemoryDisk, openStore, readForming, writeForming } from '@leasehold/server/storage'
import t from 'tap'
import { allEntries, entryOf, IDENTITY, openOn } from './support.js'

const FORMING = { memberId: 'n1', directoryId: 'd-7' }
const BOOTSTRAP = entryOf(1, { commands: 2, salt: 'configuration' })

const disks: [string, (path: string) => Disk][] = [
  ['in RAM', () => new MemoryDisk()],
  ['on LevelDB', (path) => new LevelDisk(path)],
]

for (const [where, diskOf] of disks) {
  t.test(`an unformed directory keeps its id over restarts, and is formed with it: ${where}`, async (t) => {
    const disk = diskOf(join(t.testdir({}), 'data'))
    t.equal(await readForming(disk), null)
    await writeForming(disk, FORMING)
    t.same(await readForming(disk), FORMING)
    t.same(await readForming(disk), FORMING)
    await t.rejects(openStore(disk, { tables: [], memberId: 'n1', fatal: () => {} }), { code: 'NOT_FORMED' })
    await formDirectory(disk, { ...FORMING, clusterId: 'c' }, BOOTSTRAP)
    await t.rejects(readForming(disk), { code: 'EXISTS' })
    await t.rejects(writeForming(disk, FORMING), { code: 'EXISTS' })
    const { store, flush } = await openOn(disk)
    t.match(store.recovered, {
      identity: { ...FORMING, clusterId: 'c' },
      hardState: { term: 1, votedFor: null },
      checkpointIndex: 0,
      firstIndex: 1,
      lastIndex: 1,
      lastTimeMs: BOOTSTRAP.timeMs,
      terms: [
        { term: 0, from: 0 },
        { term: 1, from: 1 },
      ],
    })
    t.same(await allEntries(store), [BOOTSTRAP])
    store.stageHardState({ term: term(2), votedFor: 'n1@d-7' })
    store.stageEntries([entryOf(2, { term: 2 })])
    await flush()
    await store.close()
    const again = await openOn(disk)
    t.same(again.store.recovered.hardState, { term: 2, votedFor: 'n1@d-7' })
    t.same(await allEntries(again.store), [BOOTSTRAP, entryOf(2, { term: 2 })])
    await again.store.close()
  })
}

t.test(
  'a crash while forming leaves the directory its id, and it may be formed with another first entry',
  async (t) => {
    const disk = new MemoryDisk()
    await writeForming(disk, FORMING)
    const left: MemoryDisk[] = []
    disk.before = () => {
      left.push(disk.copy({ unsynced: 'lost' }))
    }
    await formDirectory(disk, { ...FORMING, clusterId: 'c' }, BOOTSTRAP)
    t.equal(left.length, 5)
    const other = entryOf(1, { commands: 1, salt: 'another' })
    for (const copy of left) {
      t.same(await readForming(copy), FORMING)
      await formDirectory(copy, { ...FORMING, clusterId: 'other' }, other)
      const { store } = await openOn(copy)
      t.equal(store.recovered.identity.clusterId, 'other')
      t.same(await allEntries(store), [other])
      await store.close()
    }
  },
)

t.test('a first entry that is not entry 1 of term 1 is refused', async (t) => {
  await t.rejects(formDirectory(new MemoryDisk(), IDENTITY, entryOf(2)), { message: /begins with entry 1/ })
  await t.rejects(formDirectory(new MemoryDisk(), IDENTITY, entryOf(1, { term: 2 })), {
    message: /begins with entry 1/,
  })
})

t.test('a directory formed without a first entry begins with an empty log', async (t) => {
  const disk = new MemoryDisk()
  await formDirectory(disk, IDENTITY)
  const { store } = await openOn(disk)
  t.match(store.recovered, { hardState: { term: 0, votedFor: null }, firstIndex: 1, lastIndex: 0 })
  t.equal(store.recovered.terms[0]!.from, logIndex(0))
  await store.close()
})
