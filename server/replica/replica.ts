/**
 * The seam of replica/: what the rooms above see. Commands go in one by one and leave as batches; replies come back in
 * batches, each flushed once per recipient.
 */
import type {
  AuditSeq,
  ChainedEvent,
  ClientCommand,
  ClusterMs,
  Configuration,
  FencingToken,
  LeaseView,
  PeerId,
  QuotaView,
  Run,
  TabReport,
  Want,
} from '@leasehold/protocol'
import type { Drawn, MemberView, TabView } from '../machine/index.js'
import type { EventPage, EventQuery } from '../storage/index.js'
import type { ToldListener } from './draws.js'
import type { LogStatus } from './log.js'
import type { MembershipChange } from './membership.js'

/** Somebody who is owed replies: a session, an HTTP request. */
export interface Recipient {
  /** The answer to one command. QUEUED is followed by another one for the same id and attempt. A refusal may come from within submit. */
  reply(id: number, attempt: number, code: number, fields: readonly unknown[]): void
  /** All replies of this batch have been handed over: send them. */
  flush(): void
}

export interface MemberStatus extends LogStatus {
  readonly clusterId: string
  readonly memberId: string
  /** This member and its directory. */
  readonly self: PeerId
  readonly appliedIndex: number
  /** How far the other members were when they told last, about once a second. */
  readonly standings: ReadonlyMap<PeerId, number>
  readonly clusterMs: ClusterMs
  /** In use: what a newer one brings is not written yet. */
  readonly format: number
  readonly leases: number
  readonly waiters: number
}

export interface Subscriber {
  /** Events in order, after they are committed, in batches. Throw to be dropped (say, because you lag). */
  events(events: readonly ChainedEvent[]): void
  /** It threw, and gets no more events. */
  dropped?(error: Error): void
}

export interface Replica {
  readonly status: MemberStatus
  /** Serves; false while starting, draining, or without a leader. */
  readonly ready: boolean
  /** Queues a command for the next batch. `deadlineMs` is on the monotonic clock: past it when the batch closes, it is refused (OVERLOADED, nothing executed). */
  submit(command: ClientCommand, to: Recipient, id: number, attempt: number, deadlineMs: number): void
  /** The recipient is gone: nothing is sent to it any more, its waiters count as lost (kept a while for the same request). */
  detach(to: Recipient): void
  /** Commands accepted and not yet answered (waiting ones excluded). */
  readonly inFlight: number
  /** The members as the state knows them: who was admitted, and where each is reached. */
  readonly members: readonly MemberView[]
  /** Null before any. */
  readonly configuration: Configuration | null
  /**
   * Of a leader: resolves once the change is done and applied here. Rejects with ProtocolError: NO_QUORUM (this member does not
   * lead), MEMBER_NOT_FOUND, MEMBERSHIP_CONFLICT (nothing was changed), OUTCOME_UNKNOWN, SHUTTING_DOWN.
   */
  changeMembers(change: MembershipChange): Promise<void>
  /** Of a leader: hands leadership to this member; false where that cannot be now. */
  transferLeadership(member: string): boolean
  /** Resolves once a read of the state sees everything acknowledged before the call. */
  readBarrier(): Promise<void>
  getLease(name: string): LeaseView | null
  listLeases(query: { prefix: string; after: string | null; limit: number }): {
    leases: readonly LeaseView[]
    next: string | null
  }
  /** In use, as of what was applied here. Of `status`, but cheap to ask for. */
  readonly format: number
  /** As of what was applied here: behind no barrier. */
  getQuota(name: string): QuotaView | null
  listQuotas(query: { prefix: string; after: string | null; limit: number }): {
    quotas: readonly QuotaView[]
    next: string | null
  }
  /** Of this process; null before it was admitted. */
  readonly run: Run | null
  /** Null where nobody is known to lead. */
  readonly leaderPeer: PeerId | null
  /** Of `status`, but cheap to ask for: this member leads, as far as it knows. */
  readonly leads: boolean
  /** What this process has drawn and not yet reported, as of what was applied here. */
  readonly tabs: readonly TabView[]
  /** The last draw of this process that was executed, as of what was applied here. */
  readonly lastDraw: number
  /**
   * Asks whoever leads for tokens, and reports what became of earlier ones. Sent again until it is executed, once; `onDrawn` tells. One at a
   * time: throws where the last one is still under way, or this process was not admitted yet. Returns its seq.
   */
  draw(reports: readonly TabReport[], wants: readonly Want[]): number
  /** One is under way. */
  readonly drawing: boolean
  /** Of this member's draws alone. Null: a snapshot took the state's place; what was drawn, `tabs` and `lastDraw` tell. */
  onDrawn(listener: (drawn: Drawn | null) => void): () => void
  /** Says something to the quotas of another member; at most 128 KiB. False, with nothing sent, where there is no link or no room. */
  tell(peer: PeerId, message: Uint8Array): boolean
  /** What a member says that has not heard of this one's term is not passed on. */
  onTold(listener: ToldListener): () => void
  readEvents(query: EventQuery): Promise<EventPage>
  readonly audit: { readonly first: AuditSeq; readonly last: AuditSeq }
  /** Live events from now on. Returns how to stop. */
  subscribe(subscriber: Subscriber): () => void
  /** Holders whose grant was ended by somebody else: told at once. */
  onRevoked(listener: (principal: string, name: string, token: FencingToken, reason: string) => void): () => void
  /** Refuses new commands (SHUTTING_DOWN), finishes what it accepted, writes everything down, closes. Safe to call twice. */
  close(): Promise<void>
}
