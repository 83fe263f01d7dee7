/** A crash at every step that touches the disk, and damage of every single row, on a disk in RAM. */
import { type DiskStep, directoryState, formDirectory, MemoryDisk, StorageRefusal } from '@leasehold/server/storage'
import t from 'tap'
import { seeded } from './damage.js'
import { type Durable, judged, Member } from './member.js'
import { entryOf, formed, IDENTITY, openOn } from './support.js'

/** A life with elections, lost elections, checkpoints, trims, and restarts. */
async function live(member: Member): Promise<void> {
  for (let round = 1; round <= 6; round += 1) {
    if (round % 2 === 1) member.vote()
    member.append(2, 3)
    await member.flush()
    member.append(1, 1)
    await member.flush()
    member.apply(2)
    if (round % 3 === 0) member.replace(2)
    await member.flush()
    member.apply(9)
    if (round % 2 === 0) member.checkpoint()
    if (round === 5) member.trimLog()
    if (round === 5) member.trimAudit()
    await member.flush()
    if (round === 4) await member.restart()
  }
  member.append(3, 2)
  await member.flush()
  member.replace(1)
  await member.flush()
}

t.test('after a crash at any step, what was acknowledged is there, and nothing else', async (t) => {
  for (const unsynced of ['kept', 'lost'] as const) {
    const disk = await formed(new MemoryDisk())
    const member = new Member(disk)
    const crashes: { step: DiskStep; left: MemoryDisk; moments: Durable[] }[] = []
    disk.before = (step) => {
      const moments = member.inFlight === null ? [member.durable] : [member.durable, member.inFlight]
      crashes.push({ step, left: disk.copy({ unsynced }), moments })
    }
    await member.open()
    await live(member)
    await member.store.close()
    t.ok(crashes.length > 40, `${crashes.length} crashes`)
    for (const [at, { step, left, moments }] of crashes.entries()) {
      const wrong = await judged(() => left.copy({ unsynced: 'kept' }), moments)
      if (wrong !== null) t.fail(`crash ${at}, before ${step.kind}: ${wrong}`)
    }
  }
})

t.test('a crash while forming leaves a directory that can be formed', async (t) => {
  const disk = new MemoryDisk()
  const left: MemoryDisk[] = []
  disk.before = () => {
    left.push(disk.copy({ unsynced: 'lost' }))
  }
  await formDirectory(disk, IDENTITY)
  t.equal(left.length, 4)
  for (const copy of left) {
    t.equal(await directoryState(copy), 'empty')
    await t.rejects(openOn(copy.copy({ unsynced: 'kept' })), { code: 'NOT_FORMED' })
    await formDirectory(copy, { ...IDENTITY, directoryId: 'another' })
    const { store } = await openOn(copy)
    t.equal(store.recovered.identity.directoryId, 'another')
    await store.close()
  }
  t.equal(await directoryState(disk), 'formed')
  await t.rejects(formDirectory(disk, IDENTITY), { code: 'EXISTS' })
})

/** A life whose versions of every row are remembered. */
async function lived() {
  const disk = await formed(new MemoryDisk())
  const member = new Member(disk)
  await member.open()
  const versions = new Map<string, Uint8Array[]>()
  const remember = (): void => {
    for (const [key, value] of disk.rows()) {
      const name = Buffer.from(key).toString('latin1')
      const known = versions.get(name) ?? []
      if (known.length === 0 || Buffer.compare(known.at(-1)!, value) !== 0) known.push(value)
      versions.set(name, known)
    }
  }
  disk.before = remember
  await live(member)
  await member.store.close()
  disk.before = () => {}
  return { disk, versions, durable: member.durable }
}

/** Exact, refused (twice the same), or AUDIT_CORRUPT: anything else is told. */
async function endured(disk: MemoryDisk, durable: Durable): Promise<{ verdict: string; wrong: string | null }> {
  const verdicts: string[] = []
  for (let start = 1; start <= 2; start += 1) {
    try {
      const wrong = await judged(() => disk, [durable])
      if (wrong !== null) return { verdict: 'wrong', wrong }
      verdicts.push('exact')
    } catch (error) {
      const code = error instanceof StorageRefusal ? error.code : (error as { code?: string }).code
      if (!(error instanceof StorageRefusal) && code !== 'AUDIT_CORRUPT') return { verdict: 'error', wrong: `${error}` }
      verdicts.push(code!)
    }
  }
  return { verdict: verdicts[0]!, wrong: verdicts[0] === verdicts[1] ? null : verdicts.join(', then ') }
}

t.test('a row that is flipped, missing or stale is never answered from', async (t) => {
  const { disk, versions, durable } = await lived()
  const random = seeded(7)
  const verdicts: Record<string, number> = {}
  const rows = disk.rows()
  for (const [key, value] of rows) {
    const name = Buffer.from(key).toString('latin1')
    const damages: (Uint8Array | null)[] = [null, ...versions.get(name)!.slice(0, -1)]
    for (const at of [0, value.length - 1, Math.floor(random() * value.length)]) {
      const flipped = Uint8Array.from(value)
      flipped[at]! ^= 1 << Math.floor(random() * 8)
      damages.push(flipped)
    }
    for (const damage of damages) {
      const copy = disk.copy({ unsynced: 'kept' })
      copy.damageRow(key, damage)
      const { verdict, wrong } = await endured(copy, durable)
      verdicts[verdict] = (verdicts[verdict] ?? 0) + 1
      if (wrong !== null) t.fail(`row ${JSON.stringify(name)}: ${wrong}`)
    }
  }
  t.comment(JSON.stringify(verdicts))
  t.ok(verdicts.DAMAGED! > 50 && verdicts.AUDIT_CORRUPT! > 5 && verdicts.LOST_TAIL! > 5)
})

t.test('rows that were deleted and come back are not believed', async (t) => {
  const { disk, versions, durable } = await lived()
  const present = new Set(disk.rows().map(([key]) => Buffer.from(key).toString('latin1')))
  const deleted = [...versions].filter(([name]) => !present.has(name))
  t.ok(deleted.length >= 5, `${deleted.length} rows come back`)
  for (const [name, values] of deleted) {
    const copy = disk.copy({ unsynced: 'kept' })
    copy.damageRow(Buffer.from(name, 'latin1'), values.at(-1)!)
    const { wrong } = await endured(copy, durable)
    if (wrong !== null) t.fail(`row ${JSON.stringify(name)}: ${wrong}`)
  }
})

t.test('an audit that has lost its end is refused', async (t) => {
  const { disk, versions } = await lived()
  const [key] = disk.rows().findLast(([key]) => key[1] === 'a'.charCodeAt(0))!
  t.equal(versions.get(Buffer.from(key).toString('latin1'))!.length, 1)
  disk.damageRow(key, null)
  for (let start = 1; start <= 2; start += 1) {
    await t.rejects(new Member(disk).open(), { code: 'DAMAGED', message: /Audit event \d+ is not the one/ })
  }
})

t.test('a failed write is fatal once, and never acknowledged', async (t) => {
  const disk = await formed(new MemoryDisk())
  const { store, failures } = await openOn(disk)
  disk.before = (step) => {
    if (step.kind === 'commit') throw new Error('the disk is gone')
  }
  let done = 0
  store.stageEntries([entryOf(1)])
  store.flush(() => {
    done += 1
  })
  t.equal(store.flushing, true)
  t.throws(() => store.flush(() => {}), /in flight/)
  await store.close()
  t.equal(done, 0)
  t.match(failures, [{ message: 'the disk is gone' }])
  t.throws(() => store.stageEntries([entryOf(2)]), /no longer writes/)
})

t.test('a flush that hangs is in flight for as long as it hangs', async (t) => {
  const disk = await formed(new MemoryDisk())
  const { store, flush } = await openOn(disk)
  let goOn = (): void => {}
  disk.before = () =>
    new Promise((resolve) => {
      goOn = resolve
    })
  store.stageEntries([entryOf(1)])
  const flushed = flush()
  await new Promise(setImmediate)
  t.equal(store.flushing, true)
  disk.before = () => {}
  goOn()
  await flushed
  t.equal(store.flushing, false)
  await store.close()
})

t.test('the side file is synced where term or vote change, and only there', async (t) => {
  const disk = await formed(new MemoryDisk())
  const member = new Member(disk)
  await member.open()
  member.vote()
  await member.flush()
  t.match(disk.done, { commits: 2, slotWrites: 1, slotSyncs: 1 })
  for (let round = 0; round < 5; round += 1) {
    member.append(1, 1)
    await member.flush()
  }
  t.match(disk.done, { commits: 7, slotWrites: 6, slotSyncs: 1 })
  member.vote()
  await member.flush()
  t.match(disk.done, { commits: 8, slotWrites: 7, slotSyncs: 2 })
  await member.store.close()
})
