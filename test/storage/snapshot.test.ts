/** Snapshots: what is handed over, and how it is received beside what is live, whole or not at all. */

import { join } from 'node:path'
import { logIndex, term } from '@leasehold/protocol'
import { LevelDisk } from '@leasehold/server/cli'
import type { Disk } from '@leasehold/server/ports'
import { CHUNK_BYTES_MAX, MemoryDisk } from '@leasehold/server/storage'
import t from 'tap'
import { chunksOf, lagging, Peer, received, same, source } from './copies.js'
import { allEvents, PlainTable } from './support.js'

/** What the source's snapshot makes of a member, from its own words and the source's. */
async function wanted(peer: Peer, of: Peer) {
  const before = await peer.seen()
  const after = await of.seen()
  const rows = { ...after.rows }
  return { before, rows, events: after.events.filter(({ seq }) => seq <= 120) }
}

const disks: [string, (path: string) => Disk][] = [
  ['in RAM', () => new MemoryDisk()],
  ['on LevelDB', (path) => new LevelDisk(path)],
]

for (const [where, diskOf] of disks) {
  t.test(`a member that lags receives state and audit, and goes on from there: ${where}`, async (t) => {
    const path = t.testdir({})
    const from = await source(diskOf(join(path, 'from')))
    const to = await lagging(diskOf(join(path, 'to')))
    const { events } = await wanted(to, from)
    await received(to, await chunksOf(from.store))
    t.match(to.store.recovered, {
      identity: { memberId: 'n2', directoryId: 'directory-n2' },
      hardState: { term: 3, votedFor: 'n1' },
      checkpointIndex: 60,
      firstIndex: 61,
      lastIndex: 60,
      lastTimeMs: 600,
      terms: [{ term: 2, from: 60 }],
    })
    t.equal(to.table.content()['at-sixty'], 'as of entry 60')
    t.same(await allEvents(to.store), events)
    t.equal(to.store.audit.first, 21)
    t.equal(to.store.audit.last, 120)
    t.same(
      await allEvents(to.store, { name: 'lease/3' }, 4),
      events.filter(({ name }) => name === 'lease/3'),
    )
    // It goes on: the entries after the snapshot, and the events that they bring forth.
    await to.live(61, 90, 3, true)
    const went = await to.seen()
    t.same(
      went.events.map(({ seq, hash }) => [seq, hash]).slice(0, 140),
      (await allEvents(from.store)).map(({ seq, hash }) => [seq, hash]),
      'the chain is the same at both',
    )
    await to.store.close()
    await to.open()
    const { rows, events: again, entries } = await to.seen()
    t.same({ rows, again, entries: entries.length }, { rows: went.rows, again: went.events, entries: 30 })
    t.same(to.failures, [])
    await to.store.close()
    await from.store.close()
  })
}

t.test('a snapshot is one view, whatever is written while it is read', async (t) => {
  const from = await source(new MemoryDisk())
  const chunks = await chunksOf(from.store)
  const snapshot = await from.store.snapshot()
  const seen: Uint8Array[] = []
  let index = 81
  for await (const chunk of snapshot.chunks()) {
    seen.push(Uint8Array.from(chunk))
    from.table.set('later', `${index}`)
    await from.live(index, index, 2, true)
    index += 1
  }
  t.same(seen, chunks)
  await from.store.close()
})

t.test('entries after an open snapshot are kept for its receiver', async (t) => {
  const from = await source(new MemoryDisk())
  const snapshot = await from.store.snapshot()
  await from.live(81, 90, 2, true)
  t.equal(from.store.stageTrimLog(logIndex(85)), 61)
  await from.flush()
  await snapshot.close()
  await snapshot.close()
  t.equal(from.store.stageTrimLog(logIndex(85)), 85)
  await from.store.close()
})

t.test('with all of its audit trimmed, the chain goes on where it ended', async (t) => {
  const from = await source(new MemoryDisk())
  await from.live(81, 90, 2, true)
  from.store.stageTrimAudit(from.store.audit.last)
  await from.flush()
  const to = await lagging(new MemoryDisk())
  await received(to, await chunksOf(from.store))
  t.match(to.store.audit, { first: 181, last: 180 })
  for (const peer of [from, to]) await peer.live(91, 92, 3, true)
  t.same(await allEvents(to.store), await allEvents(from.store))
  t.equal((await allEvents(to.store)).length, 4)
  await to.store.close()
  await to.open()
  t.same(await allEvents(to.store), await allEvents(from.store))
  await to.store.close()
  await from.store.close()
})

t.test('chunks are bounded, also where one row is larger than all of them', async (t) => {
  const from = await Peer.formed(new MemoryDisk(), 'n1')
  await from.vote(2, 'n1')
  from.table.set('large', 'x'.repeat(3 * CHUNK_BYTES_MAX))
  from.table.set('small', 'y')
  await from.live(1, 5, 2, true)
  const chunks = await chunksOf(from.store)
  t.ok(chunks.length > 4)
  t.ok(chunks.every((chunk) => chunk.length <= CHUNK_BYTES_MAX))
  const to = await Peer.formed(new MemoryDisk(), 'n2')
  await to.vote(2, 'n1')
  await received(to, chunks)
  t.same(to.table.content(), from.table.content())
  await to.store.close()
  await from.store.close()
})

t.test(
  'a chunk that is flipped, cut, missing, doubled or out of its turn is refused, and the old state stands',
  async (t) => {
    const from = await source(new MemoryDisk())
    const large = 'z'.repeat(CHUNK_BYTES_MAX)
    for (const name of ['b', 'c', 'd']) from.table.set(name, large + name)
    await from.live(81, 82, 2, true)
    const chunks = await chunksOf(from.store)
    t.ok(chunks.length >= 5)
    const to = await lagging(new MemoryDisk())
    const before = await to.seen()
    const flipped = (at: number, byte: number) =>
      chunks.map((chunk, number) => {
        if (number !== at) return chunk
        const copy = Uint8Array.from(chunk)
        copy[byte]! ^= 1
        return copy
      })
    const wrongs: [string, Uint8Array[]][] = [
      ['no head', chunks.slice(1)],
      ['two heads', [chunks[0]!, ...chunks]],
      ['no end', chunks.slice(0, -1)],
      ['goes on', [...chunks, chunks.at(-1)!]],
      ['nothing but its ends', [chunks[0]!, chunks.at(-1)!]],
    ]
    for (let at = 0; at < chunks.length; at += 1) {
      for (const byte of [0, 4, 6, 7, 10, 11, chunks[at]!.length - 1])
        wrongs.push([`${at} at ${byte}`, flipped(at, byte)])
      wrongs.push([`${at} missing`, chunks.toSpliced(at, 1)])
      wrongs.push([`${at} twice`, chunks.toSpliced(at, 0, chunks[at]!)])
      wrongs.push([`${at} cut`, chunks.toSpliced(at, 1, chunks[at]!.subarray(0, -1))])
      if (at > 0) wrongs.push([`${at} too early`, chunks.toSpliced(at - 1, 2, chunks[at]!, chunks[at - 1]!)])
    }
    for (const [what, wrong] of wrongs) {
      await t.rejects(received(to, wrong), { name: 'StorageRefusal', code: /BAD_COPY|_VERSION/ }, what)
      if (!same(await to.seen(), before)) t.fail(`${what}: the old state is not as it was`)
    }
    t.same(to.failures, [])
    await received(to, chunks)
    t.same(to.table.content(), from.table.content(), 'the same member takes the whole one')
    await to.store.close()
    await from.store.close()
  },
)

t.test('a chunk that is flipped is refused as it comes', async (t) => {
  const from = await source(new MemoryDisk())
  const chunks = await chunksOf(from.store)
  const to = await lagging(new MemoryDisk())
  for (let at = 0; at < chunks.length; at += 1) {
    const incoming = to.store.receiveSnapshot()
    for (const chunk of chunks.slice(0, at)) await incoming.add(chunk)
    const flipped = Uint8Array.from(chunks[at]!)
    flipped[flipped.length >> 1]! ^= 16
    await t.rejects(incoming.add(flipped), {
      code: 'BAD_COPY',
      message: /Chunk \d+ of the snapshot fails its checksum/,
    })
  }
  await to.store.close()
  await from.store.close()
})

t.test('a snapshot of another cluster, or one that brings nothing, is refused', async (t) => {
  const to = await lagging(new MemoryDisk())
  const other = await source(new MemoryDisk(), 'another')
  await t.rejects(received(to, await chunksOf(other.store)), { code: 'BAD_COPY', message: /of cluster another/ })
  const from = await source(new MemoryDisk())
  const chunks = await chunksOf(from.store)
  await to.live(11, 60, 3, true)
  await t.rejects(received(to, chunks), { code: 'BAD_COPY', message: /as of entry 60/ })
  for (const peer of [to, other, from]) await peer.store.close()
})

t.test('a member does not hand over what is damaged', async (t) => {
  const disk = new MemoryDisk()
  const from = await source(disk)
  for (const kind of ['s', 'a']) {
    // The third segment: the first one's events are trimmed, and not handed over.
    const [key, value] = disk.rows().filter(([key]) => key[1] === kind.charCodeAt(0))[2]!
    const flipped = Uint8Array.from(value)
    flipped[flipped.length - 1]! ^= 4
    disk.damageRow(key, flipped)
    await t.rejects(chunksOf(from.store), { code: 'DAMAGED' })
    disk.damageRow(key, null)
    await t.rejects(chunksOf(from.store), { code: 'DAMAGED' })
    disk.damageRow(key, value)
  }
  t.ok((await chunksOf(from.store)).length > 0)
  await from.store.close()
})

t.test('a vote that is flushed while a snapshot is received stands after it', async (t) => {
  const from = await source(new MemoryDisk())
  const disk = new MemoryDisk()
  const to = await lagging(disk)
  const incoming = to.store.receiveSnapshot()
  for (const chunk of await chunksOf(from.store)) await incoming.add(chunk)
  await to.vote(7, 'n3')
  disk.before = (step) => {
    // Within the switch itself.
    if (step.kind === 'commit' && step.puts === 3) to.store.stageHardState({ term: term(8), votedFor: 'n2' })
  }
  const table = new PlainTable('rows')
  await incoming.install([table])
  t.equal(to.store.staged, true)
  await to.flush()
  disk.before = () => {}
  await to.store.close()
  await to.open()
  t.same(to.store.recovered.hardState, { term: 8, votedFor: 'n2' })
  t.equal(to.store.recovered.checkpointIndex, 60)
  await to.store.close()
  await from.store.close()
})

t.test('a snapshot of a term that the member has not heard of is not installed', async (t) => {
  const from = await source(new MemoryDisk())
  const to = await Peer.formed(new MemoryDisk(), 'n2')
  await t.rejects(received(to, await chunksOf(from.store)))
  t.match(to.failures, [{ message: /of term 2 came to a log of term 0/ }])
  await to.store.close()
  await from.store.close()
})

t.test('one that is given up leaves nothing, and another one may be received at once', async (t) => {
  const from = await source(new MemoryDisk())
  const chunks = await chunksOf(from.store)
  const disk = new MemoryDisk()
  const to = await lagging(disk)
  const live = disk.rows().length
  const first = to.store.receiveSnapshot()
  await first.add(chunks[0]!)
  await first.add(chunks[1]!)
  const second = to.store.receiveSnapshot()
  await t.rejects(first.add(chunks[2]!), { message: /given up/ })
  await second.add(chunks[0]!)
  await second.abort()
  await second.abort()
  await to.store.close()
  t.equal(disk.rows().length, live)
  await to.open()
  await received(to, chunks)
  await to.store.close()
  await from.store.close()
})
