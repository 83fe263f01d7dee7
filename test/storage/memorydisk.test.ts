/** The disk of the simulated world: what its caller decides, and nothing else, befalls it. */
import { logIndex, term } from '@leasehold/protocol'
import { type DiskStep, diskError, MemoryDisk, openStore } from '@leasehold/server/storage'
import t from 'tap'
import { seeded } from './damage.js'
import { allEntries, entryOf, formed, openOn } from './support.js'

const bytes = (text: string) => Buffer.from(text)
const LOW = bytes('\0')
const HIGH = bytes('\xff')

/** What a store on this disk holds of its log. */
async function held(disk: MemoryDisk): Promise<number> {
  const { store } = await openOn(disk)
  const entries = await allEntries(store)
  await store.close()
  return entries.length
}

/** Entries 1 and 2 flushed, and the flush of entry 3 hangs in its batch. */
async function hanging() {
  const disk = await formed(new MemoryDisk())
  const failures: Error[] = []
  const store = await openStore(disk.mount(), { tables: [], memberId: 'n1', fatal: (error) => failures.push(error) })
  for (const index of [1, 2]) {
    store.stageEntries([entryOf(index)])
    await new Promise<void>((resolve) => store.flush(resolve))
  }
  disk.before = (step) => (step.kind === 'commit' ? new Promise(() => {}) : undefined)
  store.stageEntries([entryOf(3)])
  let done = 0
  store.flush(() => {
    done += 1
  })
  return { disk, store, failures, done: () => done }
}

for (const cameAbout of [false, true]) {
  t.test(`a batch in flight at a crash ${cameAbout ? 'came about as a whole' : 'is gone as a whole'}`, async (t) => {
    const { disk, store, failures, done } = await hanging()
    const asked: DiskStep[] = []
    disk.crash({
      cameAbout: (step) => {
        asked.push(step)
        return cameAbout
      },
    })
    disk.before = () => {}
    await store.close()
    t.same(asked, [{ kind: 'commit', puts: 2, dels: 0 }])
    t.match(failures, [{ message: 'this disk has crashed' }])
    t.equal(done(), 0, 'nothing is acknowledged')
    t.equal(await held(disk), cameAbout ? 3 : 2)
  })
}

t.test('what a process of before the crash still does has no effect', async (t) => {
  const disk = await formed(new MemoryDisk())
  const old = disk.mount()
  disk.crash()
  await t.rejects(old.openVolume({ create: false }), { message: 'this disk has crashed' })
  await t.rejects(old.replaceFile('identity', LOW), { message: 'this disk has crashed' })
  const fresh = disk.mount()
  const volume = await fresh.openVolume({ create: false })
  await old.close()
  await t.rejects(fresh.openVolume({ create: false }), { code: 'IN_USE' })
  await volume.close()
})

t.test('batches that vanish although they were synced are noticed', async (t) => {
  const disk = await formed(new MemoryDisk())
  const { store, flush } = await openOn(disk)
  for (let index = 1; index <= 3; index += 1) {
    store.stageEntries([entryOf(index)])
    store.stageHardState({ term: term(index), votedFor: null })
    await flush()
  }
  const { lastIndex } = store.recovered
  t.equal(lastIndex, logIndex(0))
  disk.crash({ lostBatches: 2 })
  await t.rejects(openOn(disk), { code: 'LOST_TAIL' })
})

t.test('unsynced writes to a file are lost, or kept, as the caller says', async (t) => {
  for (const kept of [false, true]) {
    const disk = new MemoryDisk()
    const slots = await disk.openSlots('side', { create: true, initial: bytes('....') })
    await slots.write(0, bytes('ab'), { sync: true })
    await slots.write(2, bytes('cd'), { sync: false })
    disk.crash({ kept: () => kept })
    await t.rejects(async () => slots.write(0, bytes('x'), { sync: true }), { message: /closed/ })
    t.equal(Buffer.from((await disk.readFile('side'))!).toString(), kept ? 'abcd' : 'ab..')
  }
})

t.test('a step fails with EIO or ENOSPC where the caller says so, with nothing of it done', async (t) => {
  const disk = new MemoryDisk()
  const volume = await disk.openVolume({ create: true })
  const put = async (text: string) => {
    const batch = volume.batch()
    batch.put(bytes(text), bytes(text))
    await batch.commit()
  }
  disk.before = () => {
    throw diskError('EIO')
  }
  await t.rejects(put('a'), { code: 'DISK_FAILED' })
  disk.before = async () => {
    throw diskError('ENOSPC')
  }
  await t.rejects(put('b'), { code: 'DISK_FULL' })
  disk.before = () => {}
  disk.beforeRead = () => {
    throw diskError('EIO')
  }
  await t.rejects(volume.get(bytes('a')), { code: 'DISK_FAILED' })
  const scan = volume.scan({ from: LOW, to: HIGH })[Symbol.asyncIterator]()
  t.same(await scan.next(), { done: true, value: undefined }, 'there is nothing to read')
  disk.beforeRead = () => {}
  disk.capacityBytes = 5
  t.equal(await disk.freeBytes(), 5)
  await put('cc')
  t.equal(await disk.freeBytes(), 1)
  await t.rejects(put('d'), { code: 'DISK_FULL' })
  t.equal(await volume.get(bytes('d')), undefined)
})

t.test('rows come in key order, in either direction, as they stood when the scan began', async (t) => {
  const disk = new MemoryDisk()
  const volume = await disk.openVolume({ create: true })
  const random = seeded(3)
  const names = new Set<string>()
  for (let round = 0; round < 40; round += 1) {
    const batch = volume.batch()
    for (let left = round % 5 === 0 ? 90 : 3; left > 0; left -= 1) {
      const name = `${Math.floor(random() * 500)}`
      if (random() < 0.3) {
        batch.del(bytes(name))
        names.delete(name)
      } else {
        batch.put(bytes(name), bytes(name))
        names.add(name)
      }
    }
    await batch.commit()
    for (const reverse of [false, true]) {
      const found: string[] = []
      for await (const chunk of volume.scan({ from: LOW, to: HIGH, reverse, chunkRows: 100 })) {
        for (const [key] of chunk) found.push(Buffer.from(key).toString())
        if (found.length > 100) continue
        const other = volume.batch()
        other.put(bytes('+'), LOW)
        await other.commit()
      }
      const wanted = [...names].sort()
      t.same(found, reverse ? wanted.reverse() : wanted)
      disk.damageRow(bytes('+'), null)
    }
  }
})

t.test('any bit may be flipped, and the same number hits the same bit', async (t) => {
  const disk = new MemoryDisk()
  const volume = await disk.openVolume({ create: true })
  const batch = volume.batch()
  batch.put(bytes('key'), bytes('value'))
  await batch.commit()
  await disk.replaceFile('file', bytes('file'))
  t.equal(disk.copy({ unsynced: 'lost' }).flipBit(0), 'file file')
  t.equal(disk.copy({ unsynced: 'lost' }).flipBit(0.4), 'key 6b6579')
  t.equal(disk.copy({ unsynced: 'lost' }).flipBit(0.999), 'value of 6b6579')
  const seen = new Set<string>()
  for (let bit = 0; bit < 96; bit += 1) {
    const copy = disk.copy({ unsynced: 'lost' })
    copy.flipBit(bit / 96)
    const rows = copy
      .rows()
      .map(([key, value]) => [Buffer.from(key).toString('hex'), Buffer.from(value).toString('hex')])
    const file = (await copy.readFile('file'))!
    seen.add(JSON.stringify([rows, Buffer.from(file).toString('hex')]))
  }
  t.equal(seen.size, 96)
  t.equal(new MemoryDisk().flipBit(0.5), null)
})

t.test('a bit that flips anywhere in a directory is refused, or was not needed', async (t) => {
  const disk = await formed(new MemoryDisk())
  const { store, flush } = await openOn(disk)
  for (let index = 1; index <= 5; index += 1) {
    store.stageEntries([entryOf(index, { commands: 2, salt: 'x' })])
    await flush()
  }
  await store.close()
  const random = seeded(11)
  let refused = 0
  for (let round = 0; round < 300; round += 1) {
    const copy = disk.copy({ unsynced: 'kept' })
    const hit = copy.flipBit(random())
    const found = await held(copy).catch((error: { code?: string }) => error.code ?? `${error}`)
    if (typeof found === 'string') refused += 1
    if (found !== 5 && !/^(DAMAGED|NOT_OURS|NEWER_VERSION|OLDER_VERSION|LOST_TAIL)$/.test(`${found}`)) {
      t.fail(`${hit}: ${found}`)
    }
  }
  t.ok(refused > 100, `${refused} refused`)
})
