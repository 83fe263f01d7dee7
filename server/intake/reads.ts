/**
 * Reads of one frame. Those of the present state stand behind one barrier that they share; time and history are
 * answered from what this member has applied. Must never let a failed read take the others down with it.
 */
import {
  chainedFields,
  ERRORS,
  type ErrorCode,
  type HistoryQuery,
  type ListQuery,
  OK,
  OP,
  type Op,
  ProtocolError,
  parseGet,
  parseHistory,
  parseList,
  parseTime,
  parseTop,
  type QuotaRow,
  type QuotaView,
  quotaFields,
  type TopQuery,
} from '@leasehold/protocol'
import type { Recipient } from '../replica/index.js'
import type { Intake } from './intake.js'
import { historyPage } from './pages.js'

export type Query =
  | { readonly op: typeof OP.get; readonly name: string }
  | { readonly op: typeof OP.list; readonly query: ListQuery }
  | { readonly op: typeof OP.history; readonly query: HistoryQuery }
  | { readonly op: typeof OP.time }
  | { readonly op: typeof OP.quotaGet; readonly name: string }
  | { readonly op: typeof OP.quotaList; readonly query: ListQuery }
  | { readonly op: typeof OP.quotaTop; readonly query: TopQuery }

export interface Read {
  readonly ticket: number
  readonly attempt: number
  readonly query: Query
}

/** Throws ProtocolError INVALID_ARGUMENT for a body, or an operation, that is none. */
export function parseQuery(op: Op, fields: readonly unknown[]): Query {
  switch (op) {
    case OP.get:
      return { op, name: parseGet(fields) }
    case OP.list:
      return { op, query: parseList(fields) }
    case OP.history:
      return { op, query: parseHistory(fields) }
    case OP.time:
      parseTime(fields)
      return { op }
    case OP.quotaGet:
      return { op, name: parseGet(fields) }
    case OP.quotaList:
      return { op, query: parseList(fields) }
    case OP.quotaTop:
      return { op, query: parseTop(fields) }
    default:
      throw new ProtocolError('INVALID_ARGUMENT', `op: ${op} is no operation of this version`)
  }
}

export async function serveReads(intake: Intake, reads: readonly Read[], to: Recipient): Promise<void> {
  let barrier: Fault | null = null
  if (reads.some((read) => ofState(read.query))) barrier = await faultOf(intake, intake.replica.readBarrier())
  const later: Promise<void>[] = []
  for (const read of reads) {
    if (ofState(read.query) && barrier !== null) refuse(to, read, barrier)
    else if (read.query.op === OP.history) later.push(serveHistory(intake, read, read.query.query, to))
    else serve(intake, read, to)
  }
  to.flush()
  if (later.length === 0) return
  await Promise.all(later)
  to.flush()
}

/** Leases and quotas as they are now: whoever reads them sees everything that was acknowledged before, by whichever member. */
const ofState = ({ op }: Query): boolean => OF_STATE.has(op)
const OF_STATE: ReadonlySet<Op> = new Set([OP.get, OP.list, OP.quotaGet, OP.quotaList])

function serve(intake: Intake, read: Read, to: Recipient): void {
  const { replica } = intake
  const { query } = read
  if (query.op === OP.time) to.reply(read.ticket, read.attempt, OK, [replica.status.clusterMs])
  else if (query.op === OP.get) {
    const lease = replica.getLease(query.name)
    if (lease !== null) to.reply(read.ticket, read.attempt, OK, [lease])
    else refuse(to, read, { code: 'LEASE_NOT_FOUND', detail: `nobody holds ${query.name}`, retryAfterMs: 0 })
  } else if (query.op === OP.list) {
    const page = replica.listLeases(query.query)
    to.reply(read.ticket, read.attempt, OK, [page.leases, page.next])
  } else serveQuotas(intake, read, to)
}

function serveQuotas(intake: Intake, read: Read, to: Recipient): void {
  const { query } = read
  const { replica } = intake
  if (query.op === OP.quotaGet) {
    const quota = replica.getQuota(query.name)
    if (quota !== null) to.reply(read.ticket, read.attempt, OK, [quotaRow(quota)])
    else refuse(to, read, { code: 'QUOTA_NOT_FOUND', detail: `there is no quota ${query.name}`, retryAfterMs: 0 })
  } else if (query.op === OP.quotaList) {
    const page = replica.listQuotas(query.query)
    to.reply(read.ticket, read.attempt, OK, [page.quotas.map(quotaRow), page.next])
  } else if (query.op === OP.quotaTop) serveTop(intake, read, query.query, to)
}

function serveTop(intake: Intake, read: Read, query: TopQuery, to: Recipient): void {
  try {
    const { keys, totalPerS } = intake.quotas.top(query)
    const rows = keys.map(({ key, ratePerS, errorPerS }) => [key, ratePerS, errorPerS])
    to.reply(read.ticket, read.attempt, OK, [rows, totalPerS])
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    refuse(to, read, { code: error.code, detail: error.message, retryAfterMs: 0 })
  }
}

function quotaRow({ name, version, available, outstanding, spec }: QuotaView): QuotaRow {
  return [name, version, available, outstanding, quotaFields(spec)]
}

async function serveHistory(intake: Intake, read: Read, query: HistoryQuery, to: Recipient): Promise<void> {
  const page = historyPage(intake, query)
  const fault = await faultOf(intake, page)
  if (fault !== null) {
    refuse(to, read, fault)
    return
  }
  const { events, next } = await page
  to.reply(read.ticket, read.attempt, OK, [events.map(chainedFields), next])
}

interface Fault {
  readonly code: ErrorCode
  readonly detail: string
  readonly retryAfterMs: number
}

/** Null once `work` is done; what to answer where it failed. A failure that is no answer is a defect, and is logged. */
async function faultOf(intake: Intake, work: Promise<unknown>): Promise<Fault | null> {
  try {
    await work
    return null
  } catch (error) {
    if (error instanceof ProtocolError) {
      const retryAfterMs = ERRORS[error.code].status === 503 ? intake.retryAfterMs() : 0
      return { code: error.code, detail: error.message, retryAfterMs }
    }
    intake.telemetry.log('error', 'read.failed', { error })
    return { code: 'INTERNAL', detail: 'the read failed', retryAfterMs: 0 }
  }
}

function refuse(to: Recipient, read: Read, fault: Fault): void {
  to.reply(read.ticket, read.attempt, ERRORS[fault.code].wire, [fault.detail, fault.retryAfterMs])
}
