/**
 * What the clients of a world asked and heard, for the checker of histories: it knows nothing of logs and machines, only what came back
 * and when. All times are true ones.
 */
import {
  type Acquire,
  type ClientCommand,
  ERRORS,
  type GrantedFields,
  type LeaseView,
  OFFERED,
  OK,
  OP,
} from '@leasehold/protocol'
import { judge } from '../linearizability/check.js'
import { pairUp } from '../linearizability/history.js'
import { readLines } from '../linearizability/lines.js'
import { MODELS } from '../linearizability/models.js'
import { type Told, writeLines } from '../linearizability/writelines.js'
import type { Scheduler } from './scheduler.js'

/** One request, however often it was sent. */
interface Call {
  readonly command: ClientCommand
  readonly calledMs: number
  attempts: number
  /** When it first heard that it is queued. */
  queuedMs: number | null
  cancelledMs: number | null
  answer: { readonly atMs: number; readonly code: number; readonly fields: readonly unknown[] } | null
}

export class ClientHistory {
  readonly #scheduler: Scheduler
  readonly #calls: Call[] = []
  readonly #looks: Told[] = []
  /** Acquires by request token: one may be given up later. */
  readonly #byRequest = new Map<string, Call>()

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  called(command: ClientCommand): Call {
    const calledMs = this.#scheduler.nowMs
    const call: Call = { command, calledMs, attempts: 0, queuedMs: null, cancelledMs: null, answer: null }
    if (command.op === OP.acquire) this.#byRequest.set(requestOf(command.request!), call)
    if (command.op === OP.cancelWait) this.#byRequest.get(requestOf(command))!.cancelledMs ??= calledMs
    else this.#calls.push(call)
    return call
  }

  queued(call: Call): void {
    call.queuedMs ??= this.#scheduler.nowMs
  }

  answered(call: Call, code: number, fields: readonly unknown[]): void {
    call.answer = { atMs: this.#scheduler.nowMs, code, fields }
  }

  looked(key: string, calledMs: number, view: LeaseView | null): void {
    // What is delayed is nobody's.
    const value = view === null || view[5] === 'delayed' ? null : view[2]
    const end = { atMs: this.#scheduler.nowMs, type: 'ok', value } as const
    this.#looks.push({ f: 'get', key, input: null, calledMs, end })
  }

  /** As the checker reads it. */
  lines(): string {
    return writeLines([...this.#calls.flatMap(toldOf), ...this.#looks])
  }
}

const requestOf = ({ scope, key }: { scope: string; key: unknown }): string => `${scope} ${key}`

export interface Judged {
  /** Why no order of what clients saw is right; null where there is one, or where it could not be told within the bounds. */
  readonly unorderable: string | null
  /** Names of which clients saw anything, and those of them that got no verdict. */
  readonly names: number
  readonly untold: number
}

/** `stepsMax`: for each name. */
export function judged(lines: string, stepsMax: number): Judged {
  const { lines: read, faults } = readLines(new TextEncoder().encode(lines))
  const paired = pairUp(read, MODELS.lease!)
  const bad = [...faults, ...paired.faults].map(({ line, says }) => `line ${line}: ${says}`)
  const names = paired.history.byKey.size
  if (bad.length > 0) return { unorderable: bad.join('\n  '), names, untold: 0 }
  const { verdict, reasons, unknown } = judge(MODELS.lease!, paired.history, { stepsMax, over: () => false })
  return { unorderable: verdict === 'not linearizable' ? reasons.join('\n  ') : null, names, untold: unknown.length }
}

function toldOf(call: Call): Told[] {
  const { command, calledMs, answer } = call
  if (command.op === OP.acquire) return acquireOf(call, command)
  if (!('name' in command) || command.op === OP.quotaSet || command.op === OP.quotaDelete) return []
  const base = { key: command.name, calledMs }
  const ended = (value: unknown): Told['end'] => (answer === null ? null : { atMs: answer.atMs, type: 'ok', value })
  const known = answer !== null && (answer.code === OK || answer.code === ERRORS.LEASE_LOST.wire)
  const good = answer?.code === OK
  if (command.op === OP.revoke) {
    const none = answer?.code === ERRORS.LEASE_NOT_FOUND.wire
    const refused = answer?.code === ERRORS.LIMIT_REACHED.wire
    if (refused) return [{ ...base, f: 'revoke', input: null, end: { atMs: answer.atMs, type: 'fail' } }]
    const end = good || none ? ended(good ? answer.fields[0] : null) : null
    return [{ ...base, f: 'revoke', input: null, end }]
  }
  const { token } = command
  const end = known ? ended(good) : null
  if (command.op === OP.release) return [{ ...base, f: 'release', input: { token }, end }]
  if (command.op === OP.transfer) {
    const refused = answer?.code === ERRORS.NO_SUCH_WAITER.wire && call.attempts === 1
    const failed = refused ? { atMs: answer.atMs, type: 'fail' as const } : end
    return [{ ...base, f: 'transfer', input: { token, to: command.to }, end: failed }]
  }
  // How long it was renewed for, the answer tells; of one that was not answered nobody needs to know.
  const ttlMs = good ? (answer.fields as GrantedFields)[1] : 1
  return [{ ...base, f: 'renew', input: { token, ttlMs }, end }]
}

function acquireOf(call: Call, command: Acquire): Told[] {
  const { calledMs, queuedMs, cancelledMs, answer, attempts } = call
  const { name: key, holder, ttlMs, waitMs, priority, lockDelayMs } = command
  const value = gotOf(answer)
  // There was no room to remember the request, so it was not executed.
  const full = answer?.code === ERRORS.LIMIT_REACHED.wire
  const type = full ? 'fail' : 'ok'
  const end: Told['end'] = value === undefined && !full ? null : { atMs: answer!.atMs, type, value }
  const delay = lockDelayMs > 0 ? { lockDelayMs } : {}
  // What was given up may have been granted and given back at once, like an offer: so it counts as one that may wait.
  const mayLapse = end === null && cancelledMs !== null
  const input = { ttlMs, holder, ...delay, ...(waitMs > 0 || mayLapse ? { waitMs: Math.max(waitMs, 1) } : {}) }
  const token = typeof value === 'object' && value !== null ? value.token : value
  const back: Told[] =
    cancelledMs !== null && token != null
      ? [{ f: 'release', key, input: { token }, calledMs: cancelledMs, end: null }]
      : []
  // Only of one that was sent once it is certain that it kept its place.
  if (queuedMs === null || attempts > 1) return [{ f: 'acquire', key, input, calledMs, end }, ...back]
  const ticket = requestOf(command.request!)
  const queued = { atMs: queuedMs, type: 'ok', value: 'queued' } as const
  return [
    { f: 'acquire', key, input: { ...input, waitMs, priority, ticket }, calledMs, end: queued },
    { f: 'await', key, input: { ticket }, calledMs, end },
    ...back,
  ]
}

/** Undefined: nobody knows. */
function gotOf(answer: Call['answer']): number | { token: number; claimWithinMs: number } | null | undefined {
  if (answer?.code === ERRORS.LEASE_HELD.wire) return null
  if (answer?.code !== OK && answer?.code !== OFFERED) return undefined
  const token = Number(answer.fields[0])
  if (answer.code === OK) return token
  const claimWithinMs = Number(answer.fields[1])
  return claimWithinMs > 0 ? { token, claimWithinMs } : undefined
}
