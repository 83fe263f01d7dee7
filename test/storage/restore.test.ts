/** Backups, restores, and a cluster that begins anew with the one directory that is left of a lost majority. */

import { join } from 'node:path'
import { clusterMs, INTERNAL_OP, LIMITS, logIndex, OP, run, term, wallMs } from '@leasehold/protocol'
import { LevelDisk } from '@leasehold/server/cli'
import { type Entry, Machine } from '@leasehold/server/machine'
import type { Disk } from '@leasehold/server/ports'
import {
  backupBytes,
  directoryState,
  formDirectory,
  MemoryDisk,
  openStore,
  recoverLostQuorum,
  restoreBackup,
  type Store,
} from '@leasehold/server/storage'
import t from 'tap'
import { allEvents } from './support.js'

const OLD = { clusterId: 'old', memberId: 'n1', directoryId: 'd1' }
const BEGINNING = {
  identity: { clusterId: 'new', memberId: 'n1', directoryId: 'd9' },
  wallMs: 1_700_000_000_000,
  machine: () => new Machine(),
  peerAddress: 'host-1:7421',
}

/** Entry 1: a cluster of three. */
const FIRST: Entry = {
  ...entry(1, []),
  commands: [
    {
      op: INTERNAL_OP.configure,
      configuration: {
        voters: ['n1@d1', 'n2@d2', 'n3@d3'],
        outgoing: [],
        learners: [],
        addresses: { 'n1@d1': 'h1:7421', 'n2@d2': 'h2:7421', 'n3@d3': 'h3:7421' },
      },
    },
  ],
}

function entry(index: number, names: readonly string[]): Entry {
  return {
    term: term(index === 1 ? 1 : 4),
    index: logIndex(index),
    timeMs: clusterMs(index * 10),
    wallMs: wallMs(1_700_000_000_000 + index),
    member: 'n1',
    run: run(0),
    batch: 0,
    commands: names.map((name) => ({
      op: OP.acquire,
      principal: 'p',
      name,
      holder: `holder of ${name}`,
      ttlMs: 3_600_000,
      waitMs: 0,
      priority: 0,
      lockDelayMs: 0,
      meta: 'm'.repeat(200),
      request: null,
    })),
  }
}

interface Running {
  readonly store: Store
  readonly machine: Machine
  flush(): Promise<void>
}

async function start(disk: Disk): Promise<Running> {
  const machine = new Machine()
  const fatal = (error: Error): void => {
    throw error
  }
  const store = await openStore(disk, { tables: machine.tables, memberId: 'n1', fatal })
  machine.loaded()
  const { checkpointIndex, lastIndex } = store.recovered
  for await (const chunk of store.entries(logIndex(checkpointIndex + 1), lastIndex)) {
    for (const one of chunk) store.stageEvents(machine.apply(one).events)
  }
  return { machine, store, flush: () => new Promise((done) => store.flush(done)) }
}

/** A member of three with 60 leases: 50 in its checkpoint, ten more in five entries of its log. */
async function written(disk: Disk): Promise<Running> {
  await formDirectory(disk, OLD, FIRST)
  const running = await start(disk)
  const { store, machine, flush } = running
  store.stageHardState({ term: term(4), votedFor: 'n2@d2' })
  for (let index = 2; index <= 31; index += 1) {
    const one = entry(index, [`a/${index}`, `b/${index}`])
    store.stageEntries([one])
    await flush()
    store.stageEvents(machine.apply(one).events)
    if (index === 26) store.stageCheckpoint(one.index, one.timeMs)
  }
  await flush()
  return running
}

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function backupOf(store: Store): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of backupBytes(await store.snapshot())) parts.push(Uint8Array.from(part))
  return Buffer.concat(parts)
}

const disks: [string, (path: string) => Disk][] = [
  ['in RAM', () => new MemoryDisk()],
  ['on LevelDB', (path) => new LevelDisk(path)],
]

for (const [where, diskOf] of disks) {
  t.test(`a backup is restored as a new cluster of one, above all tokens: ${where}`, async (t) => {
    const path = t.testdir({})
    const old = await written(diskOf(join(path, 'old')))
    const bytes = await backupOf(old.store)
    const events = (await allEvents(old.store)).slice(0, 50)
    await old.store.close()
    const fresh = diskOf(join(path, 'fresh'))
    const report = await restoreBackup(fresh, pieces(bytes, 1_000), BEGINNING)
    t.match(report, { index: 27, head: { clusterId: 'old', memberId: 'n1', index: 26 } })
    t.ok(report.tokenFloor > LIMITS.restoredTokenGap)
    const { store, machine, flush } = await start(fresh)
    t.match(store.recovered, {
      identity: BEGINNING.identity,
      hardState: { term: 5, votedFor: null },
      checkpointIndex: 27,
      lastIndex: 27,
      firstIndex: 27,
      terms: [
        { term: 4, from: 26 },
        { term: 5, from: 27 },
      ],
    })
    t.same(machine.configuration, {
      voters: ['n1@d9'],
      outgoing: [],
      learners: [],
      addresses: { 'n1@d9': 'host-1:7421' },
    })
    t.equal(machine.leaseCount, 50)
    t.same(await allEvents(store), events, 'the history is there, chained as it was')
    const granted = machine.apply({ ...entry(28, ['new']), term: term(5) }).events[0]!
    t.ok(granted.token >= report.tokenFloor)
    await flush()
    await store.close()
  })
}

t.test('a backup that is cut off or altered anywhere is refused, and says what is wrong', async (t) => {
  const old = await written(new MemoryDisk())
  const bytes = await backupOf(old.store)
  await old.store.close()
  const refused = async (what: string, altered: Uint8Array, message: RegExp) => {
    const disk = new MemoryDisk()
    await t.rejects(
      restoreBackup(disk, pieces(altered, 4_096), BEGINNING),
      { code: /BAD_COPY|_VERSION/, message },
      what,
    )
    await t.rejects(openStore(disk, { tables: [], memberId: 'n1', fatal: () => {} }), { code: 'UNFINISHED' }, what)
  }
  const some = /Leasehold|backup|snapshot|cut off|chain|checksum/
  for (const length of [0, 4, 8, 9, 12, 40, 200, bytes.length >> 1, bytes.length - 80, bytes.length - 1]) {
    await refused(`cut at ${length}`, bytes.subarray(0, length), /Leasehold|cut off/)
  }
  for (let at = 0; at < bytes.length; at += Math.max(1, Math.floor(bytes.length / 150))) {
    const flipped = Uint8Array.from(bytes)
    flipped[at]! ^= 1 << (at % 8)
    await refused(`flipped at ${at}`, flipped, some)
  }
  await refused('goes on', Buffer.concat([bytes, bytes.subarray(8)]), /goes on/)
  await refused('something else', Buffer.from('{"not":"a backup"}'), /not a backup/)
})

t.test('a restore that a crash cut short is refused to servers, and done over by the same command', async (t) => {
  const old = await written(new MemoryDisk())
  const bytes = await backupOf(old.store)
  await old.store.close()
  const disk = new MemoryDisk()
  const left: MemoryDisk[] = []
  disk.before = () => {
    left.push(disk.copy({ unsynced: 'lost' }))
  }
  const wanted = await restoreBackup(disk, pieces(bytes, 100_000), BEGINNING)
  t.ok(left.length >= 7, `${left.length} crashes`)
  for (const [at, copy] of left.entries()) {
    t.equal(await directoryState(copy), at === 0 ? 'empty' : 'formed')
    if (at > 0) {
      const opening = openStore(copy, { tables: [], memberId: 'n1', fatal: () => {} })
      await t.rejects(opening, { code: 'UNFINISHED', message: /cut short/ })
    }
    t.same(await restoreBackup(copy, pieces(bytes, 100_000), BEGINNING), wanted)
    const { store, machine } = await start(copy)
    t.equal(machine.leaseCount, 50)
    await store.close()
  }
  await t.rejects(restoreBackup(disk, pieces(bytes, 100_000), BEGINNING), { code: 'EXISTS' })
})

t.test(
  'with the majority lost, one directory that is left begins a cluster of one, with all that it had',
  async (t) => {
    const survivor = new MemoryDisk()
    const old = await written(survivor)
    const events = await allEvents(old.store)
    await old.store.close()
    const before = survivor.rows()
    const fresh = new MemoryDisk()
    const report = await recoverLostQuorum(survivor, fresh, BEGINNING)
    t.same(survivor.rows(), before, 'the survivor is only read')
    t.match(report, { index: 32, logEntries: 5, head: { index: 26 } })
    t.match(report.lost.join('\n'), /after log entry 31 .* is lost/)
    t.match(report.lost.join('\n'), /entries 27 to 31 are kept; some of them may never have been acknowledged/)
    t.match(report.lost.join('\n'), /other members must never be started again/)
    const { store, machine } = await start(fresh)
    t.equal(machine.leaseCount, 60)
    t.match(store.recovered, {
      identity: BEGINNING.identity,
      hardState: { term: 5, votedFor: null },
      checkpointIndex: 32,
    })
    t.same(machine.configuration?.voters, ['n1@d9'])
    t.same(await allEvents(store), events)
    t.ok(report.tokenFloor > LIMITS.restoredTokenGap)
    await store.close()
    await t.rejects(recoverLostQuorum(survivor, fresh, BEGINNING), { code: 'EXISTS' })
    await t.rejects(recoverLostQuorum(new MemoryDisk(), new MemoryDisk(), BEGINNING), { code: 'NOT_FORMED' })
  },
)

t.test('a survivor that has voted in a later term than its entries begins in one that is later still', async (t) => {
  const survivor = new MemoryDisk()
  const old = await written(survivor)
  old.store.stageHardState({ term: term(9), votedFor: null })
  await old.flush()
  await old.store.close()
  const fresh = new MemoryDisk()
  await recoverLostQuorum(survivor, fresh, BEGINNING)
  const { store } = await start(fresh)
  t.equal(store.recovered.hardState.term, 10)
  t.equal(store.recovered.terms.at(-1)!.term, 10)
  await store.close()
})
