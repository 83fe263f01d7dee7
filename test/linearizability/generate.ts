/**
 * Histories for the checker's own tests. `lived` lets processes work on a true object, each operation taking effect at
 * one moment between its call and its end: such a history is linearizable. `loose` makes calls and ends up.
 */
import { Complaint, type Model, type Recorded, type Value } from './model.js'
import type { Operation } from './operation.js'

/** Numbers in [0, 1). */
export type Random = () => number

/** A true object: does what is asked, and returns what comes back; undefined: nothing yet, it is to be asked again. */
export type Thing = (f: string, input: Value, nowMs: number) => Value | undefined
export type Wish = { readonly f: string; readonly input: Value }

export interface Shape {
  readonly operations: number
  readonly processes: number
  readonly unknownShare: number
}

/** As it would be recorded: the raw operation, to be read by a model. */
export interface RawOperation extends Recorded {
  readonly process: number
  readonly calledAt: number
  readonly endedAt: number
}

const NEVER = Number.POSITIVE_INFINITY
/** Whoever has been told so often that there is nothing yet asks no more: what would become of it nobody knows. */
const ASKED_MAX = 40

/** A stretch of a process' life: idle, called, done but not yet answered. */
interface Life {
  wish: Wish | null
  /** How often it was told that there is nothing yet. */
  asked: number
  calledAt: number
  result: { readonly value: Value } | null
  process: number
}

export function lived(thing: Thing, wishFor: (random: Random) => Wish, shape: Shape, random: Random): RawOperation[] {
  const all: RawOperation[] = []
  const idle = (process: number): Life => ({ wish: null, asked: 0, calledAt: 0, result: null, process })
  const lives = Array.from({ length: shape.processes }, (_, i) => idle(i))
  let [at, called, crashed] = [0, 0, shape.processes]
  const record = (life: Life, endedAt: number): void => {
    const { wish, calledAt, result, process } = life
    const output = endedAt === NEVER ? null : result
    all.push({ ...wish!, output, process, calledAt, endedAt })
  }
  while (called < shape.operations || lives.some(({ wish }) => wish !== null)) {
    const i = Math.floor(random() * lives.length)
    const life = lives[i]!
    at++
    if (life.wish === null) {
      if (called++ >= shape.operations) continue
      life.wish = wishFor(random)
      life.calledAt = at
    } else if (life.result === null && (random() < shape.unknownShare / 2 || life.asked > ASKED_MAX)) {
      record(life, NEVER)
      lives[i] = idle(crashed++)
    } else if (life.result === null) {
      const value = thing(life.wish.f, life.wish.input, at)
      if (value !== undefined) life.result = { value }
      else life.asked++
    } else if (random() < shape.unknownShare / 2) {
      record(life, NEVER)
      lives[i] = idle(crashed++)
    } else {
      record(life, at)
      lives[i] = idle(life.process)
    }
  }
  return all
}

/** What the model makes of it. Throws where the model does not take it. */
export function readAll<State, Act>(model: Model<State, Act>, raw: readonly RawOperation[]): Operation<Act>[] {
  return raw.map((one) => {
    const act = model.read(one)
    if (act instanceof Complaint) throw new Error(act.says)
    const { process, calledAt, endedAt } = one
    return { process, act, calledAt, endedAt, calledMs: calledAt, endedMs: endedAt }
  })
}

/** A register as it should be. */
export function trueRegister(): Thing {
  let value: Value = null
  return (f, input) => {
    if (f === 'read') return value
    if (f === 'write') {
      value = input
      return null
    }
    const [from, to] = input as readonly Value[]
    if (from !== value) return false
    value = to!
    return true
  }
}

/** A lease as it should be. Times are those of the history. */
export function trueLease(): Thing {
  let [token, endMs, counter] = [0, 0, 0]
  return (f, input, nowMs) => {
    if (endMs <= nowMs) token = 0
    const asked = (input ?? {}) as { readonly token?: number; readonly ttlMs?: number }
    if (f === 'get') return token === 0 ? null : token
    if (f === 'acquire') {
      if (token !== 0) return null
      token = ++counter
      endMs = nowMs + asked.ttlMs!
      return token
    }
    if (token === 0 || asked.token !== token) return false
    if (f === 'release') token = 0
    else endMs = Math.max(endMs, nowMs + asked.ttlMs!)
    return true
  }
}

const pick = <T>(random: Random, of: readonly T[]): T => of[Math.floor(random() * of.length)]!

export function registerWish(random: Random): Wish {
  const value = (): Value => pick(random, [null, 1, 2, 3])
  const f = pick(random, ['read', 'read', 'write', 'cas'])
  return { f, input: f === 'read' ? null : f === 'write' ? value() : [value(), value()] }
}

export function leaseWish(random: Random): Wish {
  const f = pick(random, ['acquire', 'renew', 'release', 'get'])
  const token = 1 + Math.floor(random() * 6)
  const ttlMs = pick(random, [5, 20, 200])
  const input = { acquire: { ttlMs }, renew: { token, ttlMs }, release: { token }, get: null }[f]!
  return { f, input }
}

/** Calls and ends as they come, with made-up results: most of them can be ordered in no way. */
export function loose(
  wishFor: (random: Random) => Wish,
  resultOf: (f: string, random: Random) => Value,
  shape: Shape,
  random: Random,
): RawOperation[] {
  const things: Thing = (f) => resultOf(f, random)
  return lived(things, wishFor, shape, random)
}

export function registerResult(f: string, random: Random): Value {
  if (f === 'write') return null
  return f === 'cas' ? random() < 0.5 : pick(random, [null, 1, 2, 3])
}

export function leaseResult(f: string, random: Random): Value {
  if (f === 'renew' || f === 'release') return random() < 0.5
  return pick(random, [null, 1, 2, 3, 4, 5])
}
