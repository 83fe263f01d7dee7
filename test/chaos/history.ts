/**
 * What a chaos run's clients recorded, and the same as histories for the checker of linearizability. All times are of
 * one clock: that of the process in which all clients live.
 */
import { LIMITS } from '@leasehold/protocol'
import type { Asked, Look } from '../kill/history.js'
import { type Told, writeLines } from '../linearizability/writelines.js'

export interface ChaosLook extends Look {
  readonly holder: string | null
}

export interface ChaosHistory {
  readonly asked: readonly Asked[]
  readonly looks: readonly ChaosLook[]
}

/** Names by what they are judged by; see lives.ts. */
export const PREFIX = { lease: 'chaos/lease/', register: 'chaos/register/', rival: 'chaos/rival/' } as const
/** How long rivals wait for their name. */
export const RIVAL_WAIT_MS = 2_000
/** Longer than any run. */
export const REGISTER_TTL_MS = 3_600_000

/** The lines of the history of one model. */
export function linesOf(model: 'lease' | 'register', history: ChaosHistory, ttlMsOf: (asked: Asked) => number): string {
  // What rivals do is judged as leases, too: waits and transfers.
  const prefixes = model === 'lease' ? [PREFIX.lease, PREFIX.rival] : [PREFIX.register]
  const isOf = (name: string): boolean => prefixes.some((prefix) => name.startsWith(prefix))
  const operations: Told[] = []
  for (const one of history.asked) {
    if (!isOf(one.name)) continue
    operations.push(model === 'lease' ? leaseOperation(one, ttlMsOf(one)) : registerOperation(one))
  }
  for (const { name, token, holder, sentMs, answeredMs } of history.looks) {
    if (!isOf(name)) continue
    const value = model === 'lease' ? token : holder
    const f = model === 'lease' ? 'get' : 'read'
    operations.push({ f, key: name, input: null, calledMs: sentMs, end: { atMs: answeredMs, type: 'ok', value } })
  }
  return writeLines(operations)
}

const endOf = (one: Asked, value: unknown): Told['end'] =>
  one.answeredMs === null ? null : { atMs: one.answeredMs, type: 'ok', value }
/** Refused for another reason than the lease: nothing was done. */
const failed = (one: Asked): Told['end'] => (one.answeredMs === null ? null : { atMs: one.answeredMs, type: 'fail' })

function leaseOperation(one: Asked, ttlMs: number): Told {
  const { op, name: key, token, firstSentMs: calledMs, outcome } = one
  const waits = key.startsWith(PREFIX.rival)
  const wish = { ttlMs, ...(waits ? { waitMs: RIVAL_WAIT_MS, holder: one.holder } : {}) }
  const input = { acquire: wish, renew: { token, ttlMs }, release: { token }, transfer: { token, to: one.to } }[op]
  const base = { f: op, key, input, calledMs }
  if (outcome === null) return { ...base, end: null }
  if (op === 'acquire') {
    if (outcome.kind === 'granted') return { ...base, end: endOf(one, outcome.token) }
    if (outcome.kind === 'offered') {
      const claimWithinMs = Math.min(LIMITS.claimWithinMs, ttlMs)
      return { ...base, end: endOf(one, { token: outcome.token, claimWithinMs }) }
    }
    if (outcome.kind === 'refused')
      return { ...base, end: outcome.code === 'LEASE_HELD' ? endOf(one, null) : failed(one) }
    // It was granted once, and has ended since: when, nobody says.
    return { ...base, end: null }
  }
  if (outcome.kind === 'refused') return { ...base, end: failed(one) }
  return { ...base, end: endOf(one, outcome.kind !== 'lost') }
}

/** To take a free name is to change it from null to its holder, to release it is the way back. */
function registerOperation(one: Asked): Told {
  const { op, name: key, holder, firstSentMs: calledMs, outcome } = one
  const base = { f: 'cas', key, input: op === 'acquire' ? [null, holder] : [holder, null], calledMs }
  if (outcome === null) return { ...base, end: null }
  if (outcome.kind === 'granted' || outcome.kind === 'ended') return { ...base, end: endOf(one, true) }
  if (outcome.kind === 'refused')
    return { ...base, end: outcome.code === 'LEASE_HELD' ? endOf(one, false) : failed(one) }
  return { ...base, end: op === 'acquire' ? null : endOf(one, false) }
}
