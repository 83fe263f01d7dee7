/** Puts the lines of a history together into operations, key by key. Whatever does not fit together is a complaint. */
import type { Fault, Line } from './lines.js'
import { Complaint, type Model, type Recorded } from './model.js'
import type { Operation } from './operation.js'

export interface History<Act> {
  /** By the JSON text of the key; '' where the history has no keys. Operations that failed are left out: they did nothing. */
  readonly byKey: ReadonlyMap<string, readonly Operation<Act>[]>
  readonly operations: number
  readonly failed: number
  /** Of unknown outcome. */
  readonly unknown: number
}

/** A call, and the end that it came to, if any. */
interface Pair {
  readonly call: Line
  end: Line | null
}

export function pairUp<State, Act>(
  lines: readonly Line[],
  model: Model<State, Act>,
): { history: History<Act>; faults: Fault[] } {
  const faults: Fault[] = []
  const pairs = pairsOf(lines, model.functions, faults)
  const byKey = new Map<string, Operation<Act>[]>()
  let [failed, unknown] = [0, 0]
  for (const { call, end } of pairs) {
    const known = end?.type === 'ok'
    const recorded: Recorded = { f: call.f, input: call.value, output: known ? { value: end.value } : null }
    const act = model.read(recorded)
    if (act instanceof Complaint) {
      faults.push({ line: known ? end.number : call.number, says: act.says })
      continue
    }
    if (end?.type === 'fail') {
      failed++
      continue
    }
    if (!known) unknown++
    const operation: Operation<Act> = {
      process: call.process,
      act,
      calledAt: call.number,
      endedAt: known ? end.number : Number.POSITIVE_INFINITY,
      calledMs: call.timeMs ?? Number.NEGATIVE_INFINITY,
      endedMs: (known ? end.timeMs : null) ?? Number.POSITIVE_INFINITY,
    }
    const key = call.key === undefined ? '' : JSON.stringify(call.key)
    const alike = byKey.get(key)
    if (alike === undefined) byKey.set(key, [operation])
    else alike.push(operation)
  }
  faults.sort((a, b) => a.line - b.line)
  return { history: { byKey, operations: pairs.length, failed, unknown }, faults }
}

function pairsOf(lines: readonly Line[], functions: readonly string[], faults: Fault[]): Pair[] {
  const pairs: Pair[] = []
  /** What each process is at; null where it may call again. */
  const open = new Map<number | string, Pair | null>()
  const whole = new Whole()
  for (const line of lines) {
    const pair = open.get(line.process) ?? null
    const says =
      whole.complaint(line) ??
      (functions.includes(line.f)
        ? null
        : `unknown f ${JSON.stringify(line.f)}: the model has ${functions.join(', ')}`) ??
      (line.type === 'invoke' ? callComplaint(line, pair) : endComplaint(line, pair))
    if (says !== null) {
      faults.push({ line: line.number, says })
      continue
    }
    if (line.type === 'invoke') {
      const fresh: Pair = { call: line, end: null }
      open.set(line.process, fresh)
      pairs.push(fresh)
      continue
    }
    pair!.end = line
    // Whose operation may still take effect cannot call again.
    if (line.type !== 'info') open.set(line.process, null)
  }
  return pairs
}

const who = ({ process }: Line): string => `process ${JSON.stringify(process)}`

function callComplaint(line: Line, open: Pair | null): string | null {
  if (open === null) return null
  if (open.end === null) return `${who(line)} calls while its call of line ${open.call.number} is open`
  return `${who(line)} calls after its outcome of line ${open.end.number} was unknown: go on as another process`
}

function endComplaint(line: Line, open: Pair | null): string | null {
  if (open === null || open.end !== null) return `${line.type} of ${who(line)}, which has no open call`
  const { call } = open
  if (call.f !== line.f) return `${line.type} of ${line.f}, but line ${call.number} called ${call.f}`
  if (line.key !== undefined && line.key !== call.key) return `another key than in the call of line ${call.number}`
  if (line.type !== 'ok' && line.value !== null && JSON.stringify(line.value) !== JSON.stringify(call.value))
    return `${line.type} with a value: nothing is known to have come back`
  return null
}

/** What all lines have in common: either all have times, in their order, or none has; so with the calls' keys. */
class Whole {
  #timed: boolean | null = null
  #timeMs = 0
  #keyed: boolean | null = null

  complaint({ type, key, timeMs }: Line): string | null {
    this.#timed ??= timeMs !== null
    if (this.#timed !== (timeMs !== null))
      return this.#timed ? 'no time, but others have one' : 'a time, but others have none'
    if (timeMs !== null && timeMs < this.#timeMs) return `time goes back from ${this.#timeMs} to ${timeMs}`
    this.#timeMs = timeMs ?? 0
    if (type !== 'invoke') return null
    this.#keyed ??= key !== undefined
    if (this.#keyed !== (key !== undefined))
      return this.#keyed ? 'no key, but others have one' : 'a key, but others have none'
    return null
  }
}
