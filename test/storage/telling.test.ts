/** What a store tells others of its directory: how much room is left, and whether it came back older than it was. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LevelDisk } from '@leasehold/server/cli'
import { MemoryDisk } from '@leasehold/server/storage'
import t from 'tap'
import { entryOf, formed, openOn } from './support.js'

t.test('a store tells the bytes that are free where its directory is', async (t) => {
  const disk = new MemoryDisk()
  disk.capacityBytes = 100_000
  const { store, flush } = await openOn(await formed(disk))
  const before = await store.freeBytes()
  store.stageEntries([entryOf(1, { commands: 20, salt: 'x' })])
  await flush()
  const after = await store.freeBytes()
  t.ok(before < 100_000 && after < before - 400, `${before}, then ${after}`)
  await store.close()
  const path = mkdtempSync(join(tmpdir(), 'leasehold-headroom-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  const real = await openOn(await formed(new LevelDisk(join(path, 'data'))))
  const free = await real.store.freeBytes()
  t.ok(free > 0 && Number.isFinite(free), `${free} bytes`)
  await real.store.close()
})

t.test('a directory that came back older than it was tells an older batch than it told before', async (t) => {
  const disk = await formed(new MemoryDisk())
  const { store, flush } = await openOn(disk)
  const told: number[] = [store.flushes]
  let older = disk
  for (let index = 1; index <= 4; index += 1) {
    store.stageEntries([entryOf(index)])
    const flushed = flush()
    t.equal(store.flushes, told.at(-1), 'what is in flight is not told')
    await flushed
    told.push(store.flushes)
    if (index === 2) older = disk.copy({ unsynced: 'kept' })
  }
  t.same(
    told,
    [0, 1, 2, 3, 4].map((more) => told[0]! + more),
  )
  await store.close()
  const same = await openOn(disk)
  t.equal(same.store.recovered.flushes, told.at(-1))
  await same.store.close()
  const back = await openOn(older)
  t.equal(back.store.recovered.flushes, told[2], 'it opens, for it is whole: only others can know that there was more')
  await back.store.close()
})
