/** What the tests of storage share: a table to store, made-up entries and events, and a model of what was written. */
import {
  type AuditEvent,
  auditSeq,
  clusterMs,
  fencingToken,
  INTERNAL_OP,
  logIndex,
  OP,
  run,
  term,
  wallMs,
} from '@leasehold/protocol'
import type { Entry, StoredTable } from '@leasehold/server/machine'
import type { Disk } from '@leasehold/server/ports'
import { formDirectory, openStore, type Store } from '@leasehold/server/storage'

export interface PlainRow {
  saved: number
  value: string
}

/** A table of texts. */
export class PlainTable implements StoredTable<PlainRow> {
  readonly name: string
  readonly #rows = new Map<string, PlainRow>()
  #changes = new Map<string, { row: PlainRow; removed: boolean }>()

  constructor(name: string) {
    this.name = name
  }
  get size(): number {
    return this.#rows.size
  }
  get changeCount(): number {
    return this.#changes.size
  }
  get storedChangeCount(): number {
    let count = 0
    for (const { row } of this.#changes.values()) if (row.saved !== 0) count += 1
    return count
  }
  set(key: string, value: string): void {
    const row = this.#rows.get(key) ?? { saved: this.#changes.get(key)?.row.saved ?? 0, value }
    row.value = value
    this.#rows.set(key, row)
    this.#changes.set(key, { row, removed: false })
  }
  delete(key: string): void {
    const row = this.#rows.get(key)
    if (!row) return
    this.#rows.delete(key)
    this.#changes.set(key, { row, removed: true })
  }
  takeChanges() {
    const changes = [...this.#changes].map(([key, change]) => ({ key, ...change }))
    this.#changes = new Map()
    return changes
  }
  encode(row: PlainRow): readonly unknown[] {
    return [row.value]
  }
  load(key: string, fields: readonly unknown[], saved: number): void {
    if (typeof fields[0] !== 'string') throw new Error('a text is expected')
    this.#rows.set(key, { value: fields[0], saved })
  }
  rows(): IterableIterator<readonly [string, PlainRow]> {
    return this.#rows.entries()
  }
  content(): Record<string, string> {
    const keys = [...this.#rows.keys()].sort()
    return Object.fromEntries(keys.map((key) => [key, this.#rows.get(key)!.value]))
  }
}

export const IDENTITY = { clusterId: 'cluster-1', memberId: 'n1', directoryId: 'directory-1' }

/** An entry with commands whose content follows from `salt`. */
export function entryOf(index: number, options: { term?: number; commands?: number; salt?: string } = {}): Entry {
  const { salt = '', commands = 1 } = options
  return {
    term: term(options.term ?? 1),
    index: logIndex(index),
    timeMs: clusterMs(index * 10),
    wallMs: wallMs(1_700_000_000_000 + index),
    member: 'n1',
    run: run(index % 3),
    batch: index % 5,
    commands: Array.from({ length: commands }, (_, at) =>
      at === 0 && salt === ''
        ? { op: INTERNAL_OP.beat }
        : { op: OP.renew, principal: 'p', name: `lease-${salt}-${at}`, token: fencingToken(index + at) },
    ),
  }
}

export function eventOf(seq: number, name = `lease/${seq % 7}`): AuditEvent {
  return {
    seq: auditSeq(seq),
    type: 'granted',
    name,
    holder: `holder-${seq}`,
    token: fencingToken(seq),
    reason: null,
    cause: 'acquire',
    principal: 'p',
    wallMs: wallMs(1_700_000_000_000 + seq),
    clusterMs: clusterMs(seq * 10),
    member: 'n1',
    term: term(1),
    renewals: 0,
    vacant: false,
  }
}

/** Opens a formed disk; a failed write rejects what waits for it. */
export async function openOn(disk: Disk, tables: readonly StoredTable[] = []) {
  const failures: Error[] = []
  let failed: (error: Error) => void = () => {}
  const store = await openStore(disk, {
    tables,
    memberId: IDENTITY.memberId,
    fatal: (error) => {
      failures.push(error)
      failed(error)
    },
  })
  const flush = (): Promise<void> =>
    new Promise((resolve, reject) => {
      failed = reject
      store.flush(resolve)
    })
  return { store, flush, failures }
}

export async function formed<T extends Disk>(disk: T): Promise<T> {
  await formDirectory(disk, IDENTITY)
  return disk
}

export async function allEntries(store: Store): Promise<Entry[]> {
  const entries: Entry[] = []
  const { firstIndex, lastIndex } = store.recovered
  for await (const chunk of store.entries(firstIndex, lastIndex)) entries.push(...chunk)
  return entries
}

/** All events that a query finds, page by page. */
export async function allEvents(store: Store, query: { name?: string; prefix?: string } = {}, limit = 100) {
  const events = []
  for (let after: number | null = 0; after !== null; ) {
    const page = await store.readEvents({ after: auditSeq(after), limit, ...query })
    events.push(...page.events)
    after = page.next
  }
  return events
}
