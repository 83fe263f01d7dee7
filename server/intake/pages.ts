/**
 * Pages of history, as both fronts serve them. Must never begin at a place from which events are missing without
 * saying so.
 */
import {
  auditSeq,
  type ChainedEvent,
  decodeCursor,
  encodeCursor,
  type HistoryQuery,
  ProtocolError,
} from '@leasehold/protocol'
import type { Replica } from '../replica/index.js'
import type { EventQuery } from '../storage/index.js'
import type { Intake } from './intake.js'

/**
 * Null where a watch, or a page, may begin at this cursor at once. Where the cursor is ahead of what this member has applied,
 * since its reader comes from another one, resolves once everything is here that was committed by now.
 * Throws ProtocolError INVALID_ARGUMENT, CURSOR_COMPACTED; rejects with NO_QUORUM.
 */
export function caughtUp(replica: Replica, cursor: string | null): Promise<void> | null {
  if (cursor === null || decodeCursor(cursor, replica.status.clusterId) <= replica.audit.last) return null
  return replica.readBarrier()
}

/**
 * One page of the audit; `next` is the cursor where more follow. A page may be short, even empty, and yet have a next.
 * Throws ProtocolError INVALID_ARGUMENT, CURSOR_COMPACTED, AUDIT_CORRUPT, OVERLOADED, NO_QUORUM.
 */
export async function historyPage(
  intake: Intake,
  query: HistoryQuery,
): Promise<{ events: readonly ChainedEvent[]; next: string | null }> {
  const { replica } = intake
  const { clusterId } = replica.status
  await caughtUp(replica, query.cursor)
  const after = query.cursor === null ? Math.max(0, replica.audit.first - 1) : decodeCursor(query.cursor, clusterId)
  if (after + 1 < replica.audit.first)
    throw new ProtocolError('CURSOR_COMPACTED', 'cursor: events after it were trimmed; start over without a cursor')
  if (after > replica.audit.last)
    throw new ProtocolError('CURSOR_COMPACTED', 'cursor: it is ahead of this cluster; start over without a cursor')
  if (intake.historyReads >= intake.limits.historyReadsMax)
    throw new ProtocolError('OVERLOADED', 'too many pages of history are being read; nothing was executed')
  intake.historyReads++
  try {
    const page = await replica.readEvents(eventQuery(query, after))
    return { events: page.events, next: page.next === null ? null : encodeCursor(clusterId, page.next) }
  } finally {
    intake.historyReads--
  }
}

function eventQuery(query: HistoryQuery, after: number): EventQuery {
  return {
    after: auditSeq(after),
    limit: query.limit,
    ...(query.name !== null && { name: query.name }),
    ...(query.prefix !== null && { prefix: query.prefix }),
  }
}
