/** Snapshots that are cut short: by a crash at any moment, a close, a disk that fails; and what readers see while the state is switched. */
import { auditSeq } from '@leasehold/protocol'
import { MemoryDisk } from '@leasehold/server/storage'
import t from 'tap'
import { chunksOf, lagging, Peer, received, same, source } from './copies.js'

t.test('after a crash at any moment a member has the old state, or the new one, whole', async (t) => {
  const from = await source(new MemoryDisk())
  for (let row = 0; row < 3_000; row += 1) from.table.set(`many-${row}`, `${row}`)
  await from.live(81, 82, 2, true)
  const chunks = await chunksOf(from.store)
  for (const unsynced of ['kept', 'lost'] as const) {
    const disk = new MemoryDisk()
    const to = await lagging(disk)
    for (let row = 0; row < 1_500; row += 1) to.table.set(`old-${row}`, `${row}`)
    await to.live(11, 20, 3, true)
    await to.store.close()
    await to.open()
    const old = await to.seen()
    const crashes: MemoryDisk[] = []
    disk.before = () => {
      crashes.push(disk.copy({ unsynced }))
    }
    await received(to, chunks)
    const fresh = await to.seen()
    await to.store.close()
    crashes.push(disk.copy({ unsynced }))
    const counts = { old: 0, fresh: 0 }
    for (const [at, left] of crashes.entries()) {
      const peer = new Peer(left, 'n2')
      await peer.open()
      const found = await peer.seen()
      if (same(found, old)) counts.old += 1
      else if (same(found, fresh)) counts.fresh += 1
      else t.fail(`crash ${at}: neither the old state nor the new one`)
      // What is left of the other one goes, and it goes on.
      await new Promise(setImmediate)
      await peer.vote(9, 'n1')
      await peer.store.close()
      await peer.open()
      await new Promise(setImmediate)
      await peer.store.close()
      t.same(peer.failures, [])
    }
    t.ok(counts.old >= 3 && counts.fresh >= 4, JSON.stringify(counts))
  }
  await from.store.close()
})

t.test('rows of a snapshot that a crash interrupted are taken away at the next start', async (t) => {
  const from = await source(new MemoryDisk())
  for (let row = 0; row < 5_000; row += 1) from.table.set(`many-${row}`, `${row}`)
  await from.live(81, 82, 2, true)
  const chunks = await chunksOf(from.store)
  const disk = new MemoryDisk()
  const to = await lagging(disk)
  const live = disk.rows().length
  const incoming = to.store.receiveSnapshot()
  for (const chunk of chunks.slice(0, -1)) await incoming.add(chunk)
  disk.crash()
  await to.store.close()
  t.ok(disk.rows().length > live + 1_000)
  await to.open()
  for (let turn = 0; turn < 1_000 && disk.rows().length > live; turn += 1) await new Promise(setImmediate)
  t.equal(disk.rows().length, live)
  await to.store.close()
  await from.store.close()
})

t.test(
  'a store that is closed while it receives or installs is closed, with the old state or the new one',
  async (t) => {
    const from = await source(new MemoryDisk())
    const chunks = await chunksOf(from.store)
    await from.store.close()
    const ends = new Set<number>()
    for (let turns = 0; turns < 14; turns += 1) {
      const disk = new MemoryDisk()
      const to = await lagging(disk)
      disk.before = () => new Promise((resolve) => setImmediate(resolve))
      const receiving = received(to, chunks).catch((error) => error)
      for (let left = turns; left > 0; left -= 1) await new Promise(setImmediate)
      await to.store.close()
      const refused = await receiving
      if (refused !== undefined) t.match(refused, { code: 'BAD_COPY' })
      t.same(to.failures, [], 'nothing has failed')
      await to.open()
      const { checkpointIndex } = to.store.recovered
      t.equal(checkpointIndex, refused === undefined ? 60 : 10)
      ends.add(checkpointIndex)
      await to.store.close()
    }
    t.equal(ends.size, 2)
  },
)

t.test('a disk that fails while a snapshot is received ends the process, as with every write', async (t) => {
  const from = await source(new MemoryDisk())
  const disk = new MemoryDisk()
  const to = await lagging(disk)
  const incoming = to.store.receiveSnapshot()
  disk.before = () => {
    throw new Error('the disk is gone')
  }
  let failed: unknown = null
  for (const chunk of await chunksOf(from.store)) {
    failed = await incoming.add(chunk).then(
      () => null,
      (error) => error,
    )
  }
  t.match(failed, { code: 'DISK_FAILED' })
  t.match(to.failures, [{ message: 'the disk is gone' }])
  await to.store.close()
  await from.store.close()
})

t.test(
  'pages of the audit that are read while the state is switched are of the one or the other, never damaged',
  async (t) => {
    const from = await source(new MemoryDisk())
    const disk = new MemoryDisk()
    const to = await lagging(disk)
    const reading: Promise<unknown>[] = []
    disk.before = () => {
      reading.push(to.store.readEvents({ after: auditSeq(0), limit: 500 }))
    }
    await received(to, await chunksOf(from.store))
    await new Promise(setImmediate)
    disk.before = () => {}
    const pages = (await Promise.all(reading)) as { events: { seq: number }[] }[]
    t.ok(pages.length > 3)
    for (const { events } of pages) t.ok(events.length === 20 || events.length === 100, `${events.length} events`)
    await to.store.close()
    await from.store.close()
  },
)
