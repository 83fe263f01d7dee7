/** Rows packed into one buffer: the same rows as one by one, on every disk, in this thread and in one of their own. */
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readdirSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { LevelDisk } from '@leasehold/server/cli'
import type { Disk, Volume } from '@leasehold/server/ports'
import { MemoryDisk, StorageRefusal } from '@leasehold/server/storage'
import t from 'tap'

const bytes = (text: string) => new Uint8Array(Buffer.from(text))
const RANGE = { from: bytes('a'), to: bytes('b') }
const KEYS = ['a', 'a\0plain', 'a\0ümlaut', 'a\0漢字', 'a\0😀', `a\0${'x'.repeat(1_024)}`]
/** More than is read in this thread. */
const MANY = 6_000
const VALUE_BYTES = 1_000

async function filled(disk: Disk, rows: readonly (readonly [string, Uint8Array])[]): Promise<Volume> {
  const volume = await disk.openVolume({ create: true })
  for (let at = 0; at < rows.length; at += 1_000) {
    const batch = volume.batch()
    for (const [key, value] of rows.slice(at, at + 1_000)) batch.put(bytes(key), value)
    await batch.commit()
  }
  return volume
}

async function packed(volume: Volume, chunkRows: number): Promise<[string, Buffer][]> {
  const found: [string, Buffer][] = []
  for await (const { bytes, ends } of volume.scanPacked({ ...RANGE, chunkRows })) {
    if (ends.length > 2 * chunkRows) throw new Error(`a chunk of ${ends.length / 2} rows`)
    let from = 0
    for (let at = 0; at < ends.length; at += 2) {
      const [valueFrom, to] = [ends[at]!, ends[at + 1]!]
      found.push([Buffer.from(bytes.subarray(from, valueFrom)).toString(), Buffer.from(bytes.subarray(valueFrom, to))])
      from = to
    }
  }
  return found
}

for (const kind of ['memory', 'LevelDB']) {
  t.test(`${kind}: rows come packed, in order`, async (t) => {
    const disk = kind === 'memory' ? new MemoryDisk() : new LevelDisk(join(t.testdir({}), 'data'))
    const rows = ['0 before', ...KEYS, 'b behind'].map((key) => [key, bytes(`of ${key}`)] as const)
    const volume = await filled(disk, [...rows, ['a empty', new Uint8Array()]])
    const sorted = [...KEYS, 'a empty'].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    const wanted = sorted.map((key) => [key, Buffer.from(key === 'a empty' ? '' : `of ${key}`)])
    t.same(await packed(volume, 2), wanted)
    t.same(await packed(volume, 100), wanted)
    await volume.close()
    await disk.close()
  })
}

t.test('a key that is not UTF-8 comes as another one', async (t) => {
  const disk = new LevelDisk(join(t.testdir({}), 'data'))
  const volume = await disk.openVolume({ create: true })
  const batch = volume.batch()
  batch.put(Uint8Array.of(0x61, 0xff), bytes('x'))
  await batch.commit()
  t.same(await packed(volume, 2), [['a\ufffd', Buffer.from('x')]])
  t.throws(() => volume.scanPacked({ from: bytes('a'), to: Uint8Array.of(0xff) }), /ASCII/)
  await volume.close()
  await disk.close()
})

const many = Array.from(
  { length: MANY },
  (_, i) => [`a${String(i).padStart(9, '0')}`, randomBytes(VALUE_BYTES)] as const,
)

/** A directory whose rows all stand in tables: enough of them to be read in a thread of its own. */
async function large(path: string): Promise<LevelDisk> {
  const disk = new LevelDisk(path)
  await (await filled(disk, many)).close()
  return disk
}

t.test('many rows are read in a thread of their own: the same ones, and nothing stays open behind it', async (t) => {
  const disk = await large(join(t.testdir({}), 'data'))
  for (let start = 0; start < 2; start += 1) {
    const volume = await disk.openVolume({ create: false })
    const found = await packed(volume, 500)
    t.equal(found.length, MANY)
    t.ok(found.every(([key, value], i) => key === many[i]![0] && value.equals(many[i]![1])))
    await volume.close()
  }
})

t.test(
  'whoever has seen enough of many rows stops; the volume closes while they are read, and whoever reads is told',
  async (t) => {
    const disk = await large(join(t.testdir({}), 'data'))
    const volume = await disk.openVolume({ create: false })
    for await (const { ends } of volume.scanPacked({ ...RANGE, chunkRows: 10 })) {
      t.equal(ends.length, 20)
      break
    }
    const chunks = volume.scanPacked({ ...RANGE, chunkRows: 10 })[Symbol.asyncIterator]()
    t.equal((await chunks.next()).done, false)
    await volume.close()
    await t.rejects(async () => {
      while ((await chunks.next()).done !== true);
    }, StorageRefusal)
    await t.rejects(packed(volume, 10), StorageRefusal)
    await (await disk.openVolume({ create: false })).close()
  },
)

t.test('what LevelDB finds damaged in a thread of its own is a refusal here', async (t) => {
  const path = join(t.testdir({}), 'data')
  const disk = await large(path)
  const volume = await disk.openVolume({ create: false, salvage: true })
  await volume.close()
  const table = readdirSync(join(path, 'volume')).find((name) => name.endsWith('.ldb'))!
  const file = openSync(join(path, 'volume', table), 'r+')
  writeSync(file, Buffer.alloc(100_000, 0xff), 0, 100_000, 0)
  closeSync(file)
  const damaged = await disk.openVolume({ create: false, salvage: true })
  await t.rejects(packed(damaged, 500), { name: 'StorageRefusal', code: 'DAMAGED' })
  await damaged.close()
})
