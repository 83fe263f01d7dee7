import fc from 'fast-check'
import t from 'tap'
import { pairUp } from './history.js'
import { LINE_BYTES_MAX, readLines } from './lines.js'
import { MODELS } from './models.js'

const bytes = (text: string) => new TextEncoder().encode(text)

/** Every complaint about this history, as `line says`. */
function complaints(model: string, ...lines: string[]): string[] {
  const { lines: read, faults } = readLines(bytes(lines.join('\n')))
  return [...faults, ...pairUp(read, MODELS[model]!).faults].map(({ line, says }) => `${line}: ${says}`)
}

const call = (over: object = {}) => JSON.stringify({ type: 'invoke', process: 1, f: 'write', value: 1, ...over })
const ok = (over: object = {}) => JSON.stringify({ type: 'ok', process: 1, f: 'write', ...over })

t.test('what is no line of a history is named by its number', async (t) => {
  const first = (text: string): string => complaints('register', call(), ok(), text)[0]!.replace(/^3: /, '')
  t.equal(first('{'), 'not JSON')
  t.equal(first('[]'), 'not a JSON object')
  t.equal(first('null'), 'not a JSON object')
  t.equal(first('{"type":"ok","type":"info","process":1,"f":"write"}'), 'the field "type" stands there twice')
  t.equal(first(call({ kind: 1 })), 'unknown field "kind"')
  t.equal(first(call({ type: 'begin' })), 'type must be invoke, ok, fail or info')
  t.match(first(call({ process: -1 })), /^process must be/)
  t.match(first(call({ process: '' })), /^process must be/)
  t.equal(first(call({ f: '' })), 'f must name the operation')
  t.equal(first(call({ time: -1 })), 'time must be milliseconds from 0')
  t.equal(first(call({ error: 1 })), 'error must be text')
  t.equal(first(call({ key: null })), 'key must be a string, a number, true or false')
  t.equal(first(call({ key: {} })), 'key must be a string, a number, true or false')
  t.equal(first(call({ error: 'x'.repeat(LINE_BYTES_MAX) })), `longer than ${LINE_BYTES_MAX} bytes`)
  const { faults } = readLines(new Uint8Array([0x7b, 0xff, 0x7d]))
  t.same(faults, [{ line: 1, says: 'not UTF-8' }])
})

t.test('lines that do not belong together are named by their numbers', async (t) => {
  t.same(complaints('register', ok()), ['1: ok of process 1, which has no open call'])
  t.same(complaints('register', call(), call()), ['2: process 1 calls while its call of line 1 is open'])
  t.same(complaints('register', call(), ok({ type: 'info' }), call()), [
    '3: process 1 calls after its outcome of line 2 was unknown: go on as another process',
  ])
  t.same(complaints('register', call(), ok({ type: 'info' }), ok()), ['3: ok of process 1, which has no open call'])
  t.same(complaints('register', call(), ok({ f: 'read' })), ['2: ok of read, but line 1 called write'])
  t.match(complaints('register', call({ f: 'acquire' })), [/^1: unknown f "acquire"/])
  t.same(complaints('register', call({ key: 'a' }), ok({ key: 'b' })), ['2: another key than in the call of line 1'])
  t.same(complaints('register', call({ key: 'a' }), call({ process: 2 })), ['2: no key, but others have one'])
  t.same(complaints('register', call(), ok({ time: 1 })), ['2: a time, but others have none'])
  t.same(complaints('register', call({ time: 2 }), ok({ time: 1 })), ['2: time goes back from 2 to 1'])
  t.match(complaints('register', call(), ok({ type: 'fail', value: 7 })), [/^2: fail with a value/])
})

t.test('what the model does not know is refused', async (t) => {
  t.match(complaints('register', call({ value: {} })), [/^1: a value of a register is/])
  t.match(complaints('register', call(), ok({ value: 2 })), [/^2: a write ends without a value/])
  t.match(complaints('register', call({ f: 'read' })), [/^1: a read is invoked without a value/])
  t.match(complaints('register', call({ f: 'cas', value: [1] })), [/^1: a cas is invoked with/])
  t.match(complaints('register', call({ f: 'cas', value: [1, 2] }), ok({ f: 'cas' })), [/^2: a cas ends with true/])
  t.match(complaints('lease', call({ f: 'acquire', value: {} })), [/^1: acquire is invoked with {"ttlMs"}/])
  t.match(complaints('lease', call({ f: 'acquire', value: { ttlMs: 0 } })), [/^1: ttlMs is a whole number/])
  t.match(complaints('lease', call({ f: 'release', value: { token: 1.5 } })), [/^1: a token is a whole number/])
  t.match(complaints('lease', call({ f: 'get', value: null }), ok({ f: 'get', value: 'x' })), [/^2: get ends with/])
  t.match(complaints('lease', call({ f: 'release', value: { token: 1 } }), ok({ f: 'release', value: 1 })), [
    /^2: release ends with true or false/,
  ])
})

t.test('fields inside a value may repeat those outside, and text may hold braces', async (t) => {
  t.same(
    complaints('lease', '{"value":{"ttlMs":5},"type":"invoke","f":"acquire","process":"{\\"type\\":","error":"type"}'),
    [],
  )
})

t.test('garbage is refused, never thrown at, and never taken', async () => {
  const line = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record(
        {
          type: fc.constantFrom('invoke', 'ok', 'fail', 'info'),
          process: fc.oneof(fc.nat(2), fc.string()),
          f: fc.constantFrom('read', 'write', 'cas', 'acquire'),
          value: fc.jsonValue(),
          key: fc.jsonValue(),
        },
        { requiredKeys: ['type', 'process', 'f'] },
      )
      .map((said) => JSON.stringify(said)),
  )
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), fc.constantFrom('register', 'lease'), (lines, model) => {
      const { lines: read, faults } = readLines(bytes(lines.join('\n')))
      const paired = pairUp(read, MODELS[model]!)
      const told = new Set([...faults, ...paired.faults].map((fault) => fault.line))
      // Every line is an operation's, or is told of, or blank.
      const used = paired.history.operations
      if (used > read.length) throw new Error('more operations than lines')
      if (faults.some(({ line }) => read.some(({ number }) => number === line))) throw new Error('refused and taken')
      if (told.size === 0 && read.length === 0 && lines.join('').trim() !== '') throw new Error('passed over')
    }),
    { numRuns: 500 },
  )
})
