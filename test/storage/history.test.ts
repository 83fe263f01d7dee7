/** Pages of a long audit: blocks of fingerprints, bounded work, trimming, damage that stays where it is. */
import { auditSeq, type ProtocolError } from '@leasehold/protocol'
import { MemoryDisk, type Store } from '@leasehold/server/storage'
import t from 'tap'
import { allEvents, eventOf, formed, openOn } from './support.js'

const EVENTS = 20_000
const BATCH = 50

/** Every thousandth event is of `rare`, the others of many names. */
async function write(): Promise<MemoryDisk> {
  const disk = await formed(new MemoryDisk())
  const opened = await openOn(disk)
  for (let first = 1; first <= EVENTS; first += BATCH) {
    const events = Array.from({ length: BATCH }, (_, at) => {
      const seq = first + at
      return eventOf(seq, seq % 1_000 === 0 ? 'rare' : `busy/${seq % 600}`)
    })
    opened.store.stageEvents(events)
    await opened.flush()
  }
  await opened.store.close()
  return disk
}

const written = await write()

async function longAudit() {
  const disk = written.copy({ unsynced: 'kept' })
  return { disk, ...(await openOn(disk)) }
}

const seqs = (events: readonly { seq: number }[]) => events.map(({ seq }) => seq)
const RARE = Array.from({ length: EVENTS / 1_000 }, (_, at) => (at + 1) * 1_000)

/** Rows of a kind, by the letter in their keys. */
function rowsOf(disk: MemoryDisk, kind: string) {
  return disk.rows().filter(([key]) => key[1] === kind.charCodeAt(0))
}

async function reopened(disk: MemoryDisk, store: Store) {
  await store.close()
  return openOn(disk)
}

t.test('a long audit is read by page, by name and by prefix, before and after a restart', async (t) => {
  const { disk, store } = await longAudit()
  t.ok(rowsOf(disk, 'f').length >= 4, 'there are closed blocks')
  for (const opening of ['first', 'second']) {
    const now = opening === 'first' ? store : (await reopened(disk, store)).store
    t.equal((await allEvents(now, {}, 1_000)).length, EVENTS)
    t.same(seqs(await allEvents(now, { name: 'rare' })), RARE)
    t.same(seqs(await allEvents(now, { prefix: 'rar' })), RARE)
    t.same(await allEvents(now, { name: 'absent' }), [])
    const page = await now.readEvents({ after: auditSeq(4_242), limit: 10 })
    t.same(
      seqs(page.events),
      Array.from({ length: 10 }, (_, at) => 4_243 + at),
    )
    t.equal(page.next, 4_252)
    t.equal((await now.readEvents({ after: auditSeq(EVENTS - 1), limit: 10 })).next, null)
    t.same(await now.readEvents({ after: auditSeq(EVENTS), limit: 10 }), { events: [], next: null })
  }
})

t.test('the history of a name reads fingerprints, and only the segments that mention it', async (t) => {
  const { disk, store } = await longAudit()
  const { store: again } = await reopened(disk, store)
  // Without the segments of other names, the name's history must not notice.
  const mentioning = new Set(RARE.map((seq) => Math.floor((seq - 1) / BATCH) * BATCH + 1))
  const segments = rowsOf(disk, 'a')
  t.equal(segments.length, EVENTS / BATCH)
  for (const [key] of segments) if (!mentioning.has(Buffer.from(key).readUInt32BE(6))) disk.damageRow(key, null)
  t.same(seqs(await allEvents(again, { name: 'rare' })), RARE)
  await t.rejects(allEvents(again), { code: 'AUDIT_CORRUPT' })
  await again.close()
})

t.test('a page does a bounded amount of work, and goes on where it stopped', async (t) => {
  const { store } = await longAudit()
  const page = await store.readEvents({ after: auditSeq(0), limit: 1_000, prefix: 'absent' })
  t.same(page.events, [])
  t.ok(page.next !== null && page.next < EVENTS, `stopped after ${page.next}`)
  t.same(seqs(await allEvents(store, { prefix: 'rare' }, 2)), RARE)
  await store.close()
})

t.test('events are read before they are durable, and while their batch is in flight', async (t) => {
  const { store, flush } = await openOn(await formed(new MemoryDisk()))
  store.stageEvents([eventOf(1, 'a'), eventOf(2, 'b')])
  const flushed = flush()
  store.stageEvents([eventOf(3, 'a')])
  t.same(seqs(await allEvents(store)), [1, 2, 3])
  t.same(seqs(await allEvents(store, { name: 'a' })), [1, 3])
  await flushed
  t.same(seqs(await allEvents(store, { name: 'a' })), [1, 3])
  t.throws(() => store.stageEvents([eventOf(5)]), /event 5 does not follow 3/)
  await store.close()
})

t.test('a trimmed audit starts where it was trimmed, and gives its rows back', async (t) => {
  const { disk, store, flush } = await longAudit()
  const before = { segments: rowsOf(disk, 'a').length, blocks: rowsOf(disk, 'f').length, bytes: store.audit.bytes }
  store.stageTrimAudit(auditSeq(10_000))
  t.equal(store.audit.first, 10_001)
  t.ok(store.audit.bytes < 0.7 * before.bytes, 'trimmed bytes are not counted')
  t.same(seqs(await allEvents(store, {}, 1_000))[0], 10_001)
  t.same(seqs(await allEvents(store, { name: 'rare' })), RARE.slice(10))
  for (let round = 0; round < 5; round += 1) {
    await flush()
    await new Promise(setImmediate)
  }
  t.ok(rowsOf(disk, 'a').length < 0.7 * before.segments, 'segments go')
  t.ok(rowsOf(disk, 'f').length < before.blocks, 'fingerprints go')
  const { store: again } = await reopened(disk, store)
  t.match(again.audit, { first: 10_001, last: EVENTS })
  t.equal((await allEvents(again, {}, 1_000)).length, 10_000)
  await again.close()
})

t.test('damage in the middle is answered with AUDIT_CORRUPT there, and nowhere else', async (t) => {
  const { disk, store } = await longAudit()
  const at = 7_001
  const [key, value] = rowsOf(disk, 'a').find(([key]) => Buffer.from(key).readUInt32BE(6) === at)!
  const { store: again } = await reopened(disk, store)
  const flipped = Uint8Array.from(value)
  flipped[200]! ^= 4
  for (const damage of [flipped, null]) {
    disk.damageRow(key, damage)
    const page = await again.readEvents({ after: auditSeq(at + BATCH), limit: 5 })
    t.same(seqs(page.events)[0], at + BATCH + 1)
    t.equal((await again.readEvents({ after: auditSeq(at - 7), limit: 5 })).events.length, 5)
    const error = await again.readEvents({ after: auditSeq(at - 2), limit: 5 }).catch((error: ProtocolError) => error)
    t.match(error, { code: 'AUDIT_CORRUPT' })
    t.same(seqs(await allEvents(again, { name: 'rare' })), RARE)
  }
  await again.close()
})

t.test('without their fingerprints events are still found', async (t) => {
  const { disk, store } = await longAudit()
  const blocks = rowsOf(disk, 'f')
  disk.damageRow(blocks[1]![0], null)
  const flipped = Uint8Array.from(blocks[3]![1])
  flipped[flipped.length - 1]! ^= 1
  disk.damageRow(blocks[3]![0], flipped)
  for (const opening of ['first', 'second']) {
    const now = opening === 'first' ? store : (await reopened(disk, store)).store
    t.same(seqs(await allEvents(now, { name: 'rare' })), RARE)
    t.equal((await allEvents(now, {}, 1_000)).length, EVENTS)
  }
})
