/** What the replica needs of the machine: the log's only consumer, and the state that readers see. */
import type { ClusterMs, Configuration, LeaseView, QuotaView } from '@leasehold/protocol'
import type { Applied, Entry, MemberView, StoredTable, TabView } from '../machine/index.js'

export interface LeasePage {
  readonly leases: readonly LeaseView[]
  readonly next: string | null
}

export interface QuotaPage {
  readonly quotas: readonly QuotaView[]
  readonly next: string | null
}

export interface StateMachine {
  /** The tables hold the rows of the checkpoint: the replica calls this once, before it replays what follows. */
  loaded(): void
  apply(entry: Entry): Applied
  readonly tables: readonly Pick<StoredTable, 'changeCount' | 'storedChangeCount'>[]
  /** Null before any was configured. */
  readonly configuration: Configuration | null
  readonly members: readonly MemberView[]
  /** In use: nothing that is newer may be written. */
  readonly format: number
  readonly timeMs: ClusterMs
  /** Something ends by itself: time must move on. */
  readonly timed: boolean
  readonly leaseCount: number
  readonly waiterCount: number
  lease(name: string): LeaseView | null
  list(query: { prefix: string; after: string | null; limit: number }): LeasePage
  quota(name: string): QuotaView | null
  listQuotas(query: { prefix: string; after: string | null; limit: number }): QuotaPage
  tabsOf(member: string): readonly TabView[]
  lastDrawOf(member: string): number
}
