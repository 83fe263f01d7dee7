/** Every byte of a volume's tables is held against LevelDB's own checksums before LevelDB opens it. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LevelDisk, unpackSnappy } from '@leasehold/server/cli'
import { StorageRefusal } from '@leasehold/server/storage'
import { Level } from 'level'
import t from 'tap'
import { copyDirectory, filesOf, seeded } from './damage.js'
import { compact, judge, writePristine } from './pristine.js'

const SEED = 20_261_122
/** Filter, its index, index and footer of a small table. */
const END_BYTES = 1_024
/** A prime: it walks through all places within a row. */
const STEP_BYTES = 53

t.setTimeout(120_000)

/** What opening the volume comes to. */
async function opening(path: string): Promise<string> {
  try {
    await (await new LevelDisk(path).openVolume({ create: false })).close()
    return 'opened'
  } catch (error) {
    if (!(error instanceof StorageRefusal)) throw error
    return error.code
  }
}

function tablesOf(path: string): string[] {
  const names = readdirSync(join(path, 'volume')).filter((name) => name.endsWith('.ldb'))
  return names.map((name) => join(path, 'volume', name))
}

/** Flips the byte for as long as `work` takes. */
async function flipped<T>(file: string, at: number, mask: number, work: () => Promise<T>): Promise<T> {
  const bytes = readFileSync(file)
  bytes[at]! ^= mask
  writeFileSync(file, bytes)
  const result = await work()
  bytes[at]! ^= mask
  writeFileSync(file, bytes)
  return result
}

t.test('a flipped byte anywhere in a table is refused, and nothing is changed', async (t) => {
  const path = join(t.testdir({}), 'data')
  const written = await writePristine(path, SEED, { rounds: 2, flushes: 2 })
  await compact(path)
  const [table, ...others] = tablesOf(path)
  t.same(others, [])
  const bytes = readFileSync(table!).length
  const random = seeded(SEED)
  const before = filesOf(path)
  const missed: number[] = []
  let tried = 0
  for (let at = 0; at < bytes; at += at < bytes - END_BYTES ? STEP_BYTES : 1) {
    const mask = 1 + Math.floor(random() * 255)
    tried += 1
    if ((await flipped(table!, at, mask, () => opening(path))) !== 'DAMAGED') missed.push(at)
  }
  t.same(missed, [], `${tried} bytes`)
  t.same(filesOf(path), before)
  t.match(await judge(path, written), { verdict: 'exact', wrong: null })
})

t.test('a table that is cut off is refused, and names itself', async (t) => {
  const path = join(t.testdir({}), 'data')
  await writePristine(path, SEED, { rounds: 1, flushes: 1 })
  await compact(path)
  const table = tablesOf(path)[0]!
  const bytes = readFileSync(table)
  for (const length of [0, 47, bytes.length - 48, bytes.length - 1]) {
    writeFileSync(table, bytes.subarray(0, length))
    const disk = new LevelDisk(path)
    await t.rejects(disk.openVolume({ create: false }), { code: 'DAMAGED', message: table })
  }
  writeFileSync(table, bytes)
  t.equal(await opening(path), 'opened')
})

t.test('what is damaged is opened to save what is left in it', async (t) => {
  const path = join(t.testdir({}), 'data')
  await writePristine(path, SEED, { rounds: 1, flushes: 1 })
  await compact(path)
  const table = tablesOf(path)[0]!
  const bytes = readFileSync(table)
  bytes[bytes.length >> 1]! ^= 1
  writeFileSync(table, bytes)
  t.equal(await opening(path), 'DAMAGED')
  const volume = await new LevelDisk(path).openVolume({ create: false, salvage: true })
  await volume.close()
})

t.test('a table that a crash left half written is of no meaning', async (t) => {
  const path = join(t.testdir({}), 'data')
  const written = await writePristine(path, SEED, { rounds: 1, flushes: 1 })
  await compact(path)
  const stray = join(path, 'volume', '000999.ldb')
  writeFileSync(stray, readFileSync(tablesOf(path)[0]!).subarray(0, 5_000))
  t.match(await judge(path, written), { verdict: 'exact', wrong: null })
  t.notOk(tablesOf(path).includes(stray), 'LevelDB has removed it')
})

/**
 * Many tables under long keys: their manifest is longer than its blocks, and indexes are packed. Written in the order of
 * their keys, so that there is nothing for LevelDB to merge.
 */
async function writeMany(path: string): Promise<void> {
  mkdirSync(path)
  const options = { keyEncoding: 'view', valueEncoding: 'view', writeBufferSize: 65_536 } as const
  const level = new Level<Uint8Array, Uint8Array>(join(path, 'volume'), options)
  await level.open()
  const random = seeded(SEED)
  const prefix = Buffer.alloc(4_000, 'long')
  for (let round = 0; round < 60; round += 1) {
    const batch = level.batch()
    for (let row = 0; row < 30; row += 1) {
      const key = Buffer.concat([prefix, Buffer.from([round, row])])
      batch.put(
        key,
        Uint8Array.from({ length: 1_500 }, () => random() * 256),
      )
    }
    await batch.write()
  }
  await level.close()
}

t.test('all tables are found, and their packed indexes are read', async (t) => {
  const root = t.testdir({})
  const path = join(root, 'data')
  await writeMany(path)
  t.equal(await opening(path), 'opened')
  const tables = tablesOf(path)
  t.ok(tables.length > 10, `${tables.length} tables`)
  const manifest = filesOf(path).find(({ file }) => /MANIFEST/.test(file))!
  t.ok(manifest.bytes > 40_000, `a manifest of ${manifest.bytes} bytes`)
  const packed = tables.filter((table) => {
    const bytes = readFileSync(table)
    // In front of the footer: the index, how it is packed, its checksum.
    return bytes[bytes.length - 48 - 5] === 1
  })
  t.not(packed.length, 0)
  for (const table of tables) {
    const at = readFileSync(table).length >> 1
    t.equal(await flipped(table, at, 4, () => opening(path)), 'DAMAGED')
  }
  const copy = join(root, 'copy')
  copyDirectory(path, copy)
  rmSync(tablesOf(copy)[0]!)
  t.equal(await opening(copy), 'MISSING_FILES')
})

t.test('Snappy is unpacked, or refused', async (t) => {
  const unpack = (...bytes: number[]) => Buffer.from(unpackSnappy(Uint8Array.from(bytes), 1_000)).toString('latin1')
  const ab = [0x61, 0x62]
  t.equal(unpack(0), '')
  t.equal(unpack(2, 1 << 2, ...ab), 'ab')
  t.equal(unpack(2, 60 << 2, 1, ...ab), 'ab')
  t.equal(unpack(2, 61 << 2, 1, 0, ...ab), 'ab')
  t.equal(unpack(8, 1 << 2, ...ab, 1 | (2 << 2), 2), 'abababab')
  t.equal(unpack(5, 1 << 2, ...ab, 2 | (2 << 2), 2, 0), 'ababa')
  t.equal(unpack(5, 1 << 2, ...ab, 3 | (2 << 2), 1, 0, 0, 0), 'abbbb')
  t.equal(unpack(0x80 | 2, 1, 60 << 2, 129, ...new Array(130).fill(0x78)), 'x'.repeat(130))
  for (const [what, bytes] of [
    ['nothing', []],
    ['a length without an end', [0x80]],
    ['more than is allowed', [0xff, 0x7f]],
    ['a literal that ends early', [2, 1 << 2, 0x61]],
    ['a literal longer than the whole', [1, 1 << 2, ...ab]],
    ['a copy longer than the whole', [3, 1 << 2, ...ab, 1, 2]],
    ['a copy from before the start', [6, 1 << 2, ...ab, 1, 3]],
    ['a copy of nothing', [6, 1 << 2, ...ab, 1, 0]],
    ['a copy that ends early', [6, 1 << 2, ...ab, 1]],
    ['less than its length', [3, 1 << 2, ...ab]],
  ] as const) {
    t.throws(() => unpack(...bytes), RangeError, what)
  }
})
