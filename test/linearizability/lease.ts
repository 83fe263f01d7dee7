/**
 * A lease, as its clients see it: `acquire` gives a fencing token or null (held), `renew` and `release` give whether the
 * token was still good, `get` gives the live token or null. Tokens only grow. A lease may end by itself, at the earliest
 * when its time is over; it need not (time stands still while nobody leads). Without times in the history it may end whenever.
 * A request that was sent several times is one operation of the history.
 */
import { Complaint, type Model, type Moment, type Recorded, type Value } from './model.js'

/** Rates of the service's clock and of the recording one may both be off by half a percent, to either side of each other. */
const RATE = 0.99
/** Stamps are whole milliseconds. */
const ROUNDING_MS = 2
export const TTL_MS_MAX = 86_400_000

interface LeaseState {
  /** Of the live grant: FREE, UNKNOWN (somebody's who never heard of it) or the token. */
  readonly token: number
  /** No token at or below this one is given any more; an unknown one counts as the lowest that it can be. */
  readonly highest: number
  /** Before this moment the live grant cannot have ended by itself. */
  readonly endsFromMs: number
  /** The last token that was released: to release it again says yes again. */
  readonly released: number
}
const FREE = 0
const UNKNOWN = -1

interface LeaseAct {
  readonly f: 'acquire' | 'renew' | 'release' | 'get'
  /** Of renew and release: the token that was shown. */
  readonly token: number
  /** Of acquire and renew. */
  readonly ttlMs: number
  /** Null: unknown. Of acquire and get a token, or FREE for "held" and for "none"; of the others 1 for yes and 0 for no. */
  readonly output: number | null
}

const isToken = (value: Value | undefined): value is number => Number.isSafeInteger(value) && (value as number) > 0

function read({ f, input, output }: Recorded): LeaseAct | Complaint {
  const fields = fieldsOf(input)
  const wanted = { acquire: ['ttlMs'], renew: ['token', 'ttlMs'], release: ['token'], get: [] as string[] }[f] ?? []
  const shape = wanted.length === 0 ? 'without a value' : `with {${wanted.map((name) => `"${name}"`).join(', ')}}`
  if (fields === null || Object.keys(fields).sort().join() !== [...wanted].sort().join())
    return new Complaint(`${f} is invoked ${shape}`)
  const { token = FREE, ttlMs = 0 } = fields
  if (wanted.includes('token') && !isToken(token)) return new Complaint('a token is a whole number from 1')
  if (wanted.includes('ttlMs') && !(isToken(ttlMs) && ttlMs <= TTL_MS_MAX))
    return new Complaint(`ttlMs is a whole number from 1 to ${TTL_MS_MAX}`)
  const known = output === null ? null : outputOf(f, output.value)
  if (known instanceof Complaint) return known
  return { f: f as LeaseAct['f'], token: token as number, ttlMs: ttlMs as number, output: known }
}

function fieldsOf(input: Value): { readonly [name: string]: Value } | null {
  if (input === null) return {}
  return typeof input === 'object' && !Array.isArray(input) ? (input as { readonly [name: string]: Value }) : null
}

function outputOf(f: string, value: Value): number | Complaint {
  if (f === 'renew' || f === 'release')
    return typeof value === 'boolean' ? Number(value) : new Complaint(`${f} ends with true or false`)
  if (value === null) return FREE
  return isToken(value) ? value : new Complaint(`${f} ends with a token or null`)
}

const endsFrom = ({ fromMs }: Moment, ttlMs: number): number => fromMs + ttlMs * RATE - ROUNDING_MS

/** Whether nobody has it, or nobody need have it at this moment. */
const mayBeFree = (state: LeaseState, { untilMs }: Moment): boolean =>
  state.token === FREE || state.endsFromMs <= untilMs

const freed = (state: LeaseState, released = state.released): LeaseState =>
  state.token === FREE ? state : { token: FREE, highest: state.highest, endsFromMs: Number.NEGATIVE_INFINITY, released }

/** The state in which this token is the live one; null where it cannot be. */
function bound(state: LeaseState, token: number): LeaseState | null {
  if (state.token === token) return state
  if (state.token !== UNKNOWN || token < state.highest) return null
  return { ...state, token, highest: token }
}

function step(state: LeaseState, act: LeaseAct, moment: Moment): readonly LeaseState[] {
  if (act.f === 'acquire') return acquire(state, act, moment)
  if (act.output === null && act.f !== 'release') return [state]
  const shown = act.f === 'get' ? (act.output as number) : act.token
  const good = act.f === 'get' ? act.output !== FREE : act.output !== 0
  if (!good) {
    // A lease that is another's answers no to this token; one that is this token's must have ended.
    const another = act.f !== 'get' && state.token !== FREE && state.token !== shown
    if (another) return [state]
    return mayBeFree(state, moment) ? [freed(state)] : []
  }
  const live = bound(state, shown)
  if (act.f === 'release' && live === null) return act.output !== null && state.released === shown ? [state] : []
  if (live === null) return []
  if (act.f === 'get') return [live]
  if (act.f === 'release') return [freed(live, shown)]
  return [{ ...live, endsFromMs: Math.max(live.endsFromMs, endsFrom(moment, act.ttlMs)) }]
}

function acquire(state: LeaseState, { output, ttlMs }: LeaseAct, moment: Moment): readonly LeaseState[] {
  if (output === FREE) return state.token === FREE ? [] : [state]
  if (!mayBeFree(state, moment)) return []
  const highest = output ?? state.highest + 1
  if (highest <= state.highest) return []
  return [{ token: output ?? UNKNOWN, highest, endsFromMs: endsFrom(moment, ttlMs), released: state.released }]
}

function describe({ f, token, output, ttlMs }: LeaseAct): string {
  const asked = f === 'acquire' ? `acquires for ${ttlMs} ms` : f === 'get' ? 'looks' : `${f}s token ${token}`
  if (output === null) return `${asked}, with unknown outcome`
  if (f === 'acquire')
    return output === FREE ? `${asked} and hears that it is held` : `${asked} and gets token ${output}`
  if (f === 'get') return output === FREE ? 'finds it free' : `finds it held under token ${output}`
  return output === 1 ? asked : `${asked} and hears that it is lost`
}

function describeState({ token, highest }: LeaseState): string {
  if (token === FREE) return highest === 0 ? 'free' : `free after token ${highest}`
  return token === UNKNOWN ? `held under an unknown token from ${highest}` : `held under token ${token}`
}

export const lease: Model<LeaseState, LeaseAct> = {
  name: 'lease',
  functions: ['acquire', 'renew', 'release', 'get'],
  initial: { token: FREE, highest: 0, endsFromMs: Number.NEGATIVE_INFINITY, released: FREE },
  read,
  step,
  // A renewal that may have been only makes a lease last longer, and a lease may last longer by itself.
  observes: ({ f, output }) => f === 'get' || output === 0 || (f === 'renew' && output === null),
  forgotten: (act) => ({ ...act, output: null }),
  key: ({ token, highest, endsFromMs, released }) => `${token} ${highest} ${endsFromMs} ${released}`,
  actKey: ({ f, token, ttlMs }) => `${f} ${token} ${ttlMs}`,
  describe,
  describeState,
}
