/** Whatever a peer or a stranger sends, in whatever state: nothing is thrown, and what is committed stays. */

import { type LogIndex, logIndex, term } from '@leasehold/protocol'
import { MESSAGE, type Message, type Raft } from '@leasehold/server/raft'
import fc from 'fast-check'
import t from 'tap'
import { formed, type Item, item } from './cluster.js'

const of = { voters: ['a', 'b', 'c'], outgoing: [], learners: ['d'] }
/** Mostly near the truth, where a wrong number does the most harm. */
const numbers = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 8 }) },
  { weight: 1, arbitrary: fc.constantFrom(-1, 0.5, Number.NaN, 2 ** 48, 2 ** 53, Number.POSITIVE_INFINITY) },
)
const entries = fc.array(
  fc.record({
    index: numbers,
    term: numbers,
    reconfigures: fc.boolean(),
    bytes: fc.constant(10),
    text: fc.constant('x'),
  }),
  { maxLength: 4 },
)
const following = fc.tuple(fc.integer({ min: 0, max: 6 }), fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 4 }))
/** Entries that do follow one another. */
const ordered = following.map(([first, terms]) => {
  const sorted = [...terms].sort((x, y) => x - y)
  return { previousIndex: first, entries: sorted.map((of, i) => item(term(of), logIndex(first + 1 + i), 'x')) }
})
const message = fc
  .record({
    kind: fc.constantFrom(...Object.values(MESSAGE), 99),
    term: numbers,
    lastIndex: numbers,
    lastTerm: numbers,
    transfer: fc.boolean(),
    granted: fc.boolean(),
    commit: numbers,
    commitTerm: numbers,
    previousIndex: numbers,
    previousTerm: numbers,
    entries,
    accepted: fc.boolean(),
    index: numbers,
    hintIndex: numbers,
    hintTerm: numbers,
    entryTerm: numbers,
    round: numbers,
    installed: fc.boolean(),
    read: numbers,
  })
  .chain((one) =>
    fc.oneof(
      fc.constant(one),
      ordered.map((log) => ({ ...one, ...log })),
    ),
  )

const steps = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: fc.tuple(fc.constantFrom('b', 'c', 'd', 'z', 'a'), message) },
    { weight: 2, arbitrary: fc.constantFrom('tick', 'sync', 'campaign', 'propose', 'down', 'up', 'read') },
  ),
  { minLength: 1, maxLength: 60 },
)

let reads = 0
function act(core: Raft<Item>, step: string): void {
  if (step === 'tick') for (let i = 0; i < 5; i++) core.tick()
  if (step === 'campaign') core.campaign()
  if (step === 'down') core.linkDown('b')
  if (step === 'up') core.linkUp('b')
  if (step === 'read') core.readIndex(++reads)
  if (step === 'propose' && core.status.role === 'leader') {
    const { term, lastIndex } = core.status
    core.propose([item(term, logIndex(lastIndex + 1), 'x')])
  }
}

/** Takes everything; answers fetches with nothing worse than what was written. */
function take(core: Raft<Item>, disk: Map<LogIndex, Item>, sync: boolean): void {
  core.takeMessages()
  const write = core.takeWrite()
  for (const entry of write?.entries ?? []) disk.set(entry.index, entry)
  if (write !== null && sync) core.written()
  for (const { to, from, through } of core.takeFetches()) {
    const found: Item[] = []
    for (let i = from as number; i <= through; i++) found.push(disk.get(logIndex(i))!)
    core.fetched(to, found)
  }
  core.takeSnapshots()
  core.takeReads()
  for (const entry of core.takeCommitted(100)) core.applied(entry.index)
}

t.test('garbage from anybody throws nothing, and takes back nothing that was committed', async (t) => {
  fc.assert(
    fc.property(steps, fc.boolean(), (all, syncs) => {
      const core = formed('a', of, () => 0.5)
      const disk = new Map([[logIndex(1), item(term(1), logIndex(1), 'x')]])
      let [commit, termBefore] = [0, 0]
      for (const step of all) {
        if (typeof step === 'string') act(core, step)
        else core.step(step[0], step[1] as unknown as Message<Item>)
        take(core, disk, syncs)
        if (core.status.commit < commit || core.status.term < termBefore) return false
        commit = core.status.commit
        termBefore = core.status.term
      }
      return core.status.lastIndex >= commit
    }),
    { numRuns: 3_000 },
  )
  t.pass('3,000 lives')
})
