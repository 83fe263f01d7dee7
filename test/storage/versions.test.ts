/**
 * Neighbouring versions: a made-up next version of Leasehold writes, and this one reads. What only adds fields is read and goes on being
 * chained; what says that it cannot be read is refused as newer, never as damaged.
 */
import { createHash } from 'node:crypto'
import { clusterMs, logIndex } from '@leasehold/protocol'
import { crc32c, MemoryDisk } from '@leasehold/server/storage'
import t from 'tap'
import { chunksOf, Peer, received, source } from './copies.js'
import { allEntries, allEvents, entryOf, eventOf, formed, openOn, PlainTable } from './support.js'

const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest()
const HEAD_BYTES = 4
const ADDED = Buffer.from('fields of a later version')

interface Next {
  /** May this version read it? */
  readonly readable: boolean
}

/** A record as the next version would write it: its own version, who may read it, its fields, and new ones behind them. */
function asNext(record: Uint8Array, { readable }: Next): Buffer {
  const next = Buffer.concat([record, ADDED])
  next[0]! += 1
  if (!readable) next[1] = next[0]!
  return next
}

/** A row's value around a record. */
function sealed(key: Uint8Array, record: Uint8Array): Buffer {
  const value = Buffer.concat([Buffer.alloc(HEAD_BYTES), record])
  value.writeInt32BE(crc32c(value, HEAD_BYTES, value.length, crc32c(key, 1, key.length)), 0)
  return value
}

function rowOf(disk: MemoryDisk, kind: string): { key: Uint8Array; record: Uint8Array } {
  const [key, value] = disk.rows().findLast(([key]) => key[1] === kind.charCodeAt(0))!
  return { key, record: value.subarray(HEAD_BYTES) }
}

/** Three entries with events and a checkpoint; the last entry and the marker are then those of the next version. */
async function upgraded(next: { entry: Next; marker: Next }): Promise<MemoryDisk> {
  const disk = await formed(new MemoryDisk())
  const { store, flush } = await openOn(disk, [new PlainTable('rows')])
  store.stageEntries([entryOf(1), entryOf(2), entryOf(3)])
  store.stageEvents([eventOf(1), eventOf(2)])
  store.stageCheckpoint(logIndex(2), clusterMs(20))
  await flush()
  await store.close()
  const entry = rowOf(disk, 'e')
  const written = asNext(entry.record, next.entry)
  disk.damageRow(entry.key, sealed(entry.key, written))
  const marker = rowOf(disk, 'm')
  const record = Buffer.from(marker.record)
  const hash = record.indexOf(sha256(entry.record))
  record.set(sha256(written), hash)
  disk.damageRow(marker.key, sealed(marker.key, asNext(record, next.marker)))
  return disk
}

t.test(
  'entries and a marker of the next version, to which it has only added, are read, and gone on from',
  async (t) => {
    const disk = await upgraded({ entry: { readable: true }, marker: { readable: true } })
    for (const end of [3, 4, 5]) {
      const { store, flush } = await openOn(disk, [new PlainTable('rows')])
      t.same(
        await allEntries(store),
        Array.from({ length: end }, (_, at) => entryOf(at + 1)),
      )
      t.equal((await allEvents(store)).length, 2)
      store.stageEntries([entryOf(end + 1)])
      await flush()
      await store.close()
    }
  },
)

t.test('what the next version says is not for this one is refused as newer, and left as it is', async (t) => {
  for (const which of ['entry', 'marker'] as const) {
    const next = { entry: { readable: true }, marker: { readable: true }, [which]: { readable: false } }
    const disk = await upgraded(next)
    const before = disk.rows()
    for (let start = 1; start <= 2; start += 1) {
      await t.rejects(openOn(disk, [new PlainTable('rows')]), { code: 'NEWER_VERSION', message: /newer one/ }, which)
    }
    t.same(disk.rows(), before)
  }
})

/** The chunks of a snapshot as the next version would make them, with a kind of its own among them. */
function snapshotOfNext(chunks: readonly Uint8Array[], next: Next): Buffer[] {
  const OPTIONAL = 200
  const made: Buffer[] = []
  const add = (kind: number, payload: Uint8Array) => {
    const head = Buffer.alloc(11)
    head[4] = chunks[0]![4]! + 1
    head[5] = next.readable ? chunks[0]![5]! : head[4]
    head[6] = kind
    head.writeUInt32BE(made.length, 7)
    const chunk = Buffer.concat([head, payload])
    chunk.writeInt32BE(crc32c(chunk, 4), 0)
    made.push(chunk)
  }
  for (const chunk of chunks.slice(0, -1)) {
    const payload = chunk.subarray(11)
    add(chunk[6]!, chunk[6] === 1 ? asNext(payload, next) : payload)
    if (chunk[6] === 1) add(OPTIONAL, Buffer.from('what only the next version knows'))
  }
  const end = Buffer.from(chunks.at(-1)!.subarray(11))
  end.writeUInt32BE(made.length, 16)
  end.set(sha256(...made), 20)
  add(3, Buffer.concat([end, ADDED]))
  return made
}

t.test('a snapshot of the next version, to which it has only added, is received', async (t) => {
  const from = await source(new MemoryDisk())
  const chunks = await chunksOf(from.store)
  const to = await Peer.formed(new MemoryDisk(), 'n2')
  await to.vote(2, 'n1')
  await received(to, snapshotOfNext(chunks, { readable: true }))
  t.equal(to.store.recovered.checkpointIndex, 60)
  t.equal(to.table.content()['at-sixty'], 'as of entry 60')
  await to.store.close()
  const other = await Peer.formed(new MemoryDisk(), 'n3')
  await other.vote(2, 'n1')
  const refused = received(other, snapshotOfNext(chunks, { readable: false }))
  await t.rejects(refused, { code: 'NEWER_VERSION' })
  t.equal(other.store.recovered.checkpointIndex, 0)
  t.same(other.failures, [])
  await other.store.close()
  await from.store.close()
})

t.test('a record of a version that is too old is refused as such', async (t) => {
  const disk = await formed(new MemoryDisk())
  const marker = rowOf(disk, 'm')
  const record = Buffer.from(marker.record)
  record[0] = 1
  record[1] = 1
  disk.damageRow(marker.key, sealed(marker.key, record))
  await t.rejects(openOn(disk), { code: 'OLDER_VERSION', message: /reads formats from 2 on/ })
})
