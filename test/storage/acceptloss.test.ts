import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { clusterMs, fencingToken, INTERNAL_OP, LIMITS, logIndex, OP, run, term, wallMs } from '@leasehold/protocol'
import { LevelDisk, recoverDirectory } from '@leasehold/server/cli'
import { type Entry, Machine } from '@leasehold/server/machine'
import { openStore, StorageRefusal, type Store } from '@leasehold/server/storage'
import { Level } from 'level'
import t, { type Test } from 'tap'
import { filesOf } from './damage.js'
import { compact } from './pristine.js'
import { allEntries, allEvents, formed } from './support.js'

const OPTIONS = {
  memberId: 'n1',
  directoryId: 'directory-2',
  wallMs: 1_700_000_000_000,
  machine: () => new Machine(),
  standalone: ['meta', 'leases', 'configuration'],
  peerAddress: '127.0.0.1:7421',
}

interface Running {
  readonly machine: Machine
  readonly store: Store
  flush(): Promise<void>
}

/** Opens a directory as a server does: state, then the log's end applied to it. */
async function start(path: string): Promise<Running> {
  const machine = new Machine()
  const fatal = (error: Error): void => {
    throw error
  }
  const store = await openStore(new LevelDisk(path), { tables: machine.tables, memberId: 'n1', fatal })
  machine.loaded()
  const { checkpointIndex, lastIndex } = store.recovered
  for await (const chunk of store.entries(logIndex(checkpointIndex + 1), lastIndex)) {
    for (const entry of chunk) store.stageEvents(machine.apply(entry).events)
  }
  return { machine, store, flush: () => new Promise((done) => store.flush(done)) }
}

function acquire(index: number, count: number): Entry {
  return {
    term: term(1),
    index: logIndex(index),
    timeMs: clusterMs(index * 10),
    wallMs: wallMs(1_700_000_000_000),
    member: 'n1',
    run: run(0),
    batch: 0,
    commands: Array.from({ length: count }, (_, at) => ({
      op: OP.acquire,
      principal: 'p',
      name: `lease/${index}/${at}`,
      holder: `holder-${index}-${at}`,
      ttlMs: 3_600_000,
      waitMs: 0,
      priority: 0,
      lockDelayMs: 0,
      meta: `${index}:${at}:`.repeat(20),
      request: null,
    })),
  }
}

/** Twenty entries of ten leases each; a checkpoint after the tenth and the fifteenth. */
async function written(path: string): Promise<void> {
  await formed(new LevelDisk(path)).then((disk) => disk.close())
  const { machine, store, flush } = await start(path)
  store.stageHardState({ term: term(1), votedFor: 'n1' })
  for (let index = 1; index <= 20; index += 1) {
    const entry = acquire(index, 10)
    store.stageEntries([entry])
    await flush()
    store.stageEvents(machine.apply(entry).events)
    if (index % 5 === 0 && index <= 15) store.stageCheckpoint(entry.index, entry.timeMs)
  }
  await flush()
  await store.close()
}

/** The damaged directory is refused, recovered, and then serves; returns the report and what serves. */
async function recovered(t: Test, path: string) {
  await t.rejects(start(path), StorageRefusal)
  const { report, damagedPath } = await recoverDirectory(path, OPTIONS)
  t.ok(existsSync(damagedPath), 'the damaged files are kept')
  const running = await start(path)
  t.equal(running.store.recovered.identity.directoryId, 'directory-2')
  t.equal(running.store.recovered.identity.clusterId, 'cluster-1')
  t.equal(readdirSync(path).filter((name) => name.startsWith('recovering') || name === 'switching').length, 0)
  return { report: report!, running, damagedPath }
}

/** Flips a bit of a row's value, as LevelDB would bring it back from a damaged table. */
async function flipRow(path: string, key: string): Promise<void> {
  const options = { keyEncoding: 'utf8', valueEncoding: 'buffer', createIfMissing: false }
  const level = new Level<string, Buffer>(join(path, 'volume'), options)
  const value = await level.get(key)
  value[value.length - 5]! ^= 1
  await level.put(key, value)
  await level.close()
}

/** No token is granted again that could have been granted before. */
async function grantsAbove(t: Test, { machine, store, flush }: Running, floor: number): Promise<void> {
  const { lastIndex } = store.recovered
  const entry = { ...acquire(lastIndex + 1, 1), term: term(2), timeMs: machine.timeMs }
  store.stageEntries([entry])
  await flush()
  const applied = machine.apply(entry)
  store.stageEvents(applied.events)
  t.ok(applied.events[0]!.token >= floor, `${applied.events[0]!.token} is granted`)
  t.ok(floor >= LIMITS.restoredTokenGap)
  store.stageCheckpoint(entry.index, entry.timeMs)
  await flush()
  await store.close()
}

t.test('a whole directory is not given up', async (t) => {
  const path = join(t.testdir({}), 'data')
  await written(path)
  await t.rejects(recoverDirectory(path, OPTIONS), { code: 'NOTHING_LOST' })
  const { store, machine } = await start(path)
  await t.rejects(recoverDirectory(path, OPTIONS), { code: 'IN_USE' })
  t.equal(machine.leaseCount, 200)
  await store.close()
})

t.test('a lost tail is named, and everything before it kept', async (t) => {
  const path = join(t.testdir({}), 'data')
  await written(path)
  const log = filesOf(path).find(({ file }) => /\d+\.log$/.test(file))!
  truncateSync(join(path, log.file), Math.floor(log.bytes * 0.9))
  const { report, running } = await recovered(t, path)
  t.match(report.lost.join('\n'), /The batches \d+ to 22, the last ones written, are lost/)
  const { machine, store } = running
  t.ok(machine.leaseCount >= 150 && machine.leaseCount < 200, `${machine.leaseCount} leases`)
  const events = await allEvents(store)
  t.equal(events.length, machine.leaseCount, 'the audit tells of all that is left, and of nothing else')
  t.match((await allEntries(store)).at(-1)!.commands, [
    { op: INTERNAL_OP.raiseTokens, floor: fencingToken(report.tokenFloor) },
    { op: INTERNAL_OP.configure, configuration: { voters: ['n1@directory-2'] } },
  ])
  t.same(machine.configuration?.voters, ['n1@directory-2'], 'it is alone in the cluster that begins')
  await grantsAbove(t, running, report.tokenFloor)
  const again = await start(path)
  t.equal(again.machine.leaseCount, machine.leaseCount, 'and it stays so')
  await again.store.close()
})

t.test('a state that is not whole keeps the leases that verify', async (t) => {
  const path = join(t.testdir({}), 'data')
  await written(path)
  await flipRow(path, '\x01sleases\0lease/3/4')
  const { report, running } = await recovered(t, path)
  t.match(report.lost.join('\n'), /The state row "leases\/lease\/3\/4" fails its checksum/)
  t.match(report.lost.join('\n'), /The state is not whole: 150 of 151 rows verify/)
  t.equal(running.machine.lease('lease/3/4'), null)
  t.not(running.machine.lease('lease/3/5'), null)
  t.equal(running.machine.leaseCount, 199)
  await grantsAbove(t, running, report.tokenFloor)
})

/** Flips a bit of the one table of a compacted directory, `fromEnd` bytes before its end. */
async function flipTable(path: string, fromEnd: number): Promise<void> {
  await compact(path)
  const [table, ...others] = filesOf(path).filter(({ file }) => file.endsWith('.ldb'))
  if (table === undefined || others.length > 0) throw new Error('one table is expected')
  const bytes = readFileSync(join(path, table.file))
  bytes[bytes.length - fromEnd]! ^= 1
  writeFileSync(join(path, table.file), bytes)
}

t.test('a damaged table costs the rows that stand there, or none', async (t) => {
  const root = t.testdir({})
  const path = join(root, 'footer')
  await written(path)
  // Of the footer's bytes those in front of its last eight are of no meaning.
  await flipTable(path, 9)
  const { report, running } = await recovered(t, path)
  t.same(report.lost, [])
  t.equal(running.machine.leaseCount, 200)
  await grantsAbove(t, running, report.tokenFloor)
  const other = join(root, 'block')
  await written(other)
  // The last rows of a volume are those of its state.
  await flipTable(other, 2_000)
  const cost = await recovered(t, other)
  t.match(cost.report.lost.join('\n'), /The state is not whole/)
  t.not(cost.running.machine.leaseCount, 0)
  await grantsAbove(t, cost.running, cost.report.tokenFloor)
})

t.test('with its volume gone, a directory starts over empty, above every token that its identity knows', async (t) => {
  const path = join(t.testdir({}), 'data')
  await written(path)
  rmSync(join(path, 'volume'), { recursive: true })
  const { report, running } = await recovered(t, path)
  t.match(report.lost.join('\n'), /The volume cannot be opened at all/)
  t.equal(running.machine.leaseCount, 0)
  const floor = report.tokenFloor
  await grantsAbove(t, running, floor)
  rmSync(join(path, 'volume'), { recursive: true })
  const twice = await recoverDirectory(path, { ...OPTIONS, directoryId: 'directory-2' })
  t.ok(twice.report!.tokenFloor >= floor + LIMITS.restoredTokenGap, 'a second loss goes above the first')
  t.match(twice.damagedPath, /damaged-2$/)
})

t.test('files that are missing come back from what is left', async (t) => {
  for (const name of ['identity', 'side', 'volume/CURRENT']) {
    const path = join(t.testdir({}), `without-${name.replace('/', '-')}`)
    await written(path)
    rmSync(join(path, name))
    const { report, running } = await recovered(t, path)
    t.equal(running.machine.leaseCount, 200, name)
    t.equal((await allEvents(running.store)).length, 200)
    await grantsAbove(t, running, report.tokenFloor)
  }
})

t.test('a switch that was cut short is refused, and finished by the same command', async (t) => {
  const path = join(t.testdir({}), 'data')
  await written(path)
  rmSync(join(path, 'side'))
  const { damagedPath } = await recoverDirectory(path, OPTIONS)
  // As it stands when the power goes between two moves.
  mkdirSync(join(path, 'recovering'))
  for (const name of ['identity', 'side']) renameSync(join(path, name), join(path, 'recovering', name))
  writeFileSync(join(path, 'switching'), 'damaged-1\n')
  await t.rejects(start(path), { code: 'MISSING_FILES', message: /cut short: run it again/ })
  t.same(await recoverDirectory(path, OPTIONS), { report: null, damagedPath })
  const { machine, store } = await start(path)
  t.equal(machine.leaseCount, 200)
  await store.close()
})

t.test('one member of several is not made a cluster of its own by giving up what it lost', async (t) => {
  const path = join(t.testdir({}), 'data')
  await formed(new LevelDisk(path)).then((disk) => disk.close())
  const { machine, store, flush } = await start(path)
  const addresses = { 'n1@directory-1': 'h1:7421', 'n2@d2': 'h2:7421' }
  const configuration = { voters: ['n1@directory-1'], outgoing: [], learners: ['n2@d2'], addresses }
  const first: Entry = { ...acquire(1, 0), commands: [{ op: INTERNAL_OP.configure, configuration }] }
  store.stageEntries([first])
  await flush()
  store.stageEvents(machine.apply(first).events)
  store.stageCheckpoint(first.index, first.timeMs)
  await flush()
  await store.close()
  rmSync(join(path, 'side'))
  await t.rejects(recoverDirectory(path, OPTIONS), {
    code: 'NOT_ALONE',
    message: /one of the 2 .*n1, n2.*add it again/,
  })
})
