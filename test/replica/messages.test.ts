import {
  type Command,
  clusterMs,
  unpack as decodeFields,
  encodeCommands,
  INTERNAL_OP,
  logIndex,
  ProtocolError,
  pack,
  run,
  term,
  wallMs,
} from '@leasehold/protocol'
import { MESSAGE, type Message } from '@leasehold/server/raft'
import {
  carried,
  decodeForward,
  decodeMessage,
  encodeForward,
  encodeMessage,
  FORWARD,
  type Forward,
  MESSAGE_LIMITS,
  NewerEntry,
  REFUSAL,
  type ReplicaEntry,
} from '@leasehold/server/replica'
import fc from 'fast-check'
import t from 'tap'
import { commands, holds, refused, same } from '../protocol/support.js'

// Tens of thousands of refusals: nobody reads their stacks.
Error.stackTraceLimit = 0

const natural = fc.oneof(fc.nat(), fc.maxSafeNat())
const terms = natural.map(term)
const indexes = natural.map(logIndex)
const numbers = { term: terms, read: natural, round: natural }

const entries: fc.Arbitrary<ReplicaEntry> = fc
  .record({
    term: terms,
    index: indexes,
    timeMs: natural.map(clusterMs),
    wallMs: natural.map(wallMs),
    member: fc.string({ unit: 'grapheme', maxLength: 20 }),
    run: natural.map(run),
    batch: fc.oneof(fc.constant(0), natural),
    commands: fc.array(commands, { maxLength: 4 }),
  })
  .map(carried)

const kinds = <K extends number>(...all: K[]) => fc.constantFrom(...all)

const messages: fc.Arbitrary<Message<ReplicaEntry>> = fc.oneof(
  fc.record({
    kind: kinds(MESSAGE.preVote, MESSAGE.vote),
    term: terms,
    lastIndex: indexes,
    lastTerm: terms,
    transfer: fc.boolean(),
  }),
  fc.record({
    kind: kinds(MESSAGE.preVoteReply, MESSAGE.voteReply),
    term: terms,
    granted: fc.boolean(),
    commit: indexes,
    commitTerm: terms,
  }),
  fc.record({
    kind: kinds(MESSAGE.append),
    term: terms,
    previousIndex: indexes,
    previousTerm: terms,
    commit: indexes,
    entries: fc.array(entries, { maxLength: 5 }),
  }),
  fc.record({
    kind: kinds(MESSAGE.appendReply),
    term: terms,
    accepted: fc.boolean(),
    index: indexes,
    hintIndex: indexes,
    hintTerm: terms,
  }),
  fc.record({ kind: kinds(MESSAGE.heartbeat), term: terms, commit: indexes, round: numbers.round }),
  fc.record({ kind: kinds(MESSAGE.heartbeatReply), term: terms, round: numbers.round }),
  fc.record({ kind: kinds(MESSAGE.snapshot), term: terms, index: indexes, lastTerm: terms }),
  fc.record({ kind: kinds(MESSAGE.snapshotReply), term: terms, installed: fc.boolean(), index: indexes }),
  fc.record({ kind: kinds(MESSAGE.timeoutNow), term: terms }),
  fc.record({ kind: kinds(MESSAGE.readIndex), term: terms, read: numbers.read }),
  fc.record({ kind: kinds(MESSAGE.readIndexReply), term: terms, read: numbers.read, index: indexes }),
  fc.record({ kind: kinds(MESSAGE.reminder), term: terms, index: indexes, entryTerm: terms }),
  fc.record({ kind: kinds(MESSAGE.lost), term: terms, index: indexes }),
)

const forwards: fc.Arbitrary<Forward> = fc.oneof(
  fc.record({
    kind: kinds(FORWARD.batch),
    term: terms,
    member: fc.string({ unit: 'grapheme', maxLength: 20 }),
    run: natural.map(run),
    batch: natural,
    body: fc.uint8Array({ maxLength: 300 }),
  }),
  fc.record({
    kind: kinds(FORWARD.refusal),
    term: terms,
    run: natural.map(run),
    batch: natural,
    reason: fc.constantFrom(...Object.values(REFUSAL)),
  }),
  fc.record({ kind: kinds(FORWARD.standing), term: terms, applied: indexes, low: fc.boolean() }),
)

const unpack = (bytes: Uint8Array) => decodeFields(bytes, 0, bytes.length, { depthMax: 3, itemsMax: 1_000 })

const codecs = [
  { name: 'consensus', decode: decodeMessage, bytes: messages.map(encodeMessage) },
  { name: 'forwarding', decode: decodeForward, bytes: forwards.map(encodeForward) },
] as const

/** True if it was refused by a ProtocolError; anything else that is thrown fails the test. */
function refuses(act: () => unknown): boolean {
  try {
    act()
    return false
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return true
  }
}

/** Bodies are views, hence buffers of one kind or another: their bytes count. */
const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, v) => (v instanceof Uint8Array ? [...v] : v)))

t.test('what was encoded is decoded again, in every field', async (t) => {
  holds(
    t,
    fc.property(messages, (message) => same(plain(decodeMessage(encodeMessage(message))), plain(message))),
    500,
  )
  holds(
    t,
    fc.property(forwards, (forward) => same(plain(decodeForward(encodeForward(forward))), plain(forward))),
  )
})

t.test('every kind of message is among those', async (t) => {
  const seen = new Set(fc.sample(messages, 600).map(({ kind }) => kind))
  t.same(seen, new Set(Object.values(MESSAGE)))
})

for (const { name, decode, bytes } of codecs) {
  t.test(`${name}: no beginning of a message, and nothing behind one, is taken for a message`, async (t) => {
    holds(
      t,
      fc.property(bytes, (whole) => {
        for (let end = 0; end < whole.length; end++) if (!refuses(() => decode(whole.subarray(0, end)))) return false
        return refuses(() => decode(Uint8Array.of(...whole, 0)))
      }),
      60,
    )
  })
  t.test(`${name}: garbage, and messages with bytes changed, are decoded or refused and nothing else`, async (t) => {
    holds(
      t,
      fc.property(fc.uint8Array({ maxLength: 80 }), (garbage) => {
        refuses(() => decode(garbage))
      }),
      3_000,
    )
    const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }))
    holds(
      t,
      fc.property(bytes, fc.array(change, { minLength: 1, maxLength: 4 }), (whole, changes) => {
        const broken = Uint8Array.from(whole)
        for (const [at, byte] of changes) broken[at % broken.length] = byte
        refuses(() => decode(broken))
      }),
      3_000,
    )
  })
}

const entry = (commands: readonly Command[], batch = 0): ReplicaEntry =>
  carried({
    term: term(3),
    index: logIndex(9),
    timeMs: clusterMs(5),
    wallMs: wallMs(6),
    member: 'n1',
    run: run(2),
    batch,
    commands,
  })
const append = (entries: readonly ReplicaEntry[]): Message<ReplicaEntry> => ({
  kind: MESSAGE.append,
  term: term(3),
  previousIndex: logIndex(8),
  previousTerm: term(2),
  commit: logIndex(7),
  entries,
})

t.test('a body goes out as it is at hand, and comes back as a view of what came', async (t) => {
  const body = encodeCommands([{ op: INTERNAL_OP.sweep }])
  const bytes = encodeMessage(append([{ ...entry([{ op: INTERNAL_OP.beat }]), body }]))
  const decoded = decodeMessage(bytes)
  if (decoded.kind !== MESSAGE.append) return t.fail('no append')
  t.same(decoded.entries[0]!.commands, [{ op: INTERNAL_OP.sweep }], 'the body, not the commands, was sent')
  t.equal(decoded.entries[0]!.body.buffer, bytes.buffer)
})

t.test('an entry says of itself what the core must know', async (t) => {
  const configuration = { voters: ['n1@d1'], outgoing: [], learners: [], addresses: { 'n1@d1': 'h:1' } }
  const configure = { op: INTERNAL_OP.configure, configuration }
  const decoded = decodeMessage(encodeMessage(append([entry([configure]), entry([{ op: INTERNAL_OP.beat }])])))
  if (decoded.kind !== MESSAGE.append) return t.fail('no append')
  t.same(
    decoded.entries.map(({ reconfigures }) => reconfigures),
    [true, false],
  )
  t.ok(decoded.entries.every(({ bytes, body }) => bytes > body.length))
})

t.test("what is too much for one message is the sender's error, and refused where it comes from outside", async (t) => {
  const many = new Array(MESSAGE_LIMITS.entriesMax + 1).fill(entry([]))
  t.throws(() => encodeMessage(append(many)), RangeError)
  const large = { ...entry([]), body: new Uint8Array(MESSAGE_LIMITS.bodyBytesMax + 1) }
  t.throws(() => encodeMessage(append([large])), RangeError)
  const forward = { kind: FORWARD.batch, term: term(1), member: 'm', run: run(1), batch: 1, body: large.body }
  t.throws(() => encodeForward(forward), RangeError)
  const fields = [3, 9, 5, 6, 'n1', 2, 0, Uint8Array.of(0x90)]
  const over = pack([MESSAGE.append, 3, 8, 2, 7, new Array(MESSAGE_LIMITS.entriesMax + 1).fill(fields)])
  refused(t, () => decodeMessage(over), 'INVALID_ARGUMENT', /entries|values/)
  const most = decodeMessage(encodeMessage(append(many.slice(1))))
  t.equal(most.kind === MESSAGE.append && most.entries.length, MESSAGE_LIMITS.entriesMax)
})

t.test('a refusal names what is wrong', async (t) => {
  const cases: [readonly unknown[], RegExp][] = [
    [[99, 1], /kind/],
    [[MESSAGE.readIndex, 1], /takes 3 fields, not 2/],
    [[MESSAGE.append, 1, 0, 0, 0, [[1, 2, 3, 4, 'n', 5, 6]]], /an entry takes 8 fields, not 7/],
    [[MESSAGE.append, 1, 0, 0, 0, [[1, 2, 3, 4, 'n', 5, 6, Uint8Array.of(0x90), 9]]], /entry 2 has 9 fields/],
    [[MESSAGE.timeoutNow, -1], /term/],
    [[MESSAGE.voteReply, 1, 1, 0, 0], /granted/],
    [[MESSAGE.heartbeat, 1, 'x', 0], /index/],
    [[MESSAGE.append, 1, 0, 0, 0, 5], /entries must be an array/],
    [[MESSAGE.append, 1, 0, 0, 0, [5]], /entry must be an array/],
    [[MESSAGE.append, 1, 0, 0, 0, [[1, 2, 3, 4, 'n', 5, 6, 'text']]], /body must be bytes/],
    [[MESSAGE.append, 1, 0, 0, 0, [[1, 2, 3, 4, 'n', 5, 6, Uint8Array.of(0x91, 0x91, 0x7f)]]], /does not know/],
  ]
  for (const [fields, sentence] of cases) refused(t, () => decodeMessage(pack(fields)), 'INVALID_ARGUMENT', sentence)
  refused(t, () => decodeForward(pack([9, 1])), 'INVALID_ARGUMENT', /kind/)
  refused(t, () => decodeForward(pack([FORWARD.refusal, 1, 1, 1, 77])), 'INVALID_ARGUMENT', /reason 77/)
})

t.test('what a later version says besides is passed over, but never of an entry', async (t) => {
  holds(
    t,
    fc.property(messages, (message) => {
      const more = pack([...unpack(encodeMessage(message)), 'more'])
      return same(plain(decodeMessage(more)), plain(message))
    }),
    100,
  )
  holds(
    t,
    fc.property(forwards, (forward) => {
      const more = pack([...unpack(encodeForward(forward)), 7])
      return same(plain(decodeForward(more)), plain(forward))
    }),
    100,
  )
  const known = [1, 2, 3, 4, 'n', 5, 6]
  for (const entry of [
    [...known, Uint8Array.of(0x90), 9],
    [...known, Uint8Array.of(0x91, 0x91, 0x7f)],
  ]) {
    try {
      decodeMessage(pack([MESSAGE.append, 1, 0, 0, 0, [entry]]))
      t.fail('it was taken')
    } catch (error) {
      t.ok(error instanceof NewerEntry, String(error))
    }
  }
})
