/** Events of the audit as the HTTP interface shows them, back to what the hash chain covers, and on to a line for people. */
import {
  type AuditCause,
  type AuditType,
  auditSeq,
  type ChainedEvent,
  clusterMs,
  fencingToken,
  type LossReason,
  term,
  wallMs,
} from '@leasehold/protocol'

/** One element of `events` in a page of the history, and the data of one message of a watch. */
export interface EventBody {
  readonly seq: number
  readonly type: AuditType
  readonly name: string
  readonly holder: string
  readonly token: number
  readonly reason: LossReason | null
  readonly cause: AuditCause
  readonly principal: string
  readonly at: string
  readonly clusterMs: number
  readonly member: string
  readonly term: number
  readonly renewals: number
  readonly vacant: boolean
  readonly previousHash: string
  readonly hash: string
}

export interface HistoryBody {
  readonly events: readonly EventBody[]
  readonly next: string | null
}

export function chainedEvent(body: EventBody): ChainedEvent {
  return {
    seq: auditSeq(body.seq),
    type: body.type,
    name: body.name,
    holder: body.holder,
    token: fencingToken(body.token),
    reason: body.reason,
    cause: body.cause,
    principal: body.principal,
    wallMs: wallMs(Date.parse(body.at)),
    clusterMs: clusterMs(body.clusterMs),
    member: body.member,
    term: term(body.term),
    renewals: body.renewals,
    vacant: body.vacant,
    previousHash: body.previousHash,
    hash: body.hash,
  }
}

/** `when  type  name  holder  token  why`. A quota has no holder; its version is `v3`, and why it changed is who did it. */
export function eventCells(event: EventBody): string[] {
  if (event.type === 'quotaSet' || event.type === 'quotaDeleted')
    return [event.at, event.type, event.name, '-', `v${event.token}`, `by ${event.principal}`]
  return [event.at, event.type, event.name, event.holder, String(event.token), event.reason ?? event.cause]
}

export function eventLine(event: EventBody): string {
  const [at = '', type = '', ...others] = eventCells(event)
  return `${at}  ${type.padEnd(11)}  ${others.join('  ')}\n`
}
