import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { clusterMs, logIndex } from '@leasehold/protocol'
import { LevelDisk } from '@leasehold/server/cli'
import { crc32c, StorageRefusal } from '@leasehold/server/storage'
import t from 'tap'
import { allEntries, entryOf, formed, openOn, PlainTable } from './support.js'

async function refusal(work: Promise<unknown>): Promise<StorageRefusal> {
  const error = await work.then(
    () => new Error('nothing was refused'),
    (reason: unknown) => reason,
  )
  if (!(error instanceof StorageRefusal)) throw error
  return error
}

t.test('a directory is formed once, and names who has it open', async (t) => {
  const path = join(t.testdir({}), 'data')
  const disk = await formed(new LevelDisk(path))
  t.equal((await refusal(formed(new LevelDisk(path)))).code, 'EXISTS')
  const { store, flush } = await openOn(disk)
  t.same(readdirSync(path).sort(), ['identity', 'owner', 'side', 'volume'])
  t.equal(readFileSync(join(path, 'owner'), 'utf8'), `${process.pid}\n`)
  store.stageEntries([entryOf(1)])
  await flush()
  await store.close()
  await store.close()
  t.same(readdirSync(path).sort(), ['identity', 'side', 'volume'])
})

t.test('a second open within the process is refused, and leaves the lock alone', async (t) => {
  const path = join(t.testdir({}), 'data')
  const { store } = await openOn(await formed(new LevelDisk(path)))
  t.match(await refusal(openOn(new LevelDisk(path))), { code: 'IN_USE', message: /this very process/ })
  const other = await inAnotherProcess(path)
  t.match(other, { code: 'IN_USE' })
  t.match(other.message, `in use by process ${process.pid}`)
  await store.close()
  const again = await openOn(new LevelDisk(path))
  await again.store.close()
})

t.test('a directory that is in use is called that, whatever its files look like meanwhile', async (t) => {
  const path = join(t.testdir({}), 'data')
  const disk = new LevelDisk(path)
  const volume = await disk.openVolume({ create: true })
  let ended = false
  // Values that do not compress, more than the write buffer holds: tables come and go.
  const load = (async () => {
    for (let n = 0; !ended; n++) {
      const batch = volume.batch()
      for (let i = 0; i < 16; i++) batch.put(Buffer.from(`${(n * 16 + i) % 1_024}`), randomBytes(65_536))
      await batch.commit()
    }
  })()
  t.match(await inAnotherProcess(path, 10), { code: 'IN_USE', message: /process \d+/ })
  ended = true
  await load
  await disk.close()
  t.match(await inAnotherProcess(path), { code: 'OPENED' })
})

t.test('a directory that is in use is not judged by its files', async (t) => {
  const path = join(t.testdir({}), 'data')
  await (await openOn(await formed(new LevelDisk(path)))).store.close()
  // Its rows come to stand in a table when it is opened again.
  const { store } = await openOn(new LevelDisk(path))
  const folder = join(path, 'volume')
  const table = join(folder, readdirSync(folder).find((name) => name.endsWith('.ldb'))!)
  const flip = () => {
    const at = readFileSync(table).length >> 1
    const file = openSync(table, 'r+')
    writeSync(file, Uint8Array.of(readFileSync(table)[at]! ^ 4), 0, 1, at)
    closeSync(file)
  }
  flip()
  // Where the kernel lists no locks, the lock is only met after the files.
  t.match(await inAnotherProcess(path), { code: existsSync('/proc/locks') ? 'IN_USE' : 'DAMAGED' })
  await store.close()
  t.match(await inAnotherProcess(path), { code: 'DAMAGED' })
  flip()
  t.match(await inAnotherProcess(path), { code: 'OPENED' })
})

/** What another process is told that opens the directory; the first that is not IN_USE of several tries, or the last. */
async function inAnotherProcess(path: string, tries = 1): Promise<{ code: string; message: string }> {
  const script = `
    import { clusterMs, logIndex } from '@leasehold/protocol'
import { LevelDisk } from '@leasehold/server/cli'
    let told = { code: 'IN_USE', message: '' }
    for (let tries = Number(process.argv[2]); tries > 0 && told.code === 'IN_USE'; tries--) {
      try {
        await new LevelDisk(process.argv[1]).openVolume({ create: false })
        told = { code: 'OPENED', message: '' }
      } catch (error) {
        told = { code: error.code, message: error.message }
      }
    }
    console.log(JSON.stringify(told))
    process.exit(0)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, path, `${tries}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  await once(child, 'close')
  return JSON.parse(output)
}

t.test('what is not a directory of ours is refused, and left as it is', async (t) => {
  const path = t.testdir({ foreign: { 'notes.txt': 'mine' }, file: 'a file' })
  t.match(await refusal(openOn(new LevelDisk(join(path, 'foreign')))), { code: 'NOT_OURS', message: /notes\.txt/ })
  t.match(await refusal(formed(new LevelDisk(join(path, 'foreign')))), { code: 'EXISTS' })
  t.match(await refusal(openOn(new LevelDisk(join(path, 'file')))), { code: 'NOT_OURS' })
  t.match(await refusal(openOn(new LevelDisk(join(path, 'absent')))), { code: 'NOT_FORMED' })
  t.same(readdirSync(join(path, 'foreign')), ['notes.txt'])
})

t.test('a directory that cannot be written is refused as such', async (t) => {
  t.match(await refusal(formed(new LevelDisk('/sys/leasehold'))), { code: 'READ_ONLY', message: /writable/ })
})

t.test('what another version wrote is refused, and not called damaged', async (t) => {
  const path = join(t.testdir({}), 'data')
  const written = new PlainTable('later')
  const { store, flush } = await openOn(await formed(new LevelDisk(path)), [written])
  store.stageEntries([entryOf(1)])
  written.set('key', 'value')
  store.stageCheckpoint(logIndex(1), clusterMs(10))
  await flush()
  await store.close()
  t.match(await refusal(openOn(new LevelDisk(path), [])), { code: 'NEWER_VERSION', message: /rows of "later"/ })
  const strict = new PlainTable('later')
  strict.load = () => {
    throw new Error('field 2 should be a whole number')
  }
  t.match(await refusal(openOn(new LevelDisk(path), [strict])), { code: 'NEWER_VERSION', message: /field 2/ })
  const identity = readFileSync(join(path, 'identity'))
  identity[identity.indexOf('leasehold') + 'leasehold'.length + 1] = 9
  identity.writeInt32BE(crc32c(identity, 4), 0)
  writeFileSync(join(path, 'identity'), identity)
  t.match(await refusal(openOn(new LevelDisk(path), [written])), { code: 'NEWER_VERSION', message: /format 9/ })
  identity.fill(
    1,
    identity.indexOf('leasehold') + 'leasehold'.length,
    identity.indexOf('leasehold') + 'leasehold'.length + 2,
  )
  identity.writeInt32BE(crc32c(identity, 4), 0)
  writeFileSync(join(path, 'identity'), identity)
  t.match(await refusal(openOn(new LevelDisk(path), [written])), { code: 'OLDER_VERSION', message: /format 1/ })
})

t.test('without CURRENT no empty volume takes the place of the lost one', async (t) => {
  const path = join(t.testdir({}), 'data')
  const { store, flush } = await openOn(await formed(new LevelDisk(path)))
  store.stageEntries([entryOf(1)])
  await flush()
  await store.close()
  const current = join(path, 'volume', 'CURRENT')
  const content = readFileSync(current)
  rmSync(current)
  for (let start = 1; start <= 2; start += 1) {
    t.match(await refusal(openOn(new LevelDisk(path))), { code: 'MISSING_FILES', message: /CURRENT/ })
  }
  writeFileSync(current, content)
  const again = await openOn(new LevelDisk(path))
  t.same(await allEntries(again.store), [entryOf(1)])
  await again.store.close()
})

t.test('a forming that was cut short is done over', async (t) => {
  const path = join(t.testdir({}), 'data')
  const disk = new LevelDisk(path)
  const real = disk.replaceFile.bind(disk)
  let writes = 0
  disk.replaceFile = async (name, bytes) => {
    writes += 1
    if (writes === 3) throw new Error('the power is gone')
    await real(name, bytes)
  }
  await t.rejects(formed(disk), { code: 'DISK_FAILED' })
  t.match(await refusal(openOn(new LevelDisk(path))), { code: 'NOT_FORMED' })
  const { store } = await openOn(await formed(new LevelDisk(path)))
  await store.close()
})
