import {
  decodeHello,
  decodePushes,
  decodeRefused,
  decodeReplies,
  decodeWelcome,
  encodeHello,
  encodePushes,
  encodeRefused,
  encodeReplies,
  encodeWelcome,
  FRAME_KIND,
  LIMITS,
  openFrame,
  type Push,
  type WireReply,
} from '@leasehold/protocol'
import { encode } from '@msgpack/msgpack'
import fc from 'fast-check'
import t from 'tap'
import { holds, names, naturals, refused, same, texts } from './support.js'

const hello = {
  clientName: 'billing',
  sessionId: '00112233445566778899aabbccddeeff',
  lowestUnanswered: 1,
  credential: null,
}
const welcome = {
  clusterId: 'c-1',
  memberId: 'n1',
  term: 3,
  leaderUrl: 'http://127.0.0.1:7420',
  clusterMs: 12_345,
  limits: { frameBytesMax: 1_048_576, frameRequestsMax: 1_024, inFlightMax: 4_096 },
}

/** A frame around fields of any shape. */
function frameOf(kind: number, count: number, fields: unknown): Uint8Array {
  return Buffer.concat([Buffer.from([1, kind, count >> 8, count & 0xff]), encode(fields)])
}
const helloFields: readonly unknown[] = [1, 'billing', new Uint8Array(16), 1, null]
const welcomeFields: readonly unknown[] = [1, 'c-1', 'n1', 3, null, 0, [1, 1, 1]]

t.test('a greeting looks as the format says, byte for byte', async (t) => {
  const bytes = Buffer.from(encodeHello(hello)).toString('hex')
  t.equal(bytes, `010100019501a762696c6c696e67c410${hello.sessionId}01c0`)
  t.same(openFrame(encodeHello(hello)), { kind: FRAME_KIND.hello, count: 1 })
})

t.test('greetings come back as they went', async (t) => {
  holds(
    t,
    fc.property(
      fc.record({
        clientName: names,
        sessionId: fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 32, maxLength: 32 }),
        lowestUnanswered: naturals.map((n) => Math.max(n, 1)),
        credential: fc.option(fc.string({ unit: fc.constantFrom(...'!az09~.-'), minLength: 1, maxLength: 100 })),
      }),
      (sent) => same(decodeHello(encodeHello(sent)), sent),
    ),
  )
  t.same(decodeWelcome(encodeWelcome(welcome)), welcome)
  t.same(decodeWelcome(encodeWelcome({ ...welcome, leaderUrl: null })), { ...welcome, leaderUrl: null })
  for (const sessionId of ['', 'ab', `${hello.sessionId}0`, hello.sessionId.toUpperCase(), 'g'.repeat(32)]) {
    refused(t, () => encodeHello({ ...hello, sessionId }), 'INVALID_ARGUMENT', /^sessionId must be 32 lower-case hex/)
  }
})

t.test('a wrong field of a greeting is refused by its name', async (t) => {
  const wrongHello: [number, unknown, RegExp][] = [
    [0, 2, /^version must be 1, the one spoken here, not 2$/],
    [0, null, /^version must be 1/],
    [1, '', /^clientName must not be empty$/],
    [1, 'a b', /^clientName may only have/],
    [2, new Uint8Array(15), /^sessionId must be 16 bytes/],
    [2, 'x'.repeat(16), /^sessionId must be 16 bytes, not the string/],
    [3, 0, /^lowestUnanswered must be a whole number from 1/],
    [4, 7, /^credential must be a string/],
    [4, 'x'.repeat(4_097), /^credential must be 1 to 4096 bytes/],
  ]
  for (const [i, value, sentence] of wrongHello) {
    refused(t, () => decodeHello(frameOf(1, 1, helloFields.with(i, value))), 'INVALID_ARGUMENT', sentence)
  }
  const wrongWelcome: [number, unknown, RegExp][] = [
    [0, 9, /^version must be 1/],
    [1, '', /^clusterId must be/],
    [2, null, /^memberId must be/],
    [3, -1, /^term must be/],
    [4, '', /^leaderUrl must be/],
    [5, 0.5, /^clusterMs must be/],
    [6, null, /^limits must be an array/],
    [6, [1, 1], /^limits takes 3 fields, not 2$/],
    [6, [0, 1, 1], /^frameBytesMax must be/],
    [6, [1, 2 ** 32, 1], /^frameRequestsMax must be/],
    [6, [1, 1, 'x'], /^inFlightMax must be/],
  ]
  for (const [i, value, sentence] of wrongWelcome) {
    refused(t, () => decodeWelcome(frameOf(2, 1, welcomeFields.with(i, value))), 'INVALID_ARGUMENT', sentence)
  }
  refused(t, () => decodeHello(frameOf(1, 1, [...helloFields, 0])), 'INVALID_ARGUMENT', /^hello takes 5 fields, not 6$/)
  refused(
    t,
    () => decodeHello(frameOf(1, 2, helloFields)),
    'INVALID_ARGUMENT',
    /^a hello comes alone, not as one of 2$/,
  )
  refused(
    t,
    () => decodeHello(encodeWelcome(welcome)),
    'INVALID_ARGUMENT',
    /^a frame of kind hello is expected, not welcome$/,
  )
})

t.test('replies come back as they went, a page of leases among them', async (t) => {
  const replies: fc.Arbitrary<WireReply> = fc.tuple(
    fc.integer({ min: 0, max: 0xffff_ffff }),
    fc.integer({ min: 0, max: 0xffff }),
    fc.integer({ min: 0, max: 0xffff }),
    fc.array(fc.oneof(naturals, texts, fc.boolean(), fc.constant(null)), { maxLength: 6 }),
  )
  holds(
    t,
    fc.property(fc.array(replies, { maxLength: 20 }), (sent) => same(decodeReplies(encodeReplies(sent)), sent)),
  )
  const lease = ['n'.repeat(255), 'h'.repeat(255), 1, 1, 1, 'held', 0, 'm'.repeat(1_024)]
  const page: WireReply = [1, 1, 0, [new Array(LIMITS.pageMax).fill(lease), 'n'.repeat(255)]]
  const frame = encodeReplies([page])
  t.ok(frame.length > LIMITS.frameBytesMax, 'the largest page is more than a frame of requests may be')
  t.same(decodeReplies(frame), [page])
})

t.test('a reply of another shape is refused', async (t) => {
  const bad: [unknown, RegExp][] = [
    [[7], /^reply must be an array, not 7$/],
    [[[1, 1, 0]], /^reply takes 4 fields, not 3$/],
    [[[2 ** 32, 1, 0, []]], /^id must be/],
    [[[1, 65_536, 0, []]], /^attempt must be/],
    [[[1, 1, -1, []]], /^code must be/],
    [[[1, 1, 0, 'x']], /^fields must be an array/],
  ]
  for (const [fields, sentence] of bad) {
    refused(t, () => decodeReplies(frameOf(4, 1, fields)), 'INVALID_ARGUMENT', sentence)
  }
  refused(t, () => decodeReplies(frameOf(4, 2, [])), 'INVALID_ARGUMENT', /^the frame has 0 messages, but says 2$/)
})

t.test('what does not fit a frame is not encoded', async (t) => {
  const reply: WireReply = [1, 1, 0, []]
  t.equal(decodeReplies(encodeReplies(new Array(65_535).fill(reply))).length, 65_535)
  t.throws(() => encodeReplies(new Array(65_536).fill(reply)), { name: 'RangeError', message: /split them/ })
  const large = Buffer.concat([Buffer.from([1, 4, 0, 0]), Buffer.alloc(LIMITS.replyBytesMax)])
  refused(t, () => decodeReplies(large), 'TOO_LARGE', /^a frame has at most 4194304 bytes, not 4194308$/)
  const largeHello = Buffer.concat([Buffer.from([1, 1, 0, 1]), Buffer.alloc(LIMITS.frameBytesMax)])
  refused(t, () => decodeHello(largeHello), 'TOO_LARGE', /^a frame has at most 1048576 bytes/)
})

t.test('pushes come back as they went, and other shapes do not', async (t) => {
  const pushes: Push[] = [
    ['ended', 'billing/leader', 17, 'revoked'],
    ['event', 3, 'c-1.99', [1, 2, ['x']]],
    ['watchEnd', 3, 21, 'the cursor is gone'],
    ['away', 28, 'http://127.0.0.1:7420', 'it shuts down'],
    ['away', 27, null, ''],
  ]
  t.same(decodePushes(encodePushes(pushes)), pushes)
  const bad: [unknown, RegExp][] = [
    ['x', /^push must be an array/],
    [['ended', 'a', 1], /^push takes 4 fields, not 3$/],
    [['other', 1, 1, 1], /^push must be ended, event, watchEnd or away, not the string "other"$/],
    [['ended', '', 1, 'revoked'], /^name must not be empty/],
    [['ended', 'a', 0, 'revoked'], /^token must be/],
    [['ended', 'a', 1, ''], /^reason must be/],
    [['event', -1, 'c.1', []], /^watchId must be/],
    [['event', 1, '', []], /^cursor must be/],
    [['event', 1, 'c.1', null], /^event must be an array/],
    [['watchEnd', 'x', 1, ''], /^watchId must be/],
    [['watchEnd', 1, 65_536, ''], /^code must be/],
    [['watchEnd', 1, 1, null], /^detail must be a string/],
    [['away', -1, null, ''], /^code must be/],
    [['away', 1, 7, ''], /^leaderUrl must be/],
    [['away', 1, null, 7], /^detail must be a string/],
  ]
  for (const [push, sentence] of bad) {
    refused(t, () => decodePushes(frameOf(5, 1, [push])), 'INVALID_ARGUMENT', sentence)
  }
})

t.test('a refusal is the last word, and is understood', async (t) => {
  t.same(decodeRefused(encodeRefused(28, 'shutting down')), { code: 28, detail: 'shutting down' })
  refused(t, () => decodeRefused(frameOf(6, 1, ['x', 'y'])), 'INVALID_ARGUMENT', /^code must be/)
  refused(t, () => decodeRefused(frameOf(6, 1, [1, 'x'.repeat(4_097)])), 'TOO_LARGE', /^detail must be at most 4096/)
})

t.test('frames of the other side nest no deeper than a body in a message in a frame', async (t) => {
  const nested = (depth: number): unknown => (depth === 0 ? 5 : [nested(depth - 1)])
  t.same(decodeReplies(frameOf(4, 1, [[1, 1, 0, nested(4)]])), [[1, 1, 0, nested(4)]])
  refused(t, () => decodeReplies(frameOf(4, 1, [[1, 1, 0, nested(5)]])), 'INVALID_ARGUMENT', /nested deeper than 6/)
})
