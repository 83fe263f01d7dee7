/** The log's end: its terms, suffixes that are replaced while a flush is in flight, trims, reads while writes go on. */

import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { clusterMs, type LogIndex, logIndex, term } from '@leasehold/protocol'
import { LevelDisk } from '@leasehold/server/cli'
import type { Entry } from '@leasehold/server/machine'
import type { Disk } from '@leasehold/server/ports'
import { MemoryDisk, type Store } from '@leasehold/server/storage'
import fc from 'fast-check'
import t from 'tap'
import { allEntries, entryOf, formed, openOn } from './support.js'

/** Entries `from` to `to` of a term. */
function run(of: number, from: number, to: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, at) => entryOf(from + at, { term: of, salt: `${of}.${from + at}` }))
}

async function read(store: Store, from: number, to: number): Promise<Entry[]> {
  const entries: Entry[] = []
  for await (const chunk of store.entries(logIndex(from), logIndex(to))) entries.push(...chunk)
  return entries
}

const starts = (...pairs: [number, number][]) => pairs.map(([of, from]) => ({ term: of, from }))

/** What opening tells of the terms, from the entries themselves. */
function termsOf(entries: readonly Entry[], base: { term: number; index: number }) {
  const found = [{ term: base.term, from: base.index }]
  for (const entry of entries) {
    if (entry.term !== found.at(-1)!.term) found.push({ term: entry.term, from: entry.index })
  }
  return found
}

t.test('opening tells where each term begins, also where the log in front of it is trimmed', async (t) => {
  const disk = await formed(new MemoryDisk())
  const first = await openOn(disk)
  t.same(first.store.recovered.terms, starts([0, 0]))
  first.store.stageEntries([...run(1, 1, 3), ...run(2, 4, 4), ...run(5, 5, 9)])
  first.store.stageCheckpoint(logIndex(7), clusterMs(70))
  await first.flush()
  await first.store.close()
  const second = await openOn(disk)
  t.same(second.store.recovered.terms, starts([0, 0], [1, 1], [2, 4], [5, 5]))
  second.store.stageTrimLog(logIndex(5))
  await second.flush()
  await second.store.close()
  const third = await openOn(disk)
  t.same(third.store.recovered.terms, starts([2, 4], [5, 5]))
  third.store.stageTrimLog(logIndex(8))
  await third.flush()
  await third.store.close()
  const fourth = await openOn(disk)
  t.same(fourth.store.recovered.terms, starts([5, 7]))
  t.same(await allEntries(fourth.store), run(5, 8, 9))
  await fourth.store.close()
})

t.test('a log that is trimmed to nothing still knows the term that it goes on after', async (t) => {
  const disk = await formed(new MemoryDisk())
  const first = await openOn(disk)
  first.store.stageEntries(run(3, 1, 4))
  first.store.stageCheckpoint(logIndex(4), clusterMs(40))
  await first.flush()
  first.store.stageTrimLog(logIndex(5))
  await first.flush()
  await first.store.close()
  const second = await openOn(disk)
  t.match(second.store.recovered, { firstIndex: 5, lastIndex: 4, terms: starts([3, 4]) })
  t.throws(() => second.store.stageEntries(run(2, 5, 5)), /of term 2, after one of term 3/)
  second.store.stageEntries(run(4, 5, 5))
  await second.flush()
  t.same(await read(second.store, 5, 5), run(4, 5, 5))
  await second.store.close()
})

t.test('entries below a trim, and beyond the end, are refused as not in the log', async (t) => {
  const { store, flush } = await openOn(await formed(new MemoryDisk()))
  store.stageEntries(run(1, 1, 6))
  store.stageCheckpoint(logIndex(6), clusterMs(60))
  await flush()
  t.throws(() => store.stageTrimLog(logIndex(8)), /still needed/)
  store.stageTrimLog(logIndex(4))
  await t.rejects(read(store, 3, 6), { name: 'NotInLog', first: 4, last: 6 })
  await flush()
  await t.rejects(read(store, 3, 6), { name: 'NotInLog', first: 4, last: 6 })
  await t.rejects(read(store, 4, 7), { name: 'NotInLog', first: 4, last: 6 })
  t.same(await read(store, 4, 6), run(1, 4, 6), 'the tail that the trim keeps is there')
  await store.close()
})

const disks: [string, (path: string) => Disk][] = [
  ['in RAM', () => new MemoryDisk()],
  ['on LevelDB', (path) => new LevelDisk(path)],
]

for (const [where, diskOf] of disks) {
  t.test(
    `who reads the log gets a view of the moment at which he began, whatever is trimmed meanwhile: ${where}`,
    async (t) => {
      const { store, flush } = await openOn(await formed(diskOf(join(t.testdir({}), 'data'))))
      const all = run(1, 1, 600)
      store.stageEntries(all)
      store.stageCheckpoint(logIndex(590), clusterMs(5_900))
      await flush()
      const seen: Entry[] = []
      for await (const chunk of store.entries(logIndex(1), logIndex(600))) {
        seen.push(...chunk)
        if (seen.length > chunk.length) continue
        store.stageTrimLog(logIndex(550))
        store.stageEntries(run(2, 595, 605))
        await flush()
      }
      t.same(seen, all)
      t.same(await read(store, 550, 605), [...all.slice(549, 594), ...run(2, 595, 605)])
      await t.rejects(read(store, 1, 600), { name: 'NotInLog', first: 550, last: 605 })
      await store.close()
    },
  )
}

t.test('an older entry never replaces one that the state already holds', async (t) => {
  const { store, flush } = await openOn(await formed(new MemoryDisk()))
  store.stageEntries(run(1, 1, 4))
  store.stageCheckpoint(logIndex(3), clusterMs(30))
  t.throws(() => store.stageEntries(run(2, 3, 4)), /at or below the checkpoint/)
  await flush()
  t.throws(() => store.stageEntries(run(2, 3, 4)), /at or below the checkpoint/)
  t.throws(() => store.stageEntries(run(2, 6, 6)), /does not follow/)
  t.throws(() => store.stageEntries([...run(3, 4, 4), ...run(2, 5, 5)]), /of term 2, after one of term 3/)
  t.throws(() => store.stageEntries([...run(3, 4, 4), ...run(3, 6, 6)]), /does not follow/)
  await store.close()
})

/** What a follower's log goes through: appends, and suffixes replaced by a newer term, before, within and after flushes. */
type Step = { readonly do: 'append' | 'replace'; readonly count: number } | { readonly do: 'begin' | 'end' | 'crash' }
const count = fc.integer({ min: 1, max: 5 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('append', 'replace'), count }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('begin', 'end') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash') }) },
)

/** The store under test, and the log as it should be. */
class Replaced {
  readonly disk = new MemoryDisk()
  #store!: Store
  #term = 1
  log: Entry[] = []
  #durable: Entry[] = []
  #writing: Entry[] | null = null
  #goOn: () => void = () => {}
  #flushed: Promise<void> = Promise.resolve()

  async open(): Promise<void> {
    this.#store = (await openOn(this.disk)).store
  }

  append(count: number): void {
    const from = this.log.length + 1
    const entries = run(this.#term, from, from + count - 1)
    this.#store.stageEntries(entries)
    this.log = [...this.log, ...entries]
  }

  replace(count: number): void {
    if (this.log.length === 0) return
    this.#term += 1
    this.log = this.log.slice(0, Math.max(0, this.log.length - count))
    this.append(1)
  }

  /** A flush is held up before its batch is written. */
  begin(): void {
    if (this.#writing !== null) return
    this.#writing = this.log
    this.disk.before = (step) => (step.kind === 'commit' ? new Promise((resolve) => (this.#goOn = resolve)) : undefined)
    this.#flushed = new Promise((resolve) => this.#store.flush(resolve))
  }

  async end(): Promise<void> {
    if (this.#writing === null) return
    this.#goOn()
    await this.#flushed
    this.#durable = this.#writing
    this.#writing = null
  }

  async crash(): Promise<void> {
    this.disk.before = () => {}
    this.disk.crash()
    this.#goOn()
    await this.#store.close()
    this.log = this.#durable
    this.#writing = null
    await this.open()
  }

  /** All that is durable and not replaced since is read back, and nothing else; a crash now would leave what is durable. */
  async wrong(): Promise<string | null> {
    let same = 0
    while (same < this.#durable.length && this.#durable[same] === this.log[same]) same += 1
    if (same > 0 && !isDeepStrictEqual(await read(this.#store, 1, same), this.#durable.slice(0, same)))
      return 'other entries'
    const beyond = await read(this.#store, 1, same + 1).then(
      () => 'reads beyond what is durable',
      (error: Error) => (error.name === 'NotInLog' ? null : `${error}`),
    )
    if (beyond !== null) return beyond
    const left = await openOn(this.disk.copy({ unsynced: 'lost' }))
    const { recovered } = left.store
    const found = await allEntries(left.store)
    await left.store.close()
    if (!isDeepStrictEqual(found, this.#durable)) return 'a crash loses entries'
    return isDeepStrictEqual(recovered.terms, termsOf(found, { term: 0, index: 0 })) ? null : 'other terms'
  }

  async close(): Promise<void> {
    await this.end()
    await this.#store.close()
  }
}

t.test(
  'suffixes replaced while flushes are in flight: what is durable is what was flushed, and nothing replaced is read',
  async (t) => {
    const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const replaced = new Replaced()
      await formed(replaced.disk)
      await replaced.open()
      for (const step of steps) {
        if (step.do === 'append' || step.do === 'replace') replaced[step.do](step.count)
        else await replaced[step.do]()
        const wrong = await replaced.wrong()
        if (wrong !== null) throw new Error(wrong)
      }
      await replaced.close()
    })
    await fc.assert(property, { numRuns: 120 })
    t.pass()
  },
)

t.test('a follower far behind the trim is told so, and by which index', async (t) => {
  const { store, flush } = await openOn(await formed(new MemoryDisk()))
  store.stageHardState({ term: term(1), votedFor: 'n1@directory-1' })
  store.stageEntries(run(1, 1, 3))
  store.stageCheckpoint(logIndex(3), clusterMs(30))
  await flush()
  store.stageTrimLog(logIndex(4))
  await flush()
  const missing = read(store, 1, 3)
  await t.rejects(missing, { name: 'NotInLog', first: 4 satisfies number as LogIndex })
  await store.close()
})
