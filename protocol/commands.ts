/**
 * The commands that the log carries and the machine applies. In memory they are objects of fixed shape; on the wire
 * and in the log they are MessagePack arrays (see bodies.ts for the clients' part).
 */
import type { AuditSeq, ClusterMs, FencingToken, Run, WaiterId } from './brands.js'
import type { INTERNAL_OP, OP } from './ops.js'
import type { Configuration, MemberFields } from './peers.js'
import type { QuotaSpec } from './quota.js'

/**
 * Names one request, whatever the attempt.
 * Library: scope is `s:` and the session id in hex, key is the sequence number (1, 2, 3 ... below 2^53).
 * HTTP with Idempotency-Key: scope is `p:` and the principal, key is the header; lowest is 0.
 * HTTP without one, for a wait: scope is `m:` and a random hex of the member's process, key is the process's own sequence
 * number, lowest is that of the principal.
 */
export interface RequestToken {
  readonly scope: string
  readonly key: number | string
  /** Lowest sequence number that the session still waits for; all of its principal's records below it may go. */
  readonly lowest: number
  /** Cluster time that the client knew when it made its first attempt (HTTP: the member's applied time). */
  readonly knownMs: ClusterMs
}

interface Asked {
  /** On whose behalf: the client's name, else its address. Goes to the audit, and bounds the records. */
  readonly principal: string
}

export interface Acquire extends Asked {
  readonly op: typeof OP.acquire
  readonly name: string
  readonly holder: string
  readonly ttlMs: number
  /** 0: answer at once. */
  readonly waitMs: number
  /** Higher goes first; equal ones in order of arrival. */
  readonly priority: number
  readonly lockDelayMs: number
  /** Up to 1 KiB of UTF-8 that travels with the grant. */
  readonly meta: string | null
  readonly request: RequestToken | null
}

export interface Renew extends Asked {
  readonly op: typeof OP.renew
  readonly name: string
  readonly token: FencingToken
}

export interface Release extends Asked {
  readonly op: typeof OP.release
  readonly name: string
  readonly token: FencingToken
}

export interface Transfer extends Asked {
  readonly op: typeof OP.transfer
  readonly name: string
  readonly token: FencingToken
  /** Holder name of the waiter that shall have it. */
  readonly to: string
}

export interface Revoke extends Asked {
  readonly op: typeof OP.revoke
  readonly name: string
  readonly request: RequestToken | null
}

/** Gives up a queued acquire, and gives back a grant or an offer that raced it. Answers OK also when nothing was there. */
export interface CancelWait extends Asked {
  readonly op: typeof OP.cancelWait
  readonly scope: string
  readonly key: number | string
}

/** Makes a quota, or changes its specification as a whole. A change never adds tokens. */
export interface QuotaSet extends Asked {
  readonly op: typeof OP.quotaSet
  readonly name: string
  readonly spec: QuotaSpec
  readonly request: RequestToken | null
}

export interface QuotaDelete extends Asked {
  readonly op: typeof OP.quotaDelete
  readonly name: string
  readonly request: RequestToken | null
}

export type ClientCommand = Acquire | Renew | Release | Transfer | Revoke | CancelWait | QuotaSet | QuotaDelete

/** Moves time on; carries nothing. */
export interface Beat {
  readonly op: typeof INTERNAL_OP.beat
}
/** Goes on with a sweep that an earlier entry left unfinished. */
export interface Sweep {
  readonly op: typeof INTERNAL_OP.sweep
}
/**
 * A member's process has started: it gets the next run number, and waiters of that member's earlier runs count as lost.
 * The same nonce again is the same run: it may be asked for until the answer is seen.
 */
export interface AdmitRun extends MemberFields {
  readonly op: typeof INTERNAL_OP.admitRun
}
/** The connection of a waiter is gone: it is kept for a while for the same request to come back. */
export interface WaiterLost {
  readonly op: typeof INTERNAL_OP.waiterLost
  readonly waiter: WaiterId
}
/** The audit up to and including this event is forgotten by every member. */
export interface TrimAudit {
  readonly op: typeof INTERNAL_OP.trimAudit
  readonly through: AuditSeq
}
/** After a restore or an accepted loss: no token below this floor is ever granted again. */
export interface RaiseTokens {
  readonly op: typeof INTERNAL_OP.raiseTokens
  readonly floor: FencingToken
}

/** From here on this is the cluster: who votes, who learns, where each is reached. Replaces the one before as a whole. */
export interface Configure {
  readonly op: typeof INTERNAL_OP.configure
  readonly configuration: Configuration
}

/**
 * What became of the tokens that a member has drawn from a quota: cumulative since the tab was opened, so that a report may come
 * twice or be left out. `spent`: admitted somewhere. `returned`: nobody can spend them any more. What is in neither may still be spent.
 */
export interface TabReport {
  readonly quota: string
  /** The draw that opened the tab. */
  readonly tab: number
  readonly spent: number
  readonly returned: number
}

/** Tokens wanted, by one that counts so much where there is not enough for all. */
export type Claim = readonly [tokens: number, weight: number]

export interface Want {
  readonly quota: string
  readonly claims: readonly Claim[]
}

/** All that a member asks for, and reports, at one moment. */
export interface Draw {
  readonly member: string
  readonly run: Run
  /** 1, 2, 3 ... within the run: executed once, and never after a later one. */
  readonly seq: number
  readonly reports: readonly TabReport[]
  readonly wants: readonly Want[]
}

/** The draws of several members, to be judged together. */
export interface Allocate {
  readonly op: typeof INTERNAL_OP.allocate
  readonly draws: readonly Draw[]
}

export type InternalCommand = Beat | Sweep | AdmitRun | WaiterLost | TrimAudit | RaiseTokens | Configure | Allocate
export type Command = ClientCommand | InternalCommand

export type { Run }
