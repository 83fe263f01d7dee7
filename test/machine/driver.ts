/** Drives one machine as tests like to say it: at this time, these commands. */
import {
  type Acquire,
  type AdmitRun,
  type Command,
  clusterMs,
  ERRORS,
  type ErrorCode,
  fencingToken,
  INTERNAL_OP,
  logIndex,
  OP,
  type Release,
  type Renew,
  type Reply,
  type RequestToken,
  type Revoke,
  run,
  type Transfer,
  term,
  waiterId,
  wallMs,
} from '@leasehold/protocol'
import { type Applied, type Entry, Machine, type MachineLimits } from '@leasehold/server/machine'

export const beat: Command = { op: INTERNAL_OP.beat }

export const acquire = (name: string, holder: string, more: Partial<Acquire> = {}): Acquire => ({
  op: OP.acquire,
  principal: holder,
  name,
  holder,
  ttlMs: 1_000,
  waitMs: 0,
  priority: 0,
  lockDelayMs: 0,
  meta: null,
  request: null,
  ...more,
})
export const renew = (name: string, token: number, principal = 'p'): Renew => ({
  op: OP.renew,
  principal,
  name,
  token: fencingToken(token),
})
export const release = (name: string, token: number, principal = 'p'): Release => ({
  op: OP.release,
  principal,
  name,
  token: fencingToken(token),
})
export const transfer = (name: string, token: number, to: string, principal = 'p'): Transfer => ({
  op: OP.transfer,
  principal,
  name,
  token: fencingToken(token),
  to,
})
export const revoke = (name: string, request: RequestToken | null = null, principal = 'operator'): Revoke => ({
  op: OP.revoke,
  principal,
  name,
  request,
})
export const cancelWait = (principal: string, scope: string, key: number | string): Command => ({
  op: OP.cancelWait,
  principal,
  scope,
  key,
})
export const waiterLost = (waiter: number): Command => ({ op: INTERNAL_OP.waiterLost, waiter: waiterId(waiter) })
let starts = 0
/** A start of the member's process, each time another one; of the same one where its nonce is given. */
export const admitRun = (member: string, nonce = `start-${++starts}`, formatMax = 1): AdmitRun => ({
  op: INTERNAL_OP.admitRun,
  member,
  nonce,
  url: `http://${member}:7420`,
  peerUrl: `${member}:7421`,
  formatMax,
})

/** The token of a library session's request. */
export const request = (key: number | string, knownMs = 0, lowest = 0, scope = 's:1'): RequestToken => ({
  scope,
  key,
  lowest,
  knownMs: clusterMs(knownMs),
})

/** An error reply as tests expect it, without its sentence. */
export const codeOf = (code: ErrorCode) => ERRORS[code].wire

/** Every row of every table, through its stored form, in the order in which storage would load them. */
export function stored(machine: Machine): [string, string, readonly unknown[]][] {
  const rows: [string, string, readonly unknown[]][] = []
  for (const table of machine.tables) {
    for (const [key, row] of table.rows()) rows.push([table.name, key, structuredClone(table.encode(row))])
  }
  return rows.sort((a, b) => (a[0] === b[0] ? (a[1] < b[1] ? -1 : 1) : a[0] < b[0] ? -1 : 1))
}

/** A machine that was loaded from what this one would have stored. */
export function reloaded(machine: Machine, limits: Partial<MachineLimits> = {}, formatMax?: number): Machine {
  const next = new Machine(limits, formatMax)
  for (const [name, key, fields] of stored(machine)) {
    next.tables.find((table) => table.name === name)!.load(key, fields, 1)
  }
  next.loaded()
  return next
}

export class Driver {
  machine: Machine
  readonly #limits: Partial<MachineLimits>
  #index = 0
  term = 1
  member = 'n1'
  /** Of the entries to come; a batch of 0 is not counted. */
  run = 0
  batch = 0

  /** Starts 10 s after the cluster's birth, so that no hold of the horizon is under way. */
  constructor(limits: Partial<MachineLimits> = {}) {
    this.#limits = limits
    this.machine = new Machine(limits)
    this.at(0, beat)
    this.at(10_000, beat)
  }

  entry(timeMs: number, commands: readonly Command[]): Entry {
    return {
      term: term(this.term),
      index: logIndex(++this.#index),
      timeMs: clusterMs(timeMs),
      wallMs: wallMs(1_700_000_000_000 + timeMs),
      member: this.member,
      run: run(this.run),
      batch: this.batch,
      commands,
    }
  }

  at(timeMs: number, ...commands: Command[]): Applied {
    return this.machine.apply(this.entry(timeMs, commands))
  }

  /** The reply to one command. */
  ask(timeMs: number, command: Command): Reply {
    return this.at(timeMs, command).replies[0]!
  }

  reload(): void {
    this.machine = reloaded(this.machine, this.#limits)
  }
}
