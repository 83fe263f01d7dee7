import { createHash } from 'node:crypto'
import { clusterMs, eventBytes, logIndex, term } from '@leasehold/protocol'
import { MemoryDisk } from '@leasehold/server/storage'
import t from 'tap'
import { allEntries, allEvents, entryOf, eventOf, formed, openOn, PlainTable } from './support.js'

t.test('a new directory opens empty', async (t) => {
  const { store } = await openOn(await formed(new MemoryDisk()))
  t.match(store.recovered, { checkpointIndex: 0, firstIndex: 1, lastIndex: 0, lastTimeMs: 0 })
  t.match(store.recovered.identity, { clusterId: 'cluster-1', memberId: 'n1', directoryId: 'directory-1' })
  t.same(store.audit, { first: 1, last: 0, bytes: 0, oldestMs: 0 })
  t.equal(store.staged, false)
  await store.close()
  await store.close()
})

t.test('what a flush wrote is there after a restart, whole', async (t) => {
  const disk = await formed(new MemoryDisk())
  const table = new PlainTable('t')
  const first = await openOn(disk, [table])
  first.store.stageHardState({ term: term(3), votedFor: 'n1' })
  first.store.stageEntries([entryOf(1), entryOf(2, { commands: 3, salt: 'x' })])
  await first.flush()
  table.set('a', 'one')
  table.set('b', 'two')
  first.store.stageEvents([eventOf(1), eventOf(2)])
  first.store.stageCheckpoint(logIndex(2), clusterMs(20))
  await first.flush()
  table.set('a', 'three')
  table.delete('b')
  first.store.stageEntries([entryOf(3)])
  first.store.stageCheckpoint(logIndex(3), clusterMs(30))
  t.equal(first.store.staged, true)
  await first.flush()
  t.equal(first.store.staged, false)
  await first.store.close()

  const again = new PlainTable('t')
  const second = await openOn(disk, [again])
  t.same(again.content(), { a: 'three' })
  t.same(second.store.recovered.hardState, { term: 3, votedFor: 'n1' })
  t.match(second.store.recovered, { checkpointIndex: 3, firstIndex: 1, lastIndex: 3, lastTimeMs: 30 })
  t.same(await allEntries(second.store), [entryOf(1), entryOf(2, { commands: 3, salt: 'x' }), entryOf(3)])
  t.same(
    (await allEvents(second.store)).map((event) => event.seq),
    [1, 2],
  )
  await second.store.close()
})

t.test('events are chained by SHA-256 over the previous hash and their canonical bytes', async (t) => {
  const { store, flush } = await openOn(await formed(new MemoryDisk()))
  const chained = store.stageEvents([eventOf(1), eventOf(2)])
  await flush()
  let previous: Uint8Array = new Uint8Array(32)
  for (const event of chained) {
    t.equal(event.previousHash, Buffer.from(previous).toString('hex'))
    previous = createHash('sha256')
      .update(previous)
      .update(eventBytes(eventOf(event.seq)))
      .digest()
    t.equal(event.hash, Buffer.from(previous).toString('hex'))
  }
  t.same(await allEvents(store), chained)
  await store.close()
})

/** A directory whose two entries brought forth two events, neither of them below the checkpoint. */
async function withEvents(): Promise<MemoryDisk> {
  const disk = await formed(new MemoryDisk())
  const { store, flush } = await openOn(disk)
  store.stageEntries([entryOf(1), entryOf(2)])
  store.stageEvents([eventOf(1), eventOf(2)])
  await flush()
  await store.close()
  return disk
}

t.test('a replay has to bring forth the events that are stored', async (t) => {
  const disk = await withEvents()
  const { store, flush } = await openOn(disk)
  t.same(store.stageEvents([eventOf(1), eventOf(2)]), [])
  t.match(store.stageEvents([eventOf(3)]), [{ seq: 3 }])
  store.stageCheckpoint(logIndex(2), clusterMs(20))
  await flush()
  t.same(
    (await allEvents(store)).map((event) => event.seq),
    [1, 2, 3],
  )
  await store.close()
})

t.test('a replay that brings forth other events is refused', async (t) => {
  const { store } = await openOn(await withEvents())
  t.same(store.stageEvents([eventOf(1, 'another')]), [])
  t.throws(() => store.stageEvents([eventOf(2)]), { code: 'DAMAGED', message: /another audit/ })
  await store.close()
})

t.test('a replay that brings forth fewer events is refused before anything builds on it', async (t) => {
  const { store, flush } = await openOn(await withEvents())
  store.stageEvents([eventOf(1)])
  store.stageCheckpoint(logIndex(1), clusterMs(10))
  store.stageEntries([entryOf(3)])
  await flush()
  t.throws(() => store.stageCheckpoint(logIndex(3), clusterMs(30)), { code: 'DAMAGED', message: /up to event 1 only/ })
  await store.close()
})

t.test('an entry replaced during a flush is not read back before the one in its place is durable', async (t) => {
  const { store, flush } = await openOn(await formed(new MemoryDisk()))
  const read = async () => {
    const entries = []
    for await (const chunk of store.entries(logIndex(1), logIndex(2))) entries.push(...chunk)
    return entries
  }
  store.stageEntries([entryOf(1), entryOf(2)])
  const flushed = flush()
  const other = entryOf(2, { term: 2, salt: 'other' })
  store.stageEntries([other])
  await flushed
  await t.rejects(read(), /not within 1 to 1/)
  await flush()
  t.same(await read(), [entryOf(1), other])
  await store.close()
})
