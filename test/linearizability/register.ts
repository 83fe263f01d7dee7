/**
 * A register: `read` gives its value (null at first), `write` sets it, `cas` takes [from, to] and gives true where it
 * changed from one to the other, false where it found something else.
 */
import { Complaint, type Model, type Recorded, type Value } from './model.js'

/** Values are compared, and so kept, as their JSON text. */
type Text = string

interface RegisterAct {
  readonly f: 'read' | 'write' | 'cas'
  /** Of read: what it gave, null where unknown. Of write: what it wrote. Of cas: what it wants to find. */
  readonly a: Text | null
  /** Of cas. */
  readonly to: Text | null
  /** Of cas: null where unknown. */
  readonly changed: boolean | null
}

/** Scalars alone: two writings of one object could be told apart by nobody. */
const scalar = (value: Value): Text | Complaint =>
  value !== null && typeof value === 'object'
    ? new Complaint('a value of a register is null, true, false, a number or a string')
    : JSON.stringify(value)

function read({ f, input, output }: Recorded): RegisterAct | Complaint {
  if (f === 'read') {
    if (input !== null) return new Complaint('a read is invoked without a value')
    const given = output === null ? null : scalar(output.value)
    return given instanceof Complaint ? given : { f, a: given, to: null, changed: null }
  }
  if (f === 'write') {
    const written = scalar(input)
    if (written instanceof Complaint) return written
    if (output !== null && output.value !== null && JSON.stringify(output.value) !== written)
      return new Complaint('a write ends without a value, or with the one that it wrote')
    return { f, a: written, to: null, changed: null }
  }
  if (!Array.isArray(input) || input.length !== 2) return new Complaint('a cas is invoked with [from, to]')
  const [from, to] = [scalar(input[0] as Value), scalar(input[1] as Value)]
  if (from instanceof Complaint) return from
  if (to instanceof Complaint) return to
  if (output !== null && typeof output.value !== 'boolean') return new Complaint('a cas ends with true or false')
  return { f: 'cas', a: from, to, changed: output === null ? null : (output.value as boolean) }
}

function step(state: Text, { f, a, to, changed }: RegisterAct): readonly Text[] {
  if (f === 'read') return a === null || a === state ? [state] : []
  if (f === 'write') return [a!]
  const fits = a === state
  if (changed === null) return [fits ? to! : state]
  if (changed !== fits) return []
  return [fits ? to! : state]
}

function describe({ f, a, to, changed }: RegisterAct): string {
  if (f === 'read') return a === null ? 'reads, with unknown outcome' : `reads ${a}`
  if (f === 'write') return `writes ${a}`
  if (changed === null) return `changes ${a} to ${to}, with unknown outcome`
  return changed ? `changes ${a} to ${to}` : `does not change ${a} to ${to}, as it finds something else`
}

export const register: Model<Text, RegisterAct> = {
  name: 'register',
  functions: ['read', 'write', 'cas'],
  initial: 'null',
  read,
  step,
  observes: ({ f, changed }) => f === 'read' || changed === false,
  forgotten: (act) => (act.f === 'read' ? { ...act, a: null } : { ...act, changed: null }),
  key: (state) => state,
  actKey: ({ f, a, to }) => JSON.stringify([f, a, to]),
  describe,
  describeState: (state) => state,
}
