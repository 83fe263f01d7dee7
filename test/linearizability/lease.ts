/**
 * A lease, as its clients see it: grants under fencing tokens that only grow, a queue of those who wait, transfers to one of them by
 * name, ends by a release, by an operator, or by time. A lease may end by itself, at the earliest when its time is over; it need
 * not (time stands still while nobody leads). Without times in the history it may end whenever. A request that was sent several
 * times is one operation of the history.
 *
 * What cannot be known is left open, never guessed: whoever waits may have left the queue at any moment. But who was passed over has
 * left it: a grant to it later is wrong.
 */
import { type Holding, type LeaseAct, read, UNTOLD } from './leaseacts.js'
import type { Model, Moment } from './model.js'

/** Rates of the service's clock and of the recording one may both be off by half a percent, to either side of each other. */
const RATE = 0.99
/** Stamps are whole milliseconds. */
const ROUNDING_MS = 2

/** One that waits, under a ticket of the history's own. */
interface Waiter extends Holding {
  readonly ticket: string
  readonly priority: number
}

interface LeaseState {
  /** Of the live grant: FREE, UNKNOWN (somebody's who never heard of it) or the token. */
  readonly token: number
  /** No token at or below this one is given any more; an unknown one counts as the lowest that it can be. */
  readonly highest: number
  /** Before this moment the live grant cannot have ended by itself; where it is free, nobody can be granted before it. */
  readonly endsFromMs: number
  /** What follows an unclean end: nobody may have it for so long. Of the live grant, or of the last one where that ended so. */
  readonly delayMs: number
  /** The live one was certainly claimed: else the delay may be none. */
  readonly claimed: boolean
  /** To whom it was transferred and who has not been heard of since; null where that is over. */
  readonly offeredTo: string | null
  /** What was last given away on purpose: to do it again says yes again. `5`, or `5>name`. */
  readonly last: string
  /** Who waits, as far as known, in order; some of them may be gone. */
  readonly queue: readonly Waiter[]
}
const FREE = 0
const UNKNOWN = -1

const added = ({ fromMs }: Moment, ms: number): number => fromMs + ms * RATE - ROUNDING_MS

/** Whether nobody has it, or nobody need have it at this moment. */
const mayBeFree = (state: LeaseState, { untilMs }: Moment): boolean =>
  state.token === FREE || state.endsFromMs <= untilMs

/** Whether somebody may be granted it. */
function mayBeGranted(state: LeaseState, { untilMs }: Moment): boolean {
  if (state.token === FREE) return state.endsFromMs <= untilMs
  return state.endsFromMs + (state.claimed ? state.delayMs * RATE : 0) <= untilMs
}

const given = (state: LeaseState, last: string): LeaseState => ({
  ...state,
  token: FREE,
  endsFromMs: Number.NEGATIVE_INFINITY,
  delayMs: 0,
  claimed: false,
  offeredTo: null,
  last,
})

/** It has ended at this moment, but not because its holder wanted it to. */
const ended = (state: LeaseState, endMs: number): LeaseState => ({
  ...given(state, state.last),
  endsFromMs: state.delayMs > 0 && state.claimed ? endMs + state.delayMs * RATE : Number.NEGATIVE_INFINITY,
  delayMs: state.delayMs,
})

const expired = (state: LeaseState): LeaseState => (state.token === FREE ? state : ended(state, state.endsFromMs))

/** The state in which this token is the live one; null where it cannot be. */
function bound(state: LeaseState, token: number): LeaseState | null {
  if (state.token === token) return state
  if (state.token !== UNKNOWN || token < state.highest) return null
  return { ...state, token, highest: token }
}

/** A new grant; none where its token is not a new one. `lastsMs`: it cannot end by itself before that. */
function granted(state: LeaseState, act: LeaseAct, to: Holding, lastsMs: number, moment: Moment): LeaseState[] {
  const token = act.output
  const highest = token ?? state.highest + 1
  if (highest <= state.highest) return []
  const { delayMs } = to
  const claimed = token !== null && !act.offered
  const endsFromMs = added(moment, lastsMs)
  const { last, queue } = state
  return [{ token: token ?? UNKNOWN, highest, endsFromMs, delayMs, claimed, offeredTo: null, last, queue }]
}

/** The offer that a transfer has made reaches the one who waits under that name; null where there is none for it. */
function accepted(state: LeaseState, { output, forMs }: LeaseAct, by: Holding): LeaseState | null {
  const isFor = state.offeredTo !== null && (by.holder === null || state.offeredTo === by.holder)
  const live = isFor && output !== null && output > FREE ? bound(state, output) : null
  // It was made when the transfer was, at the earliest.
  return live && { ...live, endsFromMs: live.endsFromMs + forMs * RATE, delayMs: by.delayMs, offeredTo: null }
}

function acquire(state: LeaseState, act: LeaseAct, moment: Moment): LeaseState[] {
  const { output, forMs, waits } = act
  // Those who wait are told that it is held when their time is over; so is everybody during a delay.
  if (output === FREE) return state.token === FREE && state.delayMs === 0 ? [] : [state]
  const states: LeaseState[] = []
  if (output === UNTOLD || (output === null && act.ticket !== null)) {
    if (state.token !== FREE || state.delayMs > 0) states.push(enqueued(state, act))
    if (output === UNTOLD) return states
  }
  const offer = waits ? accepted(state, act, act) : null
  if (offer !== null) return [offer]
  if (!mayBeGranted(state, moment)) return states
  // Of one that never heard of it, nobody knows when it lapses where it may have been an offer.
  const lastsMs = output === null && waits ? 0 : forMs
  // Who has not waited is granted nothing while anybody does.
  const known = waits && act.ticket === null ? state : { ...state, queue: [] }
  return [...states, ...granted(known, act, act, lastsMs, moment)]
}

function enqueued(state: LeaseState, { ticket, priority, holder, ttlMs, delayMs }: LeaseAct): LeaseState {
  const waiter: Waiter = { ticket: ticket!, priority, holder, ttlMs, delayMs }
  const behind = state.queue.findIndex((other) => other.priority < priority)
  const at = behind === -1 ? state.queue.length : behind
  return { ...state, queue: state.queue.toSpliced(at, 0, waiter) }
}

/** One that waits has its answer. */
function awaited(state: LeaseState, act: LeaseAct, moment: Moment): LeaseState[] {
  const { output, ticket } = act
  if (output === FREE) return state.token === FREE && state.delayMs === 0 ? [] : [state]
  const place = state.queue.findIndex((waiter) => waiter.ticket === ticket)
  const waiter = state.queue[place]
  if (waiter === undefined) return []
  const offer = accepted(state, act, waiter)
  if (offer !== null) return [{ ...offer, queue: offer.queue.toSpliced(place, 1) }]
  if (!mayBeGranted(state, moment)) return []
  const lastsMs = output === null ? 0 : act.forMs || waiter.ttlMs
  // Whoever stood before it has left.
  return granted({ ...state, queue: state.queue.slice(place + 1) }, act, waiter, lastsMs, moment)
}

/** The holder gives it away: back, or to one that waits. */
function give(state: LeaseState, { f, token, to, output }: LeaseAct, moment: Moment): LeaseState[] {
  const last = f === 'release' ? `${token}` : `${token}>${to}`
  const live = bound(state, token)
  if (live === null) return output !== null && state.last === last ? [state] : []
  const free = given(live, last)
  if (f === 'release') return [free]
  // What the other one is offered may end at any time: it is not known yet for how long it stands.
  return [{ ...free, token: UNKNOWN, highest: live.highest + 1, endsFromMs: moment.fromMs, offeredTo: to }]
}

function revoke(state: LeaseState, { output }: LeaseAct, moment: Moment): LeaseState[] {
  if (output === FREE) return mayBeFree(state, moment) ? [expired(state)] : []
  const live = output === null ? (state.token === FREE ? null : state) : bound(state, output)
  return live === null ? [] : [ended(live, added(moment, 0))]
}

/** By token: whether it is still the live one. */
function looked(state: LeaseState, act: LeaseAct, moment: Moment): LeaseState[] {
  if (act.output === null) return [state]
  const shown = act.f === 'get' ? act.output : act.token
  if (act.output === FREE) {
    // A lease that is another's answers no to this token; one that is this token's must have ended.
    const another = act.f !== 'get' && state.token !== FREE && state.token !== shown
    if (another) return [state]
    return mayBeFree(state, moment) ? [expired(state)] : []
  }
  const live = bound(state, shown)
  if (live === null) return []
  if (act.f === 'get') return [live]
  const endsFromMs = Math.max(live.endsFromMs, added(moment, act.ttlMs))
  return [{ ...live, endsFromMs, claimed: true, offeredTo: null }]
}

function step(state: LeaseState, act: LeaseAct, moment: Moment): readonly LeaseState[] {
  if (act.f === 'acquire') return acquire(state, act, moment)
  if (act.f === 'await') return awaited(state, act, moment)
  if (act.f === 'revoke') return revoke(state, act, moment)
  const gives = (act.f === 'release' || act.f === 'transfer') && act.output !== FREE
  return gives ? give(state, act, moment) : looked(state, act, moment)
}

function asked({ f, ttlMs, token, to, ticket, waits }: LeaseAct): string {
  if (f === 'acquire') return `acquires for ${ttlMs} ms${waits ? ', waiting if need be' : ''}`
  if (f === 'await') return `waits under ticket ${ticket}`
  if (f === 'get') return 'looks'
  if (f === 'revoke') return 'revokes it'
  return `${f}s token ${token}${to === null ? '' : ` to ${to}`}`
}

function describe(act: LeaseAct): string {
  const { f, output } = act
  if (output === null) return `${asked(act)}, with unknown outcome`
  if (output === UNTOLD) return `${asked(act)} and is queued under ticket ${act.ticket}`
  if (f === 'acquire' || f === 'await')
    return `${asked(act)} and ${output === FREE ? 'hears that it is held' : `gets token ${output}`}`
  if (f === 'get') return output === FREE ? 'finds it free' : `finds it held under token ${output}`
  if (f === 'revoke') return `${asked(act)} ${output === FREE ? 'and finds it free' : `from token ${output}`}`
  return output === 1 ? asked(act) : `${asked(act)} and hears that it is lost`
}

function describeState({ token, highest, offeredTo, queue }: LeaseState): string {
  const waiting = queue.length === 0 ? '' : `, with ${queue.map(({ ticket }) => ticket).join(', ')} in its queue`
  if (token === FREE) return `${highest === 0 ? 'free' : `free after token ${highest}`}${waiting}`
  const whose = offeredTo === null ? '' : `, offered to ${offeredTo}`
  return `held under ${token === UNKNOWN ? `an unknown token from ${highest}` : `token ${token}`}${whose}${waiting}`
}

export const lease: Model<LeaseState, LeaseAct> = {
  name: 'lease',
  functions: ['acquire', 'await', 'renew', 'release', 'transfer', 'revoke', 'get'],
  initial: {
    token: FREE,
    highest: 0,
    endsFromMs: Number.NEGATIVE_INFINITY,
    delayMs: 0,
    claimed: false,
    offeredTo: null,
    last: '',
    queue: [],
  },
  read,
  step,
  // A renewal that may have been only makes a lease last longer, and a lease may last longer by itself.
  observes: ({ f, output }) => f === 'get' || output === FREE || (f === 'renew' && output === null),
  forgotten: (act) => ({ ...act, output: null }),
  key: ({ token, highest, endsFromMs, delayMs, claimed, offeredTo, last, queue }) => {
    const rest = offeredTo === null && queue.length === 0 ? last : JSON.stringify([offeredTo, last, queue])
    return `${token} ${highest} ${endsFromMs} ${delayMs} ${claimed} ${rest}`
  },
  actKey: ({ f, token, to, ttlMs, delayMs, holder, ticket, priority, waits }) =>
    JSON.stringify([f, token, to, ttlMs, delayMs, holder, ticket, priority, waits]),
  describe,
  describeState,
}
