/**
 * Audit events: every change of a lease, and of a quota's specification, in the order of the log. The machine emits them without hash; storage chains
 * them (hash = SHA-256 over the previous hash and the event's canonical bytes, see eventBytes).
 */
import type { AuditSeq, ClusterMs, FencingToken, Term, WallMs } from './brands.js'
import type { LossReason } from './errors.js'

export type AuditType =
  | 'granted'
  | 'offered'
  | 'released'
  | 'expired'
  | 'revoked'
  | 'transferred'
  | 'quotaSet'
  | 'quotaDeleted'

/** What brought the change about. */
export type AuditCause =
  | 'acquire'
  | 'claim'
  | 'release'
  | 'transfer'
  | 'revoke'
  | 'queue'
  | 'ttl'
  | 'unclaimed'
  | 'gave-up'
  | 'quota'

export interface AuditEvent {
  readonly seq: AuditSeq
  readonly type: AuditType
  readonly name: string
  /** Empty for a quota. */
  readonly holder: string
  /** For a quota: the version of its specification. */
  readonly token: FencingToken
  /** For endings: what the holder of that token is told. Null for granted and offered. */
  readonly reason: LossReason | null
  readonly cause: AuditCause
  /** Who asked for the change; for what ended by itself, whose grant it was. */
  readonly principal: string
  readonly wallMs: WallMs
  readonly clusterMs: ClusterMs
  readonly member: string
  readonly term: Term
  /** Renewals of this grant so far. */
  readonly renewals: number
  /** After this change nobody has the name or an offer of it. */
  readonly vacant: boolean
}

/** An event as readers get it: with the chain's links, in lower-case hex. */
export interface ChainedEvent extends AuditEvent {
  readonly previousHash: string
  readonly hash: string
}
