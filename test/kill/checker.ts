/**
 * Judges what a server that was killed again and again has told its clients: a pure function over the recorded history.
 * Unknown outcomes may have happened or not; whatever was acknowledged must have happened, and must never be undone.
 */
import { type ChainedEvent, LIMITS } from '@leasehold/protocol'
import { ChainCheck } from '@leasehold/server/cli'
import type { Asked, KillHistory, Look } from './history.js'

/** What the client's own clock makes of an answer: counted from before the attempt that was answered was sent. */
export function localEndMs(sentMs: number, remainingMs: number): number {
  return sentMs + Math.floor(remainingMs * (1 - LIMITS.driftMin)) - 2
}

/** One grant, as its holder knew it. */
interface Held {
  readonly token: number
  readonly name: string
  readonly holder: string
  /** The first moment at which its holder could believe in it. */
  sinceMs: number
  /** The last moment at which its holder might believe in it, by answers that came before a given time: see `believedAt`. */
  readonly proofs: { readonly answeredMs: number; readonly endMs: number }[]
  /** Its holder has asked to end it: from then on it does not count on it. */
  quitMs: number
  /** The server has said that it was ended as asked. */
  endedMs: number
}

/** Every violation, as a sentence that begins with its kind. Empty: nothing is wrong. */
export function judge(history: KillHistory): string[] {
  const held = gather(history.asked)
  return [
    ...chain(history.events),
    ...growth(history),
    ...acknowledged(history),
    ...earlyEnds(history.asked, held),
    ...twoHolders(held),
    ...looks(history.looks, held),
  ]
}

function gather(asked: readonly Asked[]): Map<number, Held> {
  const held = new Map<number, Held>()
  for (const one of asked) {
    if (one.outcome?.kind !== 'granted' || one.answeredMs === null) continue
    const { token, remainingMs } = one.outcome
    let grant = held.get(token)
    if (grant === undefined) {
      const never = Number.POSITIVE_INFINITY
      grant = { token, name: one.name, holder: one.holder, sinceMs: never, proofs: [], quitMs: never, endedMs: never }
      held.set(token, grant)
    }
    grant.sinceMs = Math.min(grant.sinceMs, one.answeredMs)
    grant.proofs.push({ answeredMs: one.answeredMs, endMs: localEndMs(one.sentMs, remainingMs) })
  }
  for (const one of asked) {
    const grant = one.token === null ? undefined : held.get(one.token)
    if (grant === undefined || (one.op !== 'release' && one.op !== 'transfer')) continue
    grant.quitMs = Math.min(grant.quitMs, one.firstSentMs)
    if (one.outcome?.kind === 'ended') grant.endedMs = Math.min(grant.endedMs, one.answeredMs ?? grant.endedMs)
  }
  return held
}

/** Until when the holder counts on its grant, by the answers that it had at this moment. */
function believedAt(grant: Held, ms: number): number {
  let endMs = Number.NEGATIVE_INFINITY
  for (const proof of grant.proofs) if (proof.answeredMs <= ms) endMs = Math.max(endMs, proof.endMs)
  return Math.min(endMs, grant.quitMs)
}

function chain(events: readonly ChainedEvent[]): string[] {
  const check = new ChainCheck()
  for (const event of events) {
    if (!check.add({ ...event, at: new Date(event.wallMs).toISOString() })) break
  }
  if (check.broken !== null) return [`chain: event ${check.broken.seq}: ${check.broken.why}`]
  if (events.length > 0 && events[0]!.seq !== 1) return [`chain: the audit begins at event ${events[0]!.seq}`]
  return []
}

/** Tokens only grow: in the audit, and in what clients were told one after the other. */
function growth({ asked, events }: KillHistory): string[] {
  const found: string[] = []
  const owners = new Map<number, string>()
  let highest = 0
  for (const { type, cause, token, name, holder, seq } of events) {
    const born = type === 'offered' || (type === 'granted' && cause !== 'claim')
    if (born && token <= highest) found.push(`growth: event ${seq} gives token ${token} after ${highest}`)
    if (born) highest = Math.max(highest, token)
    const owner = `${name} ${holder}`
    const before = owners.get(token) ?? owner
    if (before !== owner) found.push(`growth: token ${token} is of ${before} and of ${owner}`)
    owners.set(token, before)
  }
  const told = asked.flatMap((one) => {
    const { outcome, answeredMs, firstSentMs, op } = one
    if (op !== 'acquire' || answeredMs === null) return []
    if (outcome?.kind !== 'granted' && outcome?.kind !== 'offered') return []
    return [{ token: outcome.token, answeredMs, firstSentMs }]
  })
  const byAnswer = [...told].sort((a, b) => a.answeredMs - b.answeredMs)
  const bySending = [...told].sort((a, b) => a.firstSentMs - b.firstSentMs)
  let at = 0
  let answered = 0
  for (const one of bySending) {
    while (at < byAnswer.length && byAnswer[at]!.answeredMs < one.firstSentMs)
      answered = Math.max(answered, byAnswer[at++]!.token)
    if (one.token <= answered) found.push(`growth: token ${one.token} was asked for after ${answered} was told`)
  }
  return found
}

/** Whatever was acknowledged stands in the audit, and nothing after it takes it back. */
function acknowledged({ asked, events }: KillHistory): string[] {
  const found: string[] = []
  const byToken = new Map<number, ChainedEvent[]>()
  for (const event of events) byToken.set(event.token, [...(byToken.get(event.token) ?? []), event])
  for (const { op, name, holder, token, to, outcome } of asked) {
    if (outcome === null) continue
    if (outcome.kind === 'granted' || outcome.kind === 'offered') {
      const type = outcome.kind
      const own = byToken.get(outcome.token) ?? []
      if (!own.some((event) => event.type === type && event.name === name && event.holder === holder))
        found.push(`missing: ${name} was ${type} to ${holder} under ${outcome.token}, says the answer, not the audit`)
    }
    if (outcome.kind !== 'ended' || token === null) continue
    const wanted = op === 'release' ? 'released' : 'transferred'
    const last = byToken.get(token)?.at(-1)
    if (last?.type !== wanted || last.name !== name)
      found.push(`missing: ${name} under ${token} was ${wanted}, says the answer, the audit says ${last?.type}`)
    if (op !== 'transfer' || last === undefined) continue
    const next = events.find((event) => event.seq > last.seq && event.name === name)
    if (next?.type !== 'offered' || next.holder !== to)
      found.push(`missing: ${name} under ${token} was transferred, and not offered to ${to}`)
  }
  return found
}

/** A holder that is told of an end that it did not ask for, while its own clock says that it still has the lease. */
function earlyEnds(asked: readonly Asked[], held: ReadonlyMap<number, Held>): string[] {
  const found: string[] = []
  for (const { op, name, token, outcome, answeredMs, sentMs } of asked) {
    if (outcome?.kind !== 'lost' || answeredMs === null || token === null) continue
    const grant = held.get(token)
    if (grant === undefined || op === 'acquire') continue
    const endMs = believedAt({ ...grant, quitMs: op === 'renew' ? grant.quitMs : Number.POSITIVE_INFINITY }, sentMs)
    const asAsked = outcome.reason === 'released' || outcome.reason === 'transferred'
    if (!asAsked && answeredMs < endMs)
      found.push(`early: ${name} under ${token} was ${outcome.reason} ${Math.round(endMs - answeredMs)} ms too early`)
  }
  return found
}

/** Two clients that count on the same name at the same moment. */
function twoHolders(held: ReadonlyMap<number, Held>): string[] {
  const found: string[] = []
  const byName = new Map<string, Held[]>()
  for (const grant of held.values()) byName.set(grant.name, [...(byName.get(grant.name) ?? []), grant])
  for (const [name, grants] of byName) {
    grants.sort((a, b) => a.token - b.token)
    for (let i = 1; i < grants.length; i++) {
      const [before, next] = [grants[i - 1]!, grants[i]!]
      const overlapMs = believedAt(before, next.sinceMs) - next.sinceMs
      if (overlapMs > 0)
        found.push(`two holders: ${name} under ${before.token} and ${next.token} for ${Math.round(overlapMs)} ms`)
    }
  }
  return found
}

/** Reads of the state: a lease that its holder counts on is there, one that was ended as asked is not. */
function looks(all: readonly Look[], held: ReadonlyMap<number, Held>): string[] {
  const found: string[] = []
  const byName = new Map<string, Held[]>()
  for (const grant of held.values()) byName.set(grant.name, [...(byName.get(grant.name) ?? []), grant])
  for (const { name, token, sentMs, answeredMs } of all) {
    for (const grant of byName.get(name) ?? []) {
      const counted = grant.sinceMs < sentMs && answeredMs < believedAt(grant, sentMs)
      if (counted && token !== grant.token)
        found.push(`missing: ${name} is under ${token}, while ${grant.holder} counts on ${grant.token}`)
      if (token === grant.token && grant.endedMs < sentMs)
        found.push(`undone: ${name} is under ${token}, which was ended`)
    }
  }
  return found
}
