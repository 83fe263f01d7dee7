/** The operations of a lease, as a history writes them, and what is wrong with those that are none. */
import { Complaint, type Recorded, type Value } from './model.js'

export const TTL_MS_MAX = 86_400_000
const NAME_CHARS_MAX = 255

/** Of a grant: whose, for how long, and for how long nobody has it after an unclean end. */
export interface Holding {
  /** Null: not told. */
  readonly holder: string | null
  readonly ttlMs: number
  readonly delayMs: number
}

export interface LeaseAct extends Holding {
  readonly f: 'acquire' | 'await' | 'renew' | 'release' | 'transfer' | 'revoke' | 'get'
  /** Of renew, release and transfer: the token that was shown. */
  readonly token: number
  /** Of transfer. */
  readonly to: string | null
  /** Of acquire: whether it may wait. */
  readonly waits: boolean
  readonly priority: number
  /** Of await, and of an acquire that may be awaited. */
  readonly ticket: string | null
  /** Of acquire and await: for how long what it got stands at least, if it is not renewed. 0: as long as its ttl. */
  readonly forMs: number
  /** It has to be claimed by a renewal. */
  readonly offered: boolean
  /**
   * Null: unknown. Of acquire, await, revoke and get a token, or 0 for "held" and for "none", or UNTOLD for "queued"; of the others 1 for yes
   * and 0 for no.
   */
  readonly output: number | null
}
/** It was put into the queue. */
export const UNTOLD = -2

type Fields = { readonly [name: string]: Value }
type Check = (value: Value) => boolean

export const isToken = (value: Value | undefined): value is number =>
  Number.isSafeInteger(value) && (value as number) > 0
const isDuration: Check = (value) => isToken(value) && value <= TTL_MS_MAX
const isName: Check = (value) => typeof value === 'string' && value.length > 0 && value.length <= NAME_CHARS_MAX

const duration = (name: string) => `${name} is a whole number from 1 to ${TTL_MS_MAX}`
const text = (name: string) => `${name} is a text of up to ${NAME_CHARS_MAX} characters`
/** What each field must be, and what is said where it is not. */
const FIELDS: Readonly<Record<string, readonly [Check, string]>> = {
  token: [isToken, 'a token is a whole number from 1'],
  ttlMs: [isDuration, duration('ttlMs')],
  waitMs: [isDuration, duration('waitMs')],
  lockDelayMs: [isDuration, duration('lockDelayMs')],
  holder: [isName, text('holder')],
  to: [isName, text('to')],
  ticket: [isName, text('ticket')],
  priority: [(value) => Number.isSafeInteger(value), 'priority is a whole number'],
}
/** What each operation is asked with: fields that it must have, and others that it may have. */
const SHAPES: Readonly<Record<string, readonly [must: readonly string[], may: readonly string[]]>> = {
  acquire: [['ttlMs'], ['holder', 'waitMs', 'priority', 'lockDelayMs', 'ticket']],
  await: [['ticket'], []],
  renew: [['token', 'ttlMs'], []],
  release: [['token'], []],
  transfer: [['token', 'to'], []],
  revoke: [[], []],
  get: [[], []],
}

export function read({ f, input, output }: Recorded): LeaseAct | Complaint {
  const [must, may] = SHAPES[f]!
  const fields = fieldsOf(input)
  const names = fields === null ? [] : Object.keys(fields)
  const known = names.every((name) => must.includes(name) || may.includes(name))
  if (fields === null || !known || must.some((name) => !names.includes(name))) {
    const shape = must.length === 0 ? 'without a value' : `with {${must.map((name) => `"${name}"`).join(', ')}}`
    const more = may.length === 0 ? '' : `, and if you like ${may.join(', ')}`
    return new Complaint(`${f} is invoked ${shape}${more}`)
  }
  for (const name of names) {
    const [check, says] = FIELDS[name]!
    if (!check(fields[name]!)) return new Complaint(says)
  }
  if (names.includes('ticket') && f === 'acquire' && !names.includes('waitMs'))
    return new Complaint('a ticket is for one that may wait: with waitMs')
  return actOf(f as LeaseAct['f'], fields, output)
}

function actOf(f: LeaseAct['f'], fields: Fields, output: Recorded['output']): LeaseAct | Complaint {
  const { token = 0, ttlMs = 0, waitMs = 0, lockDelayMs = 0, priority = 0 } = fields as Record<string, number>
  const { holder = null, to = null, ticket = null } = fields as Record<string, string>
  const act = {
    f,
    token,
    to,
    ttlMs,
    delayMs: lockDelayMs,
    holder,
    priority,
    ticket,
    waits: waitMs > 0,
    forMs: ttlMs,
    offered: false,
  }
  if (output === null) return { ...act, output: null }
  const { value } = output
  if (f === 'renew' || f === 'release' || f === 'transfer')
    return typeof value === 'boolean'
      ? { ...act, output: Number(value) }
      : new Complaint(`${f} ends with true or false`)
  if (value === null) return { ...act, output: 0 }
  if (isToken(value)) return { ...act, output: value }
  if (f === 'acquire' && value === 'queued' && ticket !== null) return { ...act, output: UNTOLD }
  const offer = f === 'await' || act.waits ? offerOf(value) : null
  if (offer !== null) return { ...act, output: offer.token, forMs: offer.claimWithinMs, offered: true }
  const others = { acquire: ', an offer where it may wait, "queued" where it has a ticket', await: ', an offer' }
  return new Complaint(`${f} ends with a token or null${others[f as 'acquire' | 'await'] ?? ''}`)
}

function offerOf(value: Value): { token: number; claimWithinMs: number } | null {
  const fields = fieldsOf(value)
  if (fields === null || Object.keys(fields).sort().join() !== 'claimWithinMs,token') return null
  const { token, claimWithinMs } = fields
  return isToken(token) && isDuration(claimWithinMs!) ? { token, claimWithinMs: claimWithinMs as number } : null
}

function fieldsOf(value: Value): Fields | null {
  if (value === null) return {}
  return typeof value === 'object' && !Array.isArray(value) ? (value as Fields) : null
}
