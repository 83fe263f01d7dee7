/** A directory of known content, written through the real Store, and the judgement of what comes back from a damaged copy. */

import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { type ChainedEvent, clusterMs, logIndex, type ProtocolError, term } from '@leasehold/protocol'
import { LevelDisk } from '@leasehold/server/cli'
import type { Entry } from '@leasehold/server/machine'
import { StorageRefusal, type Store } from '@leasehold/server/storage'
import { Level } from 'level'
import { seeded } from './damage.js'
import { allEntries, allEvents, entryOf, eventOf, formed, openOn, PlainTable } from './support.js'

export interface Written {
  readonly entries: readonly Entry[]
  readonly events: readonly ChainedEvent[]
  readonly tables: Record<string, Record<string, string>>
  readonly term: number
}

const FULL = { rounds: 5, flushes: 8 }

/** Text that no compression shrinks. */
function noise(random: () => number, length: number): string {
  const bytes = Buffer.alloc(Math.ceil((length * 3) / 4))
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = random() * 256
  return bytes.toString('base64').slice(0, length)
}

/** Writes the directory in several runs of the process, so that it has sorted tables and a log. */
export async function writePristine(path: string, seed: number, { rounds, flushes } = FULL): Promise<Written> {
  const random = seeded(seed)
  await formed(new LevelDisk(path)).then((disk) => disk.close())
  const entries: Entry[] = []
  const events: ChainedEvent[] = []
  const tables = [new PlainTable('alpha'), new PlainTable('beta')]
  for (let round = 1; round <= rounds; round += 1) {
    const own = tables.map((table) => new PlainTable(table.name))
    const { store, flush } = await openOn(new LevelDisk(path), own)
    store.stageHardState({ term: term(round), votedFor: 'n1' })
    for (let step = 0; step < flushes; step += 1) {
      const index = entries.length + 1
      const entry = entryOf(index, { term: round, commands: 4, salt: noise(random, 900) })
      store.stageEntries([entry])
      entries.push(entry)
      await flush()
      const fresh = Array.from({ length: 6 }, (_, at) =>
        eventOf(events.length + 1 + at, `lease/${(events.length + at) % 5}/${noise(random, 240)}`),
      )
      events.push(...store.stageEvents(fresh))
      for (const table of own) {
        for (let row = 0; row < 18; row += 1) table.set(`key-${Math.floor(random() * 600)}`, noise(random, 480))
        table.delete(`key-${Math.floor(random() * 600)}`)
      }
      if (step % 4 === 3 || step === flushes - 1) store.stageCheckpoint(logIndex(index), clusterMs(index * 10))
    }
    await flush()
    for (let tail = 0; tail < (round === rounds ? 3 : 0); tail += 1) {
      const entry = entryOf(entries.length + 1, { term: round, commands: 2, salt: noise(random, 300) })
      store.stageEntries([entry])
      entries.push(entry)
      await flush()
    }
    await store.close()
    for (const [at, table] of own.entries()) tables[at] = table
  }
  const content = Object.fromEntries(tables.map((table) => [table.name, table.content()]))
  return { entries, events, tables: content, term: rounds }
}

/** Forces LevelDB to move everything into sorted tables. */
export async function compact(path: string): Promise<void> {
  const level = new Level<Uint8Array, Uint8Array>(join(path, 'volume'), { keyEncoding: 'view', valueEncoding: 'view' })
  await level.open()
  const compacting = level as unknown as { compactRange(from: Uint8Array, to: Uint8Array): Promise<void> }
  await compacting.compactRange(Uint8Array.of(0), Uint8Array.of(255))
  await level.close()
}

export interface Judgement {
  /** What opening a directory came to: `exact`, `audit` (AUDIT_CORRUPT in a page), a refusal's code, `wrong` or `error`. */
  readonly verdict: string
  /** What was wrong. */
  readonly wrong: string | null
  /** What stands there afterwards. */
  readonly left: Written
}

/** Judges what opening a directory brings back. Where it is served, it is written to as well, as every start of a server does. */
export async function judge(path: string, written: Written): Promise<Judgement> {
  const refused = (verdict: string, wrong: string | null): Judgement => ({ verdict, wrong, left: written })
  const tables = Object.keys(written.tables).map((name) => new PlainTable(name))
  let opened: Awaited<ReturnType<typeof openOn>>
  try {
    opened = await openOn(new LevelDisk(path), tables)
  } catch (error) {
    if (error instanceof StorageRefusal) return refused(error.code, null)
    return refused('error', `not a refusal: ${error}`)
  }
  try {
    const found = await judgeOpened(opened.store, tables, written)
    return { ...found, left: found.wrong === null ? await writeOn(opened, written) : written }
  } catch (error) {
    return refused('error', `${error}`)
  } finally {
    await opened.store.close()
  }
}

type Verdict = Omit<Judgement, 'left'>

async function judgeOpened(store: Store, tables: readonly PlainTable[], written: Written): Promise<Verdict> {
  const content = Object.fromEntries(tables.map((table) => [table.name, table.content()]))
  if (!isDeepStrictEqual(content, written.tables)) return { verdict: 'wrong', wrong: 'other state' }
  const { hardState, lastIndex, firstIndex } = store.recovered
  if (hardState.term !== written.term) return { verdict: 'wrong', wrong: 'other term' }
  if (lastIndex !== written.entries.length) return { verdict: 'wrong', wrong: 'other end of the log' }
  if (!isDeepStrictEqual(await allEntries(store), written.entries.slice(firstIndex - 1))) {
    return { verdict: 'wrong', wrong: 'other entries' }
  }
  return judgeAudit(written, (query) => allEvents(store, query))
}

/** A new term, and its first entry. */
async function writeOn({ store, flush }: Awaited<ReturnType<typeof openOn>>, written: Written): Promise<Written> {
  const next = written.term + 1
  const entry = entryOf(written.entries.length + 1, { term: next })
  store.stageHardState({ term: term(next), votedFor: 'n1' })
  store.stageEntries([entry])
  await flush()
  return { ...written, term: next, entries: [...written.entries, entry] }
}

async function judgeAudit(
  written: Written,
  read: (query: { name?: string; prefix?: string }) => Promise<ChainedEvent[]>,
): Promise<Verdict> {
  const name = written.events[written.events.length >> 1]!.name
  let verdict = 'exact'
  for (const query of [{}, { prefix: 'lease/3/' }, { name }]) {
    const wanted = written.events.filter(
      (event) => (query.name ?? event.name) === event.name && event.name.startsWith(query.prefix ?? ''),
    )
    try {
      if (!isDeepStrictEqual(await read(query), wanted)) return { verdict: 'wrong', wrong: 'other events' }
    } catch (error) {
      if ((error as ProtocolError).code !== 'AUDIT_CORRUPT') throw error
      verdict = 'audit'
    }
  }
  return { verdict, wrong: null }
}
