/** Members with something to hand over, and what came of it at those that received it. */
import { isDeepStrictEqual } from 'node:util'
import { type AuditEvent, clusterMs, logIndex, term } from '@leasehold/protocol'
import type { Disk } from '@leasehold/server/ports'
import { formDirectory, openStore, type Store } from '@leasehold/server/storage'
import { allEntries, allEvents, entryOf, eventOf, PlainTable } from './support.js'

/** One member of the cluster: its store, its rows, and how to flush. */
export class Peer {
  readonly disk: Disk
  readonly memberId: string
  store!: Store
  table = new PlainTable('rows')
  readonly failures: Error[] = []

  constructor(disk: Disk, memberId: string) {
    this.disk = disk
    this.memberId = memberId
  }

  static async formed(disk: Disk, memberId: string, clusterId = 'cluster-1'): Promise<Peer> {
    await formDirectory(disk, { clusterId, memberId, directoryId: `directory-${memberId}` })
    const peer = new Peer(disk, memberId)
    await peer.open()
    return peer
  }

  async open(): Promise<void> {
    this.table = new PlainTable('rows')
    const fatal = (error: Error): void => void this.failures.push(error)
    this.store = await openStore(this.disk, { tables: [this.table], memberId: this.memberId, fatal })
  }

  flush(): Promise<void> {
    return new Promise((resolve) => this.store.flush(resolve))
  }

  /** Entries `from` to `to`, each with two events and a row, as every member applies them. */
  async live(from: number, to: number, of: number, checkpoint: boolean): Promise<void> {
    for (let index = from; index <= to; index += 1) {
      this.store.stageEntries([entryOf(index, { term: of, salt: `${index}` })])
      this.table.set(`row-${index % 40}`, `${of}.${index}`)
      if (index % 7 === 0) this.table.delete(`row-${(index * 3) % 40}`)
      this.store.stageEvents(eventsOf(index))
      if (index % 10 === 0) await this.flush()
    }
    if (checkpoint) this.store.stageCheckpoint(logIndex(to), clusterMs(to * 10))
    await this.flush()
  }

  async vote(of: number, votedFor: string): Promise<void> {
    this.store.stageHardState({ term: term(of), votedFor })
    await this.flush()
  }

  /** What a reader sees of it. */
  async seen() {
    const { recovered, audit } = this.store
    const { hardState, checkpointIndex, firstIndex, lastIndex, lastTimeMs, terms, identity } = recovered
    return {
      rows: this.table.content(),
      events: await allEvents(this.store, {}, 50),
      named: await allEvents(this.store, { name: 'lease/3' }, 5),
      entries: await allEntries(this.store),
      audit: { first: audit.first, last: audit.last },
      recovered: { hardState, checkpointIndex, firstIndex, lastIndex, lastTimeMs, terms, identity },
    }
  }
}

export function eventsOf(index: number): AuditEvent[] {
  return [eventOf(index * 2 - 1), eventOf(index * 2)]
}

/**
 * One with a snapshot to hand over: its state is as of entry 60, its audit begins at event 21, and goes on to event 160 within the very
 * segment in which the state ends; its log is at entry 80.
 */
export async function source(disk: Disk, clusterId?: string): Promise<Peer> {
  const peer = await Peer.formed(disk, 'n1', clusterId)
  await peer.vote(2, 'n1')
  await peer.live(1, 55, 2, false)
  for (let index = 56; index <= 65; index += 1) {
    peer.store.stageEntries([entryOf(index, { term: 2, salt: `${index}` })])
    peer.store.stageEvents(eventsOf(index))
    if (index !== 60) continue
    peer.table.set('at-sixty', 'as of entry 60')
    peer.store.stageCheckpoint(logIndex(60), clusterMs(600))
  }
  await peer.flush()
  peer.store.stageTrimAudit(20 as never)
  await peer.live(66, 80, 2, false)
  return peer
}

/** One that lags: state, log and audit of its own, as of entry 10. */
export async function lagging(disk: Disk): Promise<Peer> {
  const peer = await Peer.formed(disk, 'n2')
  await peer.vote(1, 'n2')
  await peer.live(1, 10, 1, true)
  await peer.vote(3, 'n1')
  return peer
}

export async function chunksOf(store: Store): Promise<Uint8Array[]> {
  const snapshot = await store.snapshot()
  const chunks: Uint8Array[] = []
  for await (const chunk of snapshot.chunks()) chunks.push(Uint8Array.from(chunk))
  return chunks
}

export async function received(peer: Peer, chunks: readonly Uint8Array[]): Promise<void> {
  const incoming = peer.store.receiveSnapshot()
  for (const chunk of chunks) await incoming.add(chunk)
  const table = new PlainTable('rows')
  await incoming.install([table])
  peer.table = table
}

export const same = isDeepStrictEqual
