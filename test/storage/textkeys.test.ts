/** Keys read as text: the same rows as with keys as bytes, on every disk. */
import { join } from 'node:path'
import { LevelDisk } from '@leasehold/server/cli'
import type { Disk, Volume, VolumeReader } from '@leasehold/server/ports'
import { MemoryDisk } from '@leasehold/server/storage'
import t from 'tap'

const bytes = (text: string) => new Uint8Array(Buffer.from(text))
const RANGE = { from: bytes('a'), to: bytes('b') }
const KEYS = ['a', 'a\0plain', 'a\0ümlaut', 'a\0漢字', 'a\0😀', `a\0${'x'.repeat(1_024)}`]

async function filled(disk: Disk): Promise<Volume> {
  const volume = await disk.openVolume({ create: true })
  const batch = volume.batch()
  for (const key of ['0 before', ...KEYS, 'b behind']) batch.put(bytes(key), bytes(`of ${key}`))
  await batch.commit()
  return volume
}

async function texts(reader: VolumeReader, reverse: boolean): Promise<[string, string][]> {
  const found: [string, string][] = []
  for await (const chunk of reader.scanText({ ...RANGE, reverse, chunkRows: 2 })) {
    for (const [key, value] of chunk) found.push([key, Buffer.from(value).toString()])
  }
  return found
}

for (const kind of ['memory', 'LevelDB']) {
  t.test(`${kind}: keys come as text, in order, now and as of a view`, async (t) => {
    const disk = kind === 'memory' ? new MemoryDisk() : new LevelDisk(join(t.testdir({}), 'data'))
    const volume = await filled(disk)
    const sorted = [...KEYS].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    const wanted = sorted.map((key) => [key, `of ${key}`])
    t.same(await texts(volume, false), wanted)
    t.same(await texts(volume, true), [...wanted].reverse())
    const view = volume.view()
    const batch = volume.batch()
    batch.del(bytes('a'))
    await batch.commit()
    t.same(await texts(view, false), wanted)
    await view.close()
    t.same(await texts(volume, false), wanted.slice(1))
    await volume.close()
    await disk.close()
  })
}

t.test('a key that is not UTF-8 comes as the text of another one', async (t) => {
  const disk = new LevelDisk(join(t.testdir({}), 'data'))
  const volume = await disk.openVolume({ create: true })
  const batch = volume.batch()
  batch.put(Uint8Array.of(0x61, 0xff), bytes('x'))
  await batch.commit()
  t.same(await texts(volume, false), [['a\ufffd', 'x']])
  t.throws(() => volume.scanText({ from: bytes('a'), to: Uint8Array.of(0xff) }), /ASCII/)
  await volume.close()
  await disk.close()
})
